"""A manifold without random points."""

from torch import Tensor

from moduli.manifolds import Manifold


class Space(Manifold):
    """It has distances only."""

    point_shape = (1,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distance on the line."""
        return (x - y)[..., 0].abs()
