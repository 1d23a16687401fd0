"""Euclidean space and the flat quotients of it.

In a quotient, the distance between two classes is the least distance between a representative of
one and all representatives of the other, because a geodesic of the quotient lifts to a geodesic of
the cover that ends at one of them (do Carmo, "Riemannian Geometry", chapter 8). Which ones suffice:

- torus and cylinder: the deck transformations translate each axis by multiples of its period, and
  ``|x + kP - y|`` is least for the k that brings it below P/2, axis by axis;
- Klein bottle and Möbius band (and projective space, in `moduli.manifolds.spaces.spherical`): the
  orientation cover's own deck transformations are already accounted for in the cover's distance,
  and the quotient of the two groups is {1, τ}: two representatives remain.

The covers of cylinder and Möbius band are strips ``R × [0, height]``. Strips are convex, so that the
straight line between two representatives stays inside and is still the shortest path.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.closed_form import ClosedForm
from moduli.manifolds.spaces.norms import (
    MANY,
    gaps,
    inverse,
    pulled_along,
    root,
    squared_chord,
    squared_length,
    sum_of_squares,
)
from moduli.manifolds.spaces.quotient import DoubleQuotient
from moduli.manifolds.spaces.sampling import random_orthogonal, random_signs, uniform
from moduli.requirements import require_dimension, require_positive


@register("euclidean")
class Euclidean(ClosedForm):
    """Euclidean space of dimension ``dim``; random points fill a box of side ``size``.

    Distance: ``|x - y|``.

    Parameters
    ----------
    dim : int
        Dimension.
    size : float
        Side of the box ``[0, size]^dim`` from which random points come, in units of length. The
        box is convex, so distances in it are those of the whole space.

    Examples
    --------
    >>> Euclidean(2).distance(torch.tensor([0.0, 0.0]), torch.tensor([3.0, 4.0]))
    tensor(5.)
    """

    def __init__(self, dim: int = 2, size: float = 10.0) -> None:
        self.dim = require_dimension("Euclidean", dim)
        self.size = require_positive("Euclidean", "size", size)
        self.point_shape = (self.dim,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``|x - y|``."""
        return root(squared_chord(x, y))

    def strip(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``|x - y|`` of all pairs."""
        return squared_length(gaps(x, y)).sqrt_()

    def pull(self, x: Tensor, y: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients: unit vectors from one point to the other."""
        steps = list(gaps(x, y))
        length = squared_length(steps).sqrt_()
        return pulled_along(steps, upstream.mul_(inverse(length)))

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from the box."""
        return self.size * uniform(n, self.dim, generator)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a rotation or reflection, followed by a translation."""
        rotation = random_orthogonal(self.dim, generator)
        shift = self.size * uniform(1, self.dim, generator)[0]
        return lambda x: x @ rotation.to(x).mT + shift.to(x)


@register("torus")
class Torus(ClosedForm):
    """The flat torus: a box of sides ``period`` with opposite faces glued.

    Distance: ``|w|`` with ``w_i = min(r_i, P_i - r_i)`` and ``r_i = |x_i - y_i| mod P_i``. The deck
    transformations are the translations by multiples of the periods; they act on each axis alone,
    so that the nearest representative is found axis by axis.

    Parameters
    ----------
    dim : int
        Dimension.
    period : float or sequence of float
        Length after which each axis closes, in units of length; one for all axes or one each.
        The paper's torus has period 10.

    Examples
    --------
    >>> Torus(2).distance(torch.tensor([0.5, 0.0]), torch.tensor([9.5, 0.0]))
    tensor(1.)
    """

    def __init__(self, dim: int = 2, period: float | Sequence[float] = 10.0) -> None:
        self.dim = require_dimension("Torus", dim)
        lengths = list(period) if isinstance(period, Sequence) else [period] * self.dim
        if len(lengths) != dim:
            raise InvalidParameter(f"Torus of dim={dim} needs one period or {dim}, got {len(lengths)}.")
        self.periods = tuple(require_positive("Torus", "period", length) for length in lengths)
        self.point_shape = (self.dim,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the shortest straight line between representatives."""
        if self.dim > MANY:
            return root(_least_turn(x - y, x.new_tensor(self.periods)).square().sum(dim=-1))
        axes = zip(x.unbind(-1), y.unbind(-1), self.periods, strict=True)
        return root(sum_of_squares(_least_turn(a - b, period) for a, b, period in axes))

    def prepared(self, x: Tensor) -> Tensor:
        """Return the representative in ``[0, period)^dim``."""
        return self.project(x)

    def strip(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the lengths of the shortest straight lines between representatives in the box."""
        axes = zip((gap.abs_() for gap in gaps(x, y)), self.periods, strict=True)
        return squared_length(torch.minimum(turn, period - turn, out=turn) for turn, period in axes).sqrt_()

    def pull(self, x: Tensor, y: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients: unit vectors along the shortest lines, without axes that have two ways."""
        steps = []
        for gap, period in zip(gaps(x, y), self.periods, strict=True):
            steps.append(gap.sub_((gap / period).round_(), alpha=period))
        length = squared_length(steps).sqrt_()
        for step, period in zip(steps, self.periods, strict=True):
            step.masked_fill_(step.abs() == period / 2, 0)
        return pulled_along(steps, upstream.mul_(inverse(length)))

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from the box ``[0, period)^dim``."""
        points = uniform(n, self.dim, generator)
        return points * points.new_tensor(self.periods)

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in ``[0, period)^dim``."""
        return _unwind(x, x.new_tensor(self.periods))[0]

    def contains(self, x: Tensor) -> Tensor:
        """Return True: every vector represents a point."""
        return torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the points half a period away along each axis, and along all axes."""
        half = x.new_tensor(self.periods) / 2
        steps = torch.cat([half.diag(), half[None]])
        return x + steps.reshape(len(steps), *[1] * (x.dim() - 1), self.dim)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a reflection of some axes, followed by a translation."""
        signs, shift = random_signs(self.dim, generator), self.random_point(1, generator)[0]
        return lambda x: signs.to(x) * x + shift.to(x)


@register("flat_cylinder")
class Cylinder(Manifold):
    """The flat cylinder: ``[0, period) × [0, height]``, closed along the first axis.

    Distance: ``|w|`` with ``w_1`` the shorter way round, as on `Torus`, and ``w_2 = x_2 - y_2``.

    Parameters
    ----------
    period : float
        Circumference P, in units of length.
    height : float
        Height, in units of length.

    Examples
    --------
    >>> Cylinder().distance(torch.tensor([0.5, 2.0]), torch.tensor([9.5, 2.0]))
    tensor(1.)
    """

    point_shape = (2,)

    def __init__(self, period: float = 10.0, height: float = 10.0) -> None:
        self.period = require_positive("Cylinder", "period", period)
        self.height = require_positive("Cylinder", "height", height)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the shortest straight line between representatives."""
        around = _least_turn(x[..., 0] - y[..., 0], self.period)
        return root(sum_of_squares([around, x[..., 1] - y[..., 1]]))

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly."""
        points = uniform(n, 2, generator)
        return points * points.new_tensor([self.period, self.height])

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in ``[0, period)``, at the nearest height within the cylinder."""
        turn, _ = _unwind(x[..., 0], x.new_tensor(self.period))
        return torch.stack([turn, x[..., 1].clamp(0, self.height)], dim=-1)

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether the height lies within the cylinder; every first coordinate does."""
        margin = 1e-6 * self.height
        return (x[..., 1] >= -margin) & (x[..., 1] <= self.height + margin)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the point on the opposite side."""
        return (x + x.new_tensor([self.period / 2, 0.0]))[None]

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a reflection of some axes, followed by a rotation."""
        around, along = random_signs(2, generator).tolist()
        shift = self.period * float(uniform(1, 1, generator))
        middle = self.height / 2
        return lambda x: torch.stack([around * x[..., 0] + shift, middle + along * (x[..., 1] - middle)], -1)


@register("klein")
class KleinBottle(DoubleQuotient):
    """The flat Klein bottle of side ``period``.

    The square ``[0, P)²`` with ``(x, 0) ~ (x, P)`` and ``(0, y) ~ (P, -y)``. Its orientation cover
    is the torus of periods ``(2P, P)``, with ``τ(x, y) = (x + P, -y)``.

    Parameters
    ----------
    period : float
        Side P of the square, in units of length; 10 in the paper.

    Examples
    --------
    >>> bottle = KleinBottle()
    >>> bottle.distance(torch.tensor([0.5, 2.0]), torch.tensor([9.5, 8.0]))
    tensor(1.)
    """

    point_shape = (2,)

    def __init__(self, period: float = 10.0) -> None:
        self.period = require_positive("KleinBottle", "period", period)
        self.cover = Torus(2, (2 * self.period, self.period))

    def deck(self, x: Tensor) -> Tensor:
        """Return ``(x + P, -y)``."""
        return torch.stack([x[..., 0] + self.period, -x[..., 1]], dim=-1)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from the square ``[0, P)²``."""
        return self.period * uniform(n, 2, generator)

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in the square ``[0, P)²``."""
        period = x.new_tensor(self.period)
        turn, crossings = _unwind(x[..., 0], period)
        sign = 1 - 2 * crossings.remainder(2)
        return torch.stack([turn, _unwind(sign * x[..., 1], period)[0]], dim=-1)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the cover's, and a point at equal distance from both representatives of ``x``."""
        tie = torch.stack([x[..., 0] + self.period / 2, torch.zeros_like(x[..., 1])], dim=-1)
        return torch.cat([self.cover.cut_points(x), tie[None]])

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a translation along the first axis and a reflection of some axes."""
        signs = random_signs(2, generator)
        shift = self.period * float(uniform(1, 1, generator))
        return lambda x: signs.to(x) * x + x.new_tensor([shift, 0.0])


@register("mobius")
class MobiusBand(DoubleQuotient):
    """The flat Möbius band: ``[0, P) × [0, height]`` with ``(0, y) ~ (P, height - y)``.

    Its orientation cover is the cylinder of circumference ``2P``, with
    ``τ(x, y) = (x + P, height - y)``.

    Parameters
    ----------
    period : float
        Length P after which the band closes with a twist, in units of length.
    height : float
        Width of the band, in units of length.

    Examples
    --------
    >>> band = MobiusBand()
    >>> band.distance(torch.tensor([0.5, 2.0]), torch.tensor([9.5, 8.0]))
    tensor(1.)
    """

    point_shape = (2,)

    def __init__(self, period: float = 10.0, height: float = 10.0) -> None:
        self.period = require_positive("MobiusBand", "period", period)
        self.height = require_positive("MobiusBand", "height", height)
        self.cover = Cylinder(2 * self.period, self.height)

    def deck(self, x: Tensor) -> Tensor:
        """Return ``(x + P, height - y)``."""
        return torch.stack([x[..., 0] + self.period, self.height - x[..., 1]], dim=-1)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly."""
        points = uniform(n, 2, generator)
        return points * points.new_tensor([self.period, self.height])

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in ``[0, P)``, at the nearest height within the band."""
        turn, crossings = _unwind(x[..., 0], x.new_tensor(self.period))
        y = torch.where(crossings.remainder(2) == 0, x[..., 1], self.height - x[..., 1])
        return torch.stack([turn, y.clamp(0, self.height)], dim=-1)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return a point at equal distance from both representatives of ``x``."""
        middle = torch.full_like(x[..., 1], self.height / 2)
        return torch.stack([x[..., 0] + self.period / 2, middle], dim=-1)[None]

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a translation along the band and a reflection of some axes."""
        around, along = random_signs(2, generator).tolist()
        shift = self.period * float(uniform(1, 1, generator))
        middle = self.height / 2
        return lambda x: torch.stack([around * x[..., 0] + shift, middle + along * (x[..., 1] - middle)], -1)


def _least_turn(difference: Tensor, period: float | Tensor) -> Tensor:
    """Return the length of the shorter way round."""
    turn = difference.abs().remainder(period)
    return torch.minimum(turn, period - turn)


def _unwind(x: Tensor, periods: Tensor) -> tuple[Tensor, Tensor]:
    """Return the representative in ``[0, period)`` and how many periods were taken off."""
    crossings = (x / periods).floor()
    turn = (x - crossings * periods).clamp(min=0)
    # A tiny negative number plus the period rounds to the period itself, which represents zero.
    full = turn >= periods
    return torch.where(full, torch.zeros_like(turn), turn), crossings + full
