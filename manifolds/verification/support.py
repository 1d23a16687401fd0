"""Where a manifold's points are, learnt from its random points.

A search for broken axioms moves points around, and must know which moved points are still points.
A manifold that overrides ``project`` or ``contains`` says so itself. Of any other only its random
points are known; a moved point counts as one if it lies in their bounding box, takes one of their
values in every coordinate that has few, and satisfies every polynomial equation of low degree that
they satisfy (spheres, rotations, projectors and symmetric matrices are all defined by such equations);
where it breaks a clause, most random points must also be at a finite distance from it. Points that were
drawn count always.
"""

import torch
from torch import Tensor

from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.equations import Equations

POOL = 512

# Random points that tell whether a moved one is a point.
WITNESSES = 7

# A coordinate with so few different values among the pool's is drawn from a list of them.
FEW_VALUES = POOL // 8


class Support:
    """The places at which a manifold is examined.

    Parameters
    ----------
    manifold : Manifold
        The space.
    """

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold
        self.projects = type(manifold).project is not Manifold.project
        self.decides = self.projects or type(manifold).contains is not Manifold.contains
        self.pool = self.draw(POOL, torch.Generator().manual_seed(0))
        flat = self.pool.reshape(POOL, -1)
        self.low, self.high = flat.amin(dim=0), flat.amax(dim=0)
        self.spread = flat.std(dim=0).reshape(manifold.point_shape)
        self.values = flat.T.sort(dim=-1).values.contiguous()
        changes = (self.values.diff(dim=-1) != 0).sum(dim=-1)
        self.discrete = (changes < FEW_VALUES) | (flat == flat.round()).all(dim=0)
        self.whole = bool(self.discrete.all())
        self.equations = Equations(self._many)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return random points in float64."""
        return self.manifold.project(self.manifold.random_point(n, generator).double())

    def admit(self, points: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Return moved points, projected if the manifold can, and which of them are points.

        Parameters
        ----------
        points : Tensor
            Shape ``(n, *point_shape)``.
        drawn : Tensor
            Points, k for each of the given ones, from which those were made; shape
            ``(k, n, *point_shape)``, or ``(k, 1, *point_shape)`` for the same ones everywhere.
        """
        flat, drawn = points.reshape(len(points), -1), drawn.reshape(*drawn.shape[:2], -1)
        known = (flat == drawn).all(dim=-1).any(dim=0)
        if known.all() or (self.equations.unknown and not self.decides):
            return points, known
        if self.projects:
            points = torch.where(_column(known, points), points, self.manifold.project(points))
            flat = points.reshape(len(points), -1)
        keep = flat.isfinite().all(dim=-1)
        if self.decides:
            return points, known | (keep & self.manifold.contains(points))
        keep = keep & self._within(flat, drawn) & self._listed(flat, drawn) & self.equations.hold(flat)
        return points, keep | known

    def tangent(self, points: Tensor, direction: Tensor) -> Tensor:
        """Return the part of directions, of shape ``(n, *point_shape)``, that leads along the manifold."""
        flat, x = direction.reshape(len(direction), -1), points.reshape(len(points), -1)
        flat = flat.masked_fill(self.discrete, 0)
        if not self.decides:
            # A coordinate at its end has no room to move both ways.
            room = torch.minimum(x - self.low, self.high - x)
            flat = flat.masked_fill(room < 1e-3 * flat.abs(), 0)
        if not self.projects:
            flat = self.equations.tangent(x, flat)
        return flat.reshape(points.shape)

    def step(self, points: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
        """Return points moved by a small step along a tangent, and for which of them there is one.

        Both have shape ``(n, *point_shape)``.
        """
        moved, keep = self.admit(points + step, points[None])
        # Where a canonical representative jumps, the step leads elsewhere.
        taken, wanted = (each.reshape(len(points), -1).norm(dim=-1) for each in (moved - points, step))
        return moved, keep & (taken <= 10 * wanted)

    def plausible(self, points: Tensor) -> Tensor:
        """Tell which moved points are at a finite distance from most of some random points.

        A set may end at an inequality of which only the distance knows: outside a disc it is NaN, or raises.
        """
        if self.decides:
            return torch.ones(len(points), dtype=torch.bool)
        try:
            lengths = self.manifold.distance(points[:, None].clone(), self.pool[None, :WITNESSES].to(points))
            return lengths.isfinite().sum(dim=-1) > WITNESSES // 2
        except Exception:  # a distance may fail in any way
            if len(points) == 1:
                return torch.zeros(1, dtype=torch.bool)
            return torch.cat([self.plausible(half) for half in points.tensor_split(2)])

    def _within(self, flat: Tensor, drawn: Tensor) -> Tensor:
        """Tell which points lie in the bounding box of the pool and the drawn points."""
        low, high = torch.minimum(self.low, drawn.amin(dim=0)), torch.maximum(self.high, drawn.amax(dim=0))
        return ((flat >= low) & (flat <= high)).all(dim=-1)

    def _listed(self, flat: Tensor, drawn: Tensor) -> Tensor:
        """Tell which points take, in each coordinate that has few values, one of these."""
        if not self.discrete.any():
            return torch.ones(len(flat), dtype=torch.bool)
        columns = flat.T.contiguous()
        places = torch.searchsorted(self.values, columns).clamp(max=POOL - 1)
        listed = (self.values.gather(1, places) == columns).T | (flat == drawn).any(dim=0)
        return (listed | ~self.discrete).all(dim=-1)

    def _many(self, n: int) -> Tensor:
        """Return at least n random points, flattened."""
        if n <= POOL:
            return self.pool.reshape(POOL, -1)
        return self.draw(n, torch.Generator().manual_seed(0)).reshape(n, -1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
