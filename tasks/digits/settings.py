"""The settings of the digits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.requirements import require
from moduli.tasks.experiments.configuration.settings import later
from moduli.tasks.experiments.configuration.values import check_settings

Cell = Literal["gru", "rnn", "mingru", "lru"]


@dataclass(frozen=True)
class DigitsSettings:
    """Digits: tell which digit an image shows that is read row by row or pixel by pixel."""

    name: ClassVar[str] = "digits"
    task: ClassVar[str] = "moduli.tasks.digits.task:Digits"
    presets: ClassVar[str] = "moduli.tasks.digits.presets:PRESETS"

    cell: Cell = "gru"
    """gru; rnn, which has ReLU units and starts as the identity; mingru or lru, whose units remember
    themselves alone and mix between layers."""
    units: int = 128
    """Recurrent units of each layer."""
    images: str = "digits"
    """digits (1,797 of 8 by 8 pixels, which ship with scikit-learn), mnist, or a file FILE.npz with x_train,
    y_train, x_test and y_test."""
    order: Literal["rows", "pixels"] = "pixels"
    """What is read at a step: a row of the image or a pixel."""
    permuted: bool = False
    """Whether the pixels are read in an order that was drawn at random, the same for all images."""
    layers: int = later(1)
    """Recurrent layers."""
    criterion: float = later(10.0)
    """Percent of wrong digits at which the task counts as learned; results say after how many steps."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("units", "layers", "criterion"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
