"""The settings of the adding problem."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.requirements import require
from moduli.tasks.experiments.configuration.settings import later
from moduli.tasks.experiments.configuration.values import check_settings


@dataclass(frozen=True)
class AddingSettings:
    """The adding problem: tell the sum of the two marked numbers of a sequence."""

    name: ClassVar[str] = "adding"
    task: ClassVar[str] = "moduli.tasks.adding.task:Adding"
    presets: ClassVar[str] = "moduli.tasks.adding.presets:PRESETS"
    published_epochs: ClassVar[int] = 100

    units: int = 128
    """Recurrent units."""
    length: int = 50
    """Numbers in a sequence, two of which are to be added."""
    test_sequences: int = 2000
    """Held-out sequences on which a trained network is scored."""
    initialization: Literal["uniform", "identity"] = later("uniform")
    """uniform: recurrent weights start as PyTorch draws them; identity: as the identity matrix."""

    def __post_init__(self) -> None:
        check_settings(self)
        require(self.units > 0, "units", "positive", self.units)
        require(self.length >= 2, "length", "at least 2: two numbers are added", self.length)
        require(self.test_sequences > 0, "test_sequences", "positive", self.test_sequences)
