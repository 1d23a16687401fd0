"""Hyperbolic space, as the Poincaré ball."""

import math
from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.manifold import Isometry
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.closed_form import ClosedForm
from moduli.manifolds.spaces.norms import gaps, inverse, pulled_along, root, squared_chord, squared_length
from moduli.manifolds.spaces.sampling import normal, random_orthogonal, uniform
from moduli.requirements import require_choice, require_dimension, require_positive

# How far a projected point stays from the unit sphere: 12.2 from the centre, and still distinguishable in
# float32. In half precision, four units of rounding.
MARGIN = 1e-5


@register("hyperbolic")
class Hyperbolic(ClosedForm):
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
    density : "radius" or "volume"
        How random points are spread; directions are uniform with both. With "radius" the distance from the
        centre, raised to the power ``dim``, is uniform, as it would be in a flat ball: the centre is not
        empty. With "volume" points are uniform by hyperbolic volume, which grows exponentially with the
        distance (the density of the distance r is proportional to ``sinh(r)^(dim - 1)``): most lie near
        the rim.

    Examples
    --------
    >>> Hyperbolic(2).distance(torch.tensor([0.0, 0.0]), torch.tensor([0.5, 0.0]))
    tensor(1.0986)
    """

    def __init__(
        self, dim: int = 2, size: float = 5.0, density: Literal["radius", "volume"] = "radius"
    ) -> None:
        self.dim = require_dimension("Hyperbolic", dim)
        self.size = require_positive("Hyperbolic", "size", size)
        require_choice("density", density, ("radius", "volume"))
        self.density = density
        self.point_shape = (self.dim,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the hyperbolic line."""
        if x.dtype.itemsize < 4:  # half precision has neither the digits nor the range
            return self.distance(x.float(), y.float()).to(x.dtype)
        conformal = (2 / (1 - x.square().sum(-1))) / (1 - y.square().sum(-1))
        t = squared_chord(x, y) * conformal
        return torch.log1p(t + root(t * (t + 2)))

    def strip(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the hyperbolic lines between all pairs."""
        t = self._excess(gaps(x, y), x, y)
        return t.add_((t + 2).mul_(t).sqrt_()).log1p_()

    def pull(self, x: Tensor, y: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients, with ``∂d/∂t = 1 / sqrt(t (t + 2))``, and ``t`` a quotient of polynomials."""
        steps = list(gaps(x, y))
        t = self._excess(steps, x, y)
        slopes = upstream.mul_(inverse((t + 2).mul_(t).sqrt_()))
        radial = t.mul_(slopes)
        a, b = 1 - x.square().sum(-1, keepdim=True), 1 - y.square().sum(-1, keepdim=True)
        one, other = pulled_along(steps, slopes.mul_(4 / a).div_(b.mT))
        return (
            one + radial.sum(1, keepdim=True) * (2 / a) * x,
            other + radial.sum(0)[:, None] * (2 / b) * y,
        )

    def _excess(self, steps: Iterable[Tensor], x: Tensor, y: Tensor) -> Tensor:
        """Return ``t = cosh d - 1`` of all pairs."""
        conformal = (2 / (1 - x.square().sum(-1)))[:, None] / (1 - y.square().sum(-1))
        return conformal.mul_(squared_length(steps))

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points from a ball around the centre, with the manifold's density."""
        direction = normal(n, self.dim, generator=generator)
        direction = direction / vector_norm(direction, dim=-1, keepdim=True)
        share = uniform(n, 1, generator)
        if self.density == "radius":
            from_centre = self.size * share ** (1 / self.dim)
        else:
            from_centre = _radius_of_share(share, self.dim, self.size)
        return self.project(direction * torch.tanh(from_centre / 2))

    def project(self, x: Tensor) -> Tensor:
        """Return ``x``, pulled inside the ball if it is not."""
        length: Tensor = vector_norm(x, dim=-1, keepdim=True)
        largest = 1 - max(MARGIN, 4 * torch.finfo(x.dtype).eps)
        return x * (largest / length.clamp(min=largest))

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


def _radius_of_share(share: Tensor, dim: int, size: float) -> Tensor:
    """Return the radius of the ball that holds a share of the volume of the ball of radius ``size``.

    The volume is proportional to ``∫ sinh(r)^(dim - 1) dr``. Between the points of a grid, the logarithm of
    the radius is interpolated as a function of the logarithm of the share, which is straight near the centre.
    """
    radii = size * np.geomspace(1e-9, 1, 2**14)
    # log sinh r = r + log(1 - e^(-2r)) - log 2, without overflow.
    density = (dim - 1) * (radii - size + np.log(-np.expm1(-2 * radii)))
    pieces = np.diff(radii) * np.exp(np.logaddexp(density[1:], density[:-1]) - math.log(2))
    first = radii[0] * math.exp(density[0]) / dim
    with np.errstate(divide="ignore"):
        volume = np.log(first + np.concatenate([[0.0], np.cumsum(pieces)]))
        given = np.log(share.detach().cpu().double().numpy())
    radius = np.exp(np.interp(given, volume - volume[-1], np.log(radii)))
    return torch.from_numpy(radius).to(share)
