"""The settings of the navigation task."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from moduli.tasks.requirements import require


@dataclass(frozen=True)
class NavigationSettings:
    """The world of the navigation task and the size of its network."""

    name: ClassVar[str] = "navigation"
    task: ClassVar[str] = "moduli.tasks.navigation.task:Navigation"

    units: int = 256
    """Recurrent units."""
    cells: int = 128
    """Place cells, scattered over the box."""
    cell_width: float = 0.2
    """Standard deviation of a place cell's firing field, in metres."""
    box: float = 2.2
    """Side of the square box, in metres."""
    walk_length: int = 20
    """Steps of a walk, each of 0.02 s."""
    test_walks: int = 2000
    """Held-out walks on which a trained network is scored."""

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            require(value > 0, name, "positive", value)
        require(self.cells >= 3, "cells", "at least 3: three cells tell the place", self.cells)
