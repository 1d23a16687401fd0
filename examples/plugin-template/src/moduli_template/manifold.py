"""A manifold: the contract is ``point_shape``, ``distance`` and ``random_point``."""

import torch
from torch import Tensor

from moduli.manifolds import Isometry, Manifold
from moduli.requirements import require_positive


class Taxicab(Manifold):
    """The plane in which one walks along streets: distance is the sum of the coordinates' differences.

    Parameters
    ----------
    size : float
        Side of the square in which random points lie, in units of length.

    Examples
    --------
    >>> float(Taxicab().distance(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0])))
    7.0
    """

    point_shape = (2,)

    def __init__(self, size: float = 10.0) -> None:
        self.size = require_positive("Taxicab", "size", size)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``|x_0 - y_0| + |x_1 - y_1|``."""
        return (x - y).abs().sum(dim=-1)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from a square."""
        return self.size * torch.rand(n, 2, generator=generator)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a translation that exchanges the axes; it is optional, and `verify` holds it to its word."""
        shift = self.random_point(1, generator)
        return lambda points: points.flip(-1) + shift.to(points)
