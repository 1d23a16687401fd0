"""Where a manifold's points are, learnt from its random points.

A search for broken axioms moves points around, and must know which moved points are still points.
A manifold that overrides ``project`` or ``contains`` says so itself. Of any other only its random
points are known; a moved point counts as one if it lies in their bounding box, is whole-numbered
if they are, and satisfies every polynomial equation of degree two or less that they satisfy
(spheres, rotations, projectors and symmetric matrices are all defined by such equations).
"""

from functools import cached_property

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.manifold import Manifold

POOL = 512


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
        self.whole = bool((flat == flat.round()).all())

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return random points in float64."""
        return self.manifold.project(self.manifold.random_point(n, generator).double())

    def admit(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return moved points, projected if the manifold can, and which of them are points."""
        if self.projects:
            points = self.manifold.project(points)
        flat = points.reshape(len(points), -1)
        keep = flat.isfinite().all(dim=-1)
        if self.decides:
            return points, keep & self.manifold.contains(points)
        keep = keep & (flat >= self.low).all(dim=-1) & (flat <= self.high).all(dim=-1)
        if self.whole:
            keep = keep & (flat == flat.round()).all(dim=-1)
        equations, accuracy = self._equations
        residuals = self._monomials(flat) @ equations
        return points, keep & (residuals.abs() <= accuracy).all(dim=-1)

    @cached_property
    def _equations(self) -> tuple[Tensor, Tensor]:
        """Coefficients of the k equations that the random points satisfy, and how accurately they do."""
        values = self._monomials(self.pool.reshape(POOL, -1))
        _, singular, rows = torch.linalg.svd(values, full_matrices=False)
        # Random points are drawn in float32, so that equations hold to about 1e-7.
        equations = rows[singular < 1e-5 * singular[0]].T
        return equations, 2 * (values @ equations).abs().amax(dim=0)

    def _monomials(self, flat: Tensor) -> Tensor:
        """Return all monomials of degree two or less, divided by their norm, at each point."""
        centre, spread = (self.low + self.high) / 2, self.spread.reshape(-1)
        x = (flat - centre) / torch.where(spread > 0, spread, 1)
        if x.shape[1] <= 16:
            i, j = torch.triu_indices(x.shape[1], x.shape[1])
            products = x[:, i] * x[:, j]
        else:
            products = x * x
        values = torch.cat([torch.ones_like(x[:, :1]), x, products], dim=1)
        length: Tensor = vector_norm(values, dim=-1, keepdim=True)
        return values / length
