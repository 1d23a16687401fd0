"""Matrices of distances at the sizes at which they are used, against distances of a few pairs at a time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.pairwise import pairwise_distances
from moduli.manifolds.verification.differentiation import distance_gradient
from moduli.manifolds.verification.search import TOLERANCE, Search
from moduli.verification import Violation

# Pairs of one call of `distance`: formulas that change with the number of pairs do so beyond.
FEW = 32

# A matrix that is overridden is asked for at least so many points.
OVERRIDDEN = 128

# Points of the largest matrix: of one that is overridden, of one that is derived, and of the latter with a
# gradient; and how many coordinates its pairs may have.
LARGEST, DERIVED, DERIVED_GRADIENT, COORDINATES = 1024, 512, 64, 2**22

# How far points move along a direction in which gradients are compared, as a share of the way to another.
STEP = 1e-5

# What gradients may differ by, relative to their size.
SLOPE_TOLERANCE = {torch.float64: 1e-5, torch.float32: 5e-2}


@dataclass(frozen=True)
class Pairs:
    """Some entries of a matrix: every row and every column has some.

    Attributes
    ----------
    rows, columns : Tensor
        Numbers of points.
    distances : Tensor
        What ``distance`` says about them, a few at a time.
    """

    rows: Tensor
    columns: Tensor
    distances: Tensor


class Matrices:
    """What ``pairwise`` returns for one manifold and dtype.

    Parameters
    ----------
    search : Search
        What the checks of one manifold share.
    dtype : torch.dtype
        Of the points.
    """

    def __init__(self, search: Search, dtype: torch.dtype) -> None:
        self.manifold, self.dtype = search.manifold, dtype
        self.tolerance = TOLERANCE[dtype] * search.scale
        self.near = 0.05 * search.scale
        self.support = search.support
        overridden = type(self.manifold).pairwise is not Manifold.pairwise
        affordable = max(8, min(search.cases // 16, LARGEST, math.isqrt(COORDINATES // search.coordinates)))
        self.n = max(affordable, OVERRIDDEN) if overridden else min(affordable, DERIVED)
        self.n_gradient = self.n if overridden else min(affordable, DERIVED_GRADIENT)
        # Once every pair is compared, if that is affordable; elsewhere some of each row and column are.
        self.complete = overridden and affordable >= OVERRIDDEN and dtype == torch.float64
        self._special = 0
        self._generator = torch.Generator().manual_seed(0)

    def check_values(self) -> int:
        """Check shape, dtype, symmetry and every distance; return how many there were."""
        x, y = self._points(self.n), self._points(self.n // 2 + 3)
        name = f"for {len(x)} points in {self.dtype}"
        square = self.manifold.pairwise(x.clone())
        self._check_square(square, x, f"pairwise(x) {name}")
        if self.complete:
            expected = pairwise_distances(self.manifold.distance, x, None, repr(self.manifold))
            self._compare(square, expected, None, f"pairwise(x) {name}")
        self._check_rectangle(self.manifold.pairwise(x.clone(), y.clone()), x, y, f"pairwise(x, y) {name}")
        return len(x) * (len(x) + len(y))

    def check_gradients(self) -> int:
        """Check matrices that record a gradient, and the gradient; return how many entries it has."""
        x, y = self._points(self.n_gradient), self._points(self.n_gradient // 2 + 3)
        try:
            distance_gradient(self.manifold, x[:1], x[1:2])
        except NotDifferentiable:
            return 0
        one, other = (points.clone().requires_grad_() for points in (x, y))
        square, rectangle = self.manifold.pairwise(one), self.manifold.pairwise(one, other)
        name = f"with a gradient, for {len(x)} points in {self.dtype}"
        pairs = self._check_square(square.detach(), x, f"pairwise(x) {name}")
        self._check_slopes(square, pairs, (one,), f"pairwise(x) {name}")
        pairs = self._check_rectangle(rectangle.detach(), x, y, f"pairwise(x, y) {name}")
        self._check_slopes(rectangle, pairs, (one, other), f"pairwise(x, y) {name}")
        return x.numel() + y.numel()

    def _points(self, n: int) -> Tensor:
        """Return random points, after some that coincide with a random one or lie at its cut locus."""
        points = self.support.draw(n, self._generator)
        cuts = self.manifold.cut_points(points[:2].clone()).reshape(-1, *self.manifold.point_shape)
        special = torch.cat([points[:4], cuts[:8]])
        self._special = len(special)
        return torch.cat([special, points]).to(self.dtype)

    def _check_square(self, matrix: Tensor, x: Tensor, what: str) -> Pairs:
        self._check_kind(matrix, (len(x), len(x)), what)
        if not torch.equal(matrix, matrix.mT):
            i, j = (matrix != matrix.mT).nonzero()[0].tolist()
            raise Violation(f"{what} must be exactly symmetric, entries {i}, {j} and {j}, {i} differ.")
        if matrix.diagonal().any():
            largest = float(matrix.diagonal().abs().max())
            raise Violation(f"{what} must have a zero diagonal, which reaches {largest:.3g}.")
        return self._check_entries(matrix, x, None, what)

    def _check_rectangle(self, matrix: Tensor, x: Tensor, y: Tensor, what: str) -> Pairs:
        self._check_kind(matrix, (len(x), len(y)), what)
        return self._check_entries(matrix, x, y, what)

    def _check_kind(self, matrix: object, shape: tuple[int, int], what: str) -> None:
        if isinstance(matrix, Tensor) and (tuple(matrix.shape), matrix.dtype) == (shape, self.dtype):
            return
        found = (tuple(matrix.shape), matrix.dtype) if isinstance(matrix, Tensor) else type(matrix).__name__
        raise Violation(f"{what} must have their dtype and shape {shape}, got {found}.")

    def _check_entries(self, matrix: Tensor, x: Tensor, y: Tensor | None, what: str) -> Pairs:
        """Check some entries against distances of few pairs."""
        pairs = self._pairs(x, x if y is None else y, y is None)
        places = torch.stack([pairs.rows, pairs.columns], dim=-1)
        self._compare(matrix[pairs.rows, pairs.columns], pairs.distances, places, what)
        return pairs

    def _compare(self, found: Tensor, expected: Tensor, places: Tensor | None, what: str) -> None:
        """Raise if an entry differs from a distance; its place is its index where ``places`` is None."""
        wrong = ~((found - expected).abs() <= self.tolerance)
        if wrong.any():
            first = tuple(wrong.nonzero()[0].tolist())
            i, j = first if places is None else places[first].tolist()
            raise Violation(
                f"{what} has {float(found[first]):.9g} at {i}, {j}, where distance gives "
                f"{float(expected[first]):.9g}."
            )

    def _pairs(self, x: Tensor, y: Tensor, square: bool) -> Pairs:
        n, m = len(x), len(y)
        count = max(n, m)
        rows = torch.arange(count) % n
        columns = torch.randperm(count, generator=self._generator) % m
        if square:
            apart = rows != columns
            rows, columns = rows[apart], columns[apart]
        with torch.no_grad():
            distances = [
                self.manifold.distance(x[i], y[j])
                for i, j in zip(rows.split(FEW), columns.split(FEW), strict=True)  # type: ignore[no-untyped-call]
            ]
        return Pairs(rows, columns, torch.cat(distances))

    def _check_slopes(self, matrix: Tensor, pairs: Pairs, points: tuple[Tensor, ...], what: str) -> None:
        """Check the gradient of a weighted sum of the distances of some pairs."""
        if not matrix.requires_grad:
            raise Violation(f"{what} records no gradient, though distance has one.")
        whole = _gradients(matrix.sum(), points)
        if not all(gradient.isfinite().all() for gradient in whole):
            raise Violation(f"the gradient of {what} is not finite.")
        # At the cut locus a distance has several slopes; that of near points turns fast and rounds coarsely.
        smooth = (pairs.distances > self.near) & (torch.minimum(pairs.rows, pairs.columns) >= self._special)
        rows, columns = pairs.rows[smooth], pairs.columns[smooth]
        weights = torch.randn(len(rows), generator=self._generator, dtype=self.dtype)
        found = _gradients((matrix[rows, columns] * weights).sum(), points)
        leaves = [each.detach().clone().requires_grad_() for each in points]
        total = matrix.new_zeros(())
        for chosen in torch.arange(len(rows)).split(FEW):  # type: ignore[no-untyped-call]
            lengths = self.manifold.distance(leaves[0][rows[chosen]], leaves[-1][columns[chosen]])
            total = total + (lengths * weights[chosen]).sum()
        expected = _gradients(total, leaves)
        for name, each, ours, theirs in zip("xy", leaves, found, expected, strict=False):
            self._compare_along(each.detach(), ours, theirs, f"the gradient of {what} with respect to {name}")

    def _compare_along(self, points: Tensor, found: Tensor, expected: Tensor, what: str) -> None:
        """Check gradients along steps within the manifold; off it, formulas may go on as they like."""
        points = points.double()
        target = points[torch.randperm(len(points), generator=self._generator)]
        direction = self.support.tangent(points, target - points)
        ahead, possible = self.support.step(points, STEP * direction)
        behind, possible_too = self.support.step(points, -STEP * direction)
        step, possible = (ahead - behind) / (2 * STEP), possible & possible_too

        def along(gradient: Tensor) -> Tensor:
            return (gradient.double() * step).reshape(len(points), -1).sum(dim=-1)[possible]

        ours, theirs = along(found), along(expected)
        if len(ours) == 0:
            return
        size = theirs.abs() + theirs.abs().median()
        wrong = ~((ours - theirs).abs() <= SLOPE_TOLERANCE[self.dtype] * size)
        if wrong.any():
            first = int(wrong.nonzero()[0])
            raise Violation(
                f"{what} gives the slope {float(ours[first]):.6g} at point {int(possible.nonzero()[first])}, "
                f"where that of distance gives {float(theirs[first]):.6g}."
            )


def _gradients(total: Tensor, points: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return gradients, zero with respect to points that were not used; the graph is kept."""
    return torch.autograd.grad(total, points, retain_graph=True, allow_unused=True, materialize_grads=True)
