"""An inhibitor: a frozen dataclass with a ``profile``, elementwise from distances to coefficients."""

from dataclasses import dataclass

from torch import Tensor

from moduli.regularizers import Inhibitor, register_regularizer
from moduli.requirements import require_positive


@register_regularizer("saturating")
@dataclass(frozen=True)
class Saturating(Inhibitor):
    """Coefficients that rise with distance and then no further: ``1 - exp(-d / length)``.

    Parameters
    ----------
    length : float
        Where two thirds of the rise are over, in units of length.

    Examples
    --------
    >>> import torch
    >>> Saturating(2.0).profile(torch.tensor([0.0, 2.0]))
    tensor([0.0000, 0.6321])
    """

    length: float = 2.0

    def __post_init__(self) -> None:
        require_positive("Saturating", "length", self.length)

    def profile(self, distance: Tensor) -> Tensor:
        """Return the coefficient at each distance."""
        return -(-distance / self.length).expm1()
