"""Euclidean space and the flat quotients of it.

A torus wraps each axis by itself. Every other quotient here is a double cover {1, τ}: the distance
between two classes is the least over the two representatives of one of them, because a geodesic of
the quotient lifts to a geodesic of the cover that ends at one of the representatives (do Carmo,
"Riemannian Geometry", chapter 8).
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.errors import InvalidParameter
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.parameters import require_dimension, require_positive
from moduli.manifolds.registry import register


@register("euclidean")
class Euclidean(Manifold):
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
        length: Tensor = vector_norm(x - y, dim=-1)
        return length

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from the box."""
        return self.size * _uniform(n, self.dim, generator)


@register("torus")
class Torus(Manifold):
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
        lengths = [period] * dim if isinstance(period, int | float) else list(period)
        if len(lengths) != dim:
            raise InvalidParameter(f"Torus of dim={dim} needs one period or {dim}, got {len(lengths)}.")
        self.periods = tuple(require_positive("Torus", "period", length) for length in lengths)
        self.point_shape = (self.dim,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the shortest straight line between representatives."""
        periods = x.new_tensor(self.periods)
        turn = (x - y).abs().remainder(periods)
        length: Tensor = vector_norm(torch.minimum(turn, periods - turn), dim=-1)
        return length

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly from the box ``[0, period)^dim``."""
        points = _uniform(n, self.dim, generator)
        return points * points.new_tensor(self.periods)

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in ``[0, period)^dim``."""
        return _wrap(x, x.new_tensor(self.periods))

    def contains(self, x: Tensor) -> Tensor:
        """Return True: every vector represents a point."""
        return torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)


class DoubleQuotient(Manifold):
    """A manifold of which ``cover`` is a double cover.

    Distance: ``min(d(x, y), d(x, τ(y)))`` with the cover's distance d and an isometry τ of the
    cover whose square is the identity. The two elements of {1, τ} are all deck transformations.
    """

    cover: Manifold

    @abstractmethod
    def deck(self, x: Tensor) -> Tensor:
        """Return the other representative, τ(x), of each point."""

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the least distance over the two representatives of ``y``."""
        return torch.minimum(self.cover.distance(x, y), self.cover.distance(x, self.deck(y)))


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
        return self.period * _uniform(n, 2, generator)

    def project(self, x: Tensor) -> Tensor:
        """Return the representative in the square ``[0, P)²``."""
        crossings = (x[..., :1] / self.period).floor()
        sign = 1 - 2 * crossings.remainder(2)
        return _wrap(torch.cat([x[..., :1], sign * x[..., 1:]], dim=-1), x.new_tensor(self.period))

    def contains(self, x: Tensor) -> Tensor:
        """Return True: every vector represents a point."""
        return torch.ones(x.shape[:-1], dtype=torch.bool, device=x.device)


def _uniform(n: int, dim: int, generator: torch.Generator | None) -> Tensor:
    device = None if generator is None else generator.device
    return torch.rand(n, dim, generator=generator, device=device)


def _wrap(x: Tensor, periods: Tensor) -> Tensor:
    # The remainder of a tiny negative number rounds to the period itself, which represents zero.
    turn = x.remainder(periods)
    return torch.where(turn < periods, turn, torch.zeros_like(turn))
