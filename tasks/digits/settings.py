"""The settings of the digits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.requirements import require, require_choices

Cell = Literal["gru", "rnn"]


@dataclass(frozen=True)
class DigitsSettings:
    """Digits: tell which digit an image shows that is read row by row or pixel by pixel."""

    name: ClassVar[str] = "digits"
    task: ClassVar[str] = "moduli.tasks.digits.task:Digits"
    presets: ClassVar[str] = "moduli.tasks.digits.presets:PRESETS"

    cell: Cell = "gru"
    """gru; or rnn, which has ReLU units and starts as the identity."""
    units: int = 128
    """Recurrent units."""
    images: str = "digits"
    """digits (1,797 of 8 by 8 pixels, which ship with scikit-learn), mnist, or a file FILE.npz with x_train,
    y_train, x_test and y_test."""
    order: Literal["rows", "pixels"] = "pixels"
    """What is read at a step: a row of the image or a pixel."""
    permuted: bool = False
    """Whether the pixels are read in an order that was drawn at random, the same for all images."""

    def __post_init__(self) -> None:
        require_choices(self)
        require(self.units > 0, "units", "positive", self.units)
