"""Triples of points at which distances tend to fail, in families.

Formulas fail where points coincide or nearly do, at antipodes and on the cut locus, and at the ends
of the coordinates; a metric that is wrong in a thin region betrays itself along a curve through it,
at neighbouring points whose distances from a third differ by more than their own.
"""

from functools import cached_property

import torch
from torch import Tensor

from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.support import Support


class Cases:
    """Triples (x, y, z) of points, with their distances computed once.

    Parameters
    ----------
    manifold : Manifold
        The space.
    x, y, z : Tensor
        Points of shape ``(n, *point_shape)``.
    moved : bool
        Whether some of the points were moved from where they were drawn.
    """

    def __init__(self, manifold: Manifold, x: Tensor, y: Tensor, z: Tensor, moved: bool) -> None:
        self.manifold, self.x, self.y, self.z = manifold, x, y, z
        self.moved = moved

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def xx(self) -> Tensor:
        """Distances from x to itself."""
        return self.distance(self.x, self.x)

    @cached_property
    def xy(self) -> Tensor:
        """Distances from x to y."""
        return self.distance(self.x, self.y)

    @cached_property
    def yx(self) -> Tensor:
        """Distances from y to x."""
        return self.distance(self.y, self.x)

    @cached_property
    def yz(self) -> Tensor:
        """Distances from y to z."""
        return self.distance(self.y, self.z)

    @cached_property
    def xz(self) -> Tensor:
        """Distances from x to z."""
        return self.distance(self.x, self.z)

    def only(self, kept: Tensor) -> "Cases":
        """Return some of the triples, given booleans of shape ``(n,)``."""
        return Cases(self.manifold, self.x[kept], self.y[kept], self.z[kept], self.moved)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return distances of copies, so that a distance that changes its points spoils no other clause."""
        return self.manifold.distance(x.clone(), y.clone())


Triple = tuple[Tensor, Tensor, Tensor]

UNMOVED = ("random", "coincident", "neighbours")
"""The families of points that stay where they were drawn, as long as they are not rounded."""


class Families:
    """Deterministic draws of each family of triples.

    Parameters
    ----------
    manifold : Manifold
        The space.
    """

    names = ("random", "coincident", "near", "axis", "neighbours", "curve", "cut", "antipodal", "boundary")

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold
        self.support = Support(manifold)

    def draw(self, family: str, n: int, seed: int, digits: int | None, dtype: torch.dtype) -> Cases:
        """Return up to n triples of a family; if none are points, unrounded or random ones.

        Parameters
        ----------
        family : str
            One of ``names``.
        n : int
            Number of triples before those are left out that are not points of the manifold.
        seed : int
            Seed of all random choices.
        digits : int or None
            Decimals to which coordinates are rounded, if that leaves them on the manifold.
        dtype : torch.dtype
            Of the points.

        Returns
        -------
        Cases
        """
        generator = torch.Generator().manual_seed(seed)
        x, y, z = self.support.draw(3 * n, generator).tensor_split(3)
        triple, drawn = getattr(self, f"_{family}")(x, y, z, generator)
        kept = torch.ones(n, dtype=torch.bool)
        points = []
        for each in triple:
            rounded = each if digits is None else each.round(decimals=digits)
            admitted, keep = self.support.admit(rounded, torch.stack(drawn))
            points.append(admitted.to(dtype))
            kept &= keep if dtype == torch.float64 else keep & self.manifold.contains(points[-1])
        if not kept.any() and digits is not None:
            return self.draw(family, n, seed, None, dtype)
        if not kept.any() and family != "random":
            return self.draw("random", n, seed, None, dtype)
        x, y, z = (each[kept] for each in points)
        moved = digits is not None or family not in UNMOVED
        return Cases(self.manifold, x, y, z, moved)

    # Each family takes random triples and returns its own, with the points from which it made them.

    def _random(self, x: Tensor, y: Tensor, z: Tensor, _: torch.Generator) -> tuple[Triple, Triple]:
        return (x, y, z), (x, y, z)

    def _coincident(self, x: Tensor, y: Tensor, z: Tensor, _: torch.Generator) -> tuple[Triple, Triple]:
        return (x, x, z), (x, y, z)

    def _near(self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator) -> tuple[Triple, Triple]:
        return (x, self._nudged(x, generator), self._nudged(x, generator)), (x, y, z)

    def _axis(self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator) -> tuple[Triple, Triple]:
        """Return random points, and points that differ from them in one coordinate."""
        chosen = torch.randint(x[0].numel(), (len(x), 1), generator=generator)
        other = (torch.arange(x[0].numel()) != chosen).reshape(x.shape)
        return (x, torch.where(other, x, y), z), (x, y, z)

    def _neighbours(
        self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator
    ) -> tuple[Triple, Triple]:
        """Return random points, the nearest one of a pool to each, and the next nearest."""
        pool = self.support.pool[:128]
        chosen = torch.randint(len(pool), (len(x),), generator=generator)
        first, second = self._nearest[:, chosen]
        triple = pool[chosen], pool[first], pool[second]
        return triple, triple

    def _curve(self, x: Tensor, y: Tensor, z: Tensor, _: torch.Generator) -> tuple[Triple, Triple]:
        """Return the start of a curve and two successive points on it."""
        if self.support.whole:
            return (x, y, z), (x, y, z)
        start, end = x[:1], y[:1]
        steps = torch.linspace(0, 1, len(x) + 1, dtype=x.dtype)
        curve = start + _column(steps, x) * self._continuous(end - start)
        return (start.expand_as(x), curve[:-1], curve[1:]), (start, end, start)

    def _cut(self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator) -> tuple[Triple, Triple]:
        found = self.manifold.cut_points(x.clone())
        if len(found) == 0:
            return (x, self._nudged(x, generator), z), (x, y, z)
        which = torch.randint(len(found), (len(x),), generator=generator)
        cut = found[which, torch.arange(len(x))]
        exact = torch.rand(len(x), generator=generator) < 0.5
        return (x, torch.where(_column(exact, x), cut, self._nudged(cut, generator)), z), (x, y, z)

    def _antipodal(
        self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator
    ) -> tuple[Triple, Triple]:
        exact = torch.rand(len(x), generator=generator) < 0.5
        return (x, torch.where(_column(exact, x), -x, self._nudged(-x, generator)), z), (x, y, z)

    def _boundary(self, x: Tensor, y: Tensor, z: Tensor, generator: torch.Generator) -> tuple[Triple, Triple]:
        """Return pairs of points some of whose coordinates are at their ends, and random points."""
        ends = torch.stack([self.support.low, self.support.high]).reshape(2, *self.manifold.point_shape)
        pair = torch.stack([x, y])
        choice = torch.randint(4, pair.shape, generator=generator)
        pair = torch.where(choice == 0, ends[0], torch.where(choice == 1, ends[1], pair))
        return (pair[0], pair[1], z), (x, y, z)

    @cached_property
    def _nearest(self) -> Tensor:
        """Numbers of the nearest and the second nearest point to each of a part of the pool."""
        flat = self.support.pool[:128].reshape(128, -1)
        return torch.cdist(flat, flat).topk(3, dim=-1, largest=False).indices[:, 1:].T

    def _continuous(self, direction: Tensor) -> Tensor:
        """Return directions without the coordinates that have few values."""
        return direction.masked_fill(self.support.discrete.reshape(self.manifold.point_shape), 0)

    def _nudged(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return points moved by between a hundred-millionth and the whole of the coordinates' spread."""
        if self.support.whole:
            return self.support.draw(len(x), generator)
        size = 10 ** (-8 * torch.rand(len(x), generator=generator, dtype=x.dtype))
        noise = self._continuous(torch.randn(x.shape, generator=generator, dtype=x.dtype))
        moved = x + _column(size, x) * self.support.spread * noise
        if self.support.decides:
            return moved
        low, high = (
            each.reshape(self.manifold.point_shape) for each in (self.support.low, self.support.high)
        )
        return moved.clamp(torch.minimum(low, x), torch.maximum(high, x))


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
