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
    """

    def __init__(self, manifold: Manifold, x: Tensor, y: Tensor, z: Tensor) -> None:
        self.manifold, self.x, self.y, self.z = manifold, x, y, z

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def xx(self) -> Tensor:
        """Distances from x to itself."""
        return self.manifold.distance(self.x, self.x.clone())

    @cached_property
    def xy(self) -> Tensor:
        """Distances from x to y."""
        return self.manifold.distance(self.x, self.y)

    @cached_property
    def yx(self) -> Tensor:
        """Distances from y to x."""
        return self.manifold.distance(self.y, self.x)

    @cached_property
    def yz(self) -> Tensor:
        """Distances from y to z."""
        return self.manifold.distance(self.y, self.z)

    @cached_property
    def xz(self) -> Tensor:
        """Distances from x to z."""
        return self.manifold.distance(self.x, self.z)


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
        triple = getattr(self, f"_{family}")(n, generator)
        kept = torch.ones(n, dtype=torch.bool)
        points = []
        for each in triple:
            rounded = each if digits is None else each.round(decimals=digits)
            admitted, keep = self.support.admit(rounded)
            points.append(admitted.to(dtype))
            kept = kept & keep & self.manifold.contains(points[-1])
        if not kept.any() and digits is not None:
            return self.draw(family, n, seed, None, dtype)
        if not kept.any() and family != "random":
            return self.draw("random", n, seed, None, dtype)
        x, y, z = (each[kept] for each in points)
        return Cases(self.manifold, x, y, z)

    def _random(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        return self.support.draw(3 * n, generator).tensor_split(3)

    def _coincident(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x, z = self.support.draw(2 * n, generator).tensor_split(2)
        return x, x, z

    def _near(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x = self.support.draw(n, generator)
        return x, self._nudged(x, generator), self._nudged(x, generator)

    def _axis(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return random points, and points that differ from them in one coordinate."""
        x, y, z = self._random(n, generator)
        chosen = torch.randint(x[0].numel(), (n, 1), generator=generator)
        other = (torch.arange(x[0].numel()) != chosen).reshape(x.shape)
        return x, torch.where(other, x, y), z

    def _neighbours(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return random points, the nearest one of a pool to each, and the next nearest."""
        pool = self.support.pool[:128]
        flat = pool.reshape(len(pool), -1)
        order = torch.cdist(flat, flat).topk(3, dim=-1, largest=False).indices
        chosen = torch.randint(len(pool), (n,), generator=generator)
        return pool[chosen], pool[order[chosen, 1]], pool[order[chosen, 2]]

    def _curve(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return the start of a curve and two successive points on it."""
        start, end = self.support.draw(2, generator).tensor_split(2)
        if self.support.whole:
            return self._random(n, generator)
        steps = torch.linspace(0, 1, n + 1, dtype=start.dtype).reshape(-1, *[1] * (start.dim() - 1))
        curve = start + steps * (end - start)
        return start.expand_as(curve[1:]), curve[:-1], curve[1:]

    def _cut(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x, z = self.support.draw(2 * n, generator).tensor_split(2)
        found = self.manifold.cut_points(x)
        if len(found) == 0:
            return x, self._nudged(x, generator), z
        which = torch.randint(len(found), (n,), generator=generator)
        cut = found[which, torch.arange(n)]
        exact = torch.rand(n, generator=generator) < 0.5
        return x, torch.where(_column(exact, x), cut, self._nudged(cut, generator)), z

    def _antipodal(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        x, z = self.support.draw(2 * n, generator).tensor_split(2)
        exact = torch.rand(n, generator=generator) < 0.5
        return x, torch.where(_column(exact, x), -x, self._nudged(-x, generator)), z

    def _boundary(self, n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Return pairs of points some of whose coordinates are at their ends, and random points."""
        x, y, z = self._random(n, generator)
        ends = torch.stack([self.support.low, self.support.high]).reshape(2, *self.manifold.point_shape)
        pair = torch.stack([x, y])
        choice = torch.randint(4, pair.shape, generator=generator)
        pair = torch.where(choice == 0, ends[0], torch.where(choice == 1, ends[1], pair))
        return pair[0], pair[1], z

    def _nudged(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return points moved by between a hundred-millionth and the whole of the coordinates' spread."""
        if self.support.whole:
            return self.support.draw(len(x), generator)
        size = 10 ** (-8 * torch.rand(len(x), generator=generator, dtype=x.dtype))
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return x + _column(size, x) * self.support.spread * noise


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
