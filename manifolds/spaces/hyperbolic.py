"""Hyperbolic space, as the Poincaré ball."""

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.norms import root, squared_chord
from moduli.manifolds.spaces.sampling import normal, random_orthogonal, uniform
from moduli.requirements import require_dimension, require_positive

# The largest norm of a projected point: 12.2 from the centre, and still distinguishable in float32.
LARGEST_NORM = 1 - 1e-5


@register("hyperbolic")
class Hyperbolic(Manifold):
    """Hyperbolic space of dimension ``dim`` and curvature -1; points lie in the open unit ball.

    Distance: ``arccosh(1 + t)`` with ``t = 2 |x - y|² / ((1 - |x|²)(1 - |y|²))``, the Poincaré
    ball's (Ratcliffe, "Foundations of Hyperbolic Manifolds", section 4.5), computed as
    ``log1p(t + sqrt(t (t + 2)))``, which keeps all digits at coincident points.

    Parameters
    ----------
    dim : int
        Dimension.
    size : float
        Radius of the ball from which random points come, in units of the curvature radius.
        Directions are uniform, and so is the distance from the centre raised to the power ``dim``.

    Examples
    --------
    >>> Hyperbolic(2).distance(torch.tensor([0.0, 0.0]), torch.tensor([0.5, 0.0]))
    tensor(1.0986)
    """

    def __init__(self, dim: int = 2, size: float = 5.0) -> None:
        self.dim = require_dimension("Hyperbolic", dim)
        self.size = require_positive("Hyperbolic", "size", size)
        self.point_shape = (self.dim,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the hyperbolic line."""
        conformal = (2 / (1 - x.square().sum(-1))) / (1 - y.square().sum(-1))
        t = squared_chord(x, y) * conformal
        return torch.log1p(t + root(t * (t + 2)))

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points from a ball around the centre."""
        direction = normal(n, self.dim, generator=generator)
        direction = direction / vector_norm(direction, dim=-1, keepdim=True)
        from_centre = self.size * uniform(n, 1, generator) ** (1 / self.dim)
        return self.project(direction * torch.tanh(from_centre / 2))

    def project(self, x: Tensor) -> Tensor:
        """Return ``x``, pulled inside the ball if it is not."""
        length: Tensor = vector_norm(x, dim=-1, keepdim=True)
        return x * (LARGEST_NORM / length.clamp(min=LARGEST_NORM))

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether the point is inside the ball."""
        return x.square().sum(-1) < 1

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a rotation or reflection, followed by a translation."""
        rotation = random_orthogonal(self.dim, generator)
        shift = self.random_point(1, generator)[0] / 2

        def move(x: Tensor) -> Tensor:
            # Möbius addition (Ungar, "A Gyrovector Space Approach to Hyperbolic Geometry", chapter 1).
            y, a = x @ rotation.to(x).mT, shift.to(x)
            inner, squared, shift_squared = (a * y).sum(-1, True), y.square().sum(-1, True), a.square().sum()
            moved = (1 + 2 * inner + squared) * a + (1 - shift_squared) * y
            return moved / (1 + 2 * inner + shift_squared * squared)

        return move
