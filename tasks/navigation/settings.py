"""The settings of the navigation task."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.requirements import require
from moduli.tasks.experiments.configuration.settings import later
from moduli.tasks.experiments.configuration.values import check_settings


@dataclass(frozen=True)
class NavigationSettings:
    """Navigation: tell from a walk's start and velocities where it has led."""

    name: ClassVar[str] = "navigation"
    task: ClassVar[str] = "moduli.tasks.navigation.task:Navigation"
    presets: ClassVar[str] = "moduli.tasks.navigation.presets:PRESETS"
    published_epochs: ClassVar[int] = 30

    units: int = 256
    """Recurrent units."""
    initialization: Literal["identity", "uniform"] = "identity"
    """identity: recurrent weights start as the identity matrix; uniform: as PyTorch draws them."""
    cells: int = 128
    """Place cells, scattered over the floor."""
    cell_width: float = 0.2
    """Standard deviation of a place cell's firing field, in metres."""
    tuning: Literal["gaussian", "difference-of-gaussians"] = "gaussian"
    """gaussian: a bump; difference-of-gaussians: a bump within a trough of twice its variance."""
    arena: Literal["rectangle", "periodic", "disc", "l-shape"] = "rectangle"
    """rectangle, disc, l-shape: with walls that are avoided; periodic: a rectangle without walls."""
    box: float = 2.2
    """Height of the arena, in metres; a disc's diameter."""
    aspect: float = 1.0
    """Width of a rectangle over its height."""
    velocity_noise: float = 0.0
    """Standard deviation of the noise on each component of the velocity, in metres per second."""
    velocity_scale: float = 1.0
    """Factor of the velocities that the network sees; 0.02 makes them metres per step."""
    walk_length: int = 20
    """Steps of a walk, each of 0.02 s."""
    long_walk_length: int | None = None
    """Steps of longer walks on which a trained network is scored as well."""
    test_walks: int = 2000
    """Held-out walks on which a trained network is scored."""
    trajectories: str = later("simulated")
    """simulated; ratinabox, an agent of that package in this rectangle, in steps of 0.05 s; or recorded:
    sargolini, tanni, or a file FILE.npz with t (s), x and y (m). A recording has a rectangle and time steps
    of its own, whatever box and aspect say."""

    def __post_init__(self) -> None:
        check_settings(self)
        positive = (
            "units", "cells", "cell_width", "box", "aspect", "velocity_scale", "walk_length", "test_walks",
        )  # fmt: skip
        for name in positive:
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(
            self.trajectories == "simulated" or self.arena == "rectangle",
            "arena",
            "rectangle where walks were recorded",
            self.arena,
        )
        require(self.cells >= 3, "cells", "at least 3: three cells tell the place", self.cells)
        require(self.velocity_noise >= 0, "velocity_noise", "non-negative", self.velocity_noise)
        require(
            self.aspect == 1 or self.arena in ("rectangle", "periodic"),
            "aspect",
            f"1 in an arena of the shape {self.arena!r}",
            self.aspect,
        )
        require(
            self.long_walk_length is None or self.long_walk_length > self.walk_length,
            "long_walk_length",
            f"more than walk_length, which is {self.walk_length}",
            self.long_walk_length,
        )
