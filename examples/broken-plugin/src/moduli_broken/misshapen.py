"""A manifold whose distances have the wrong shape."""

import torch
from torch import Tensor

from moduli.manifolds import Manifold


class Space(Manifold):
    """It forgets to drop the coordinates' dimension."""

    point_shape = (1,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return one number too deep."""
        return (x - y).abs()

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points of the unit interval."""
        return torch.rand(n, 1, generator=generator)
