"""Is it a metric space? The clauses that a manifold must satisfy, each with its check."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from moduli.manifolds.errors import MetricAxiomError, NotDifferentiable
from moduli.manifolds.verification.cases import Cases
from moduli.manifolds.verification.differentiation import (
    Slopes,
    distance_gradient,
    slope_by_difference,
    slope_by_gradient,
)
from moduli.manifolds.verification.generators import watched_generators
from moduli.manifolds.verification.matrices import Matrices
from moduli.manifolds.verification.search import TOLERANCE, Search
from moduli.manifolds.verification.watching import WatchedPoints, calls
from moduli.verification import Clauses, NotApplicable, Violation

CLAUSES: Clauses[Search] = Clauses(
    "manifold", MetricAxiomError, ("A metric space.", "Not a metric space, as it stands.")
)
"""What a manifold must do."""

# Moved or rounded coordinates may represent one point twice, at a distance of zero.
DISTINCT_FAMILIES = ("random", "near", "axis", "neighbours")
BOTH = (torch.float64, torch.float32)

# Batches of small steps, each of which takes as long as five of distances.
SLOPE_EXAMPLES = 12


@CLAUSES.clause("points", "random points have the right shape and lie on the manifold", essential=True)
def check_points(search: Search) -> int:
    """Check that random points have the right number, shape, and lie on the manifold."""
    manifold = search.manifold
    shape = getattr(manifold, "point_shape", None)
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size > 0 for size in shape):
        raise Violation(f"point_shape must be a tuple of positive integers, got {shape!r}.")
    for n in (0, 1, 2, 17):
        points = manifold.random_point(n, torch.Generator().manual_seed(0))
        expected = (n, *shape)
        if not isinstance(points, Tensor) or tuple(points.shape) != expected:
            got = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
            raise Violation(f"random_point({n}) must have shape {expected}, got {got}.")
        manifold.check_points(points, f"random_point({n})")
    return 4


@CLAUSES.clause("seed", "a seeded generator alone decides random points")
def check_seed(search: Search) -> int:
    """Check that a generator decides the points, and no global generator moves."""
    manifold = search.manifold
    with watched_generators() as moved:
        first, again = (manifold.random_point(8, torch.Generator().manual_seed(1)) for _ in range(2))
        if not torch.equal(first, again):
            raise Violation("two generators of one seed gave different points.")
        manifold.distance(first, again)
        if moved():
            raise Violation(f"{' and '.join(moved())} moved although a generator was given.")
    return 2


@CLAUSES.clause("shape", "distances have the broadcast shape of the points", essential=True)
def check_shape(search: Search) -> int:
    """Check that distances have the broadcast leading shape of the points."""
    manifold = search.manifold
    tried = 0
    for x, y, expected in _broadcasts(search):
        try:
            result = manifold.distance(x, y)
        except RuntimeError as error:
            if "broadcast shape" not in str(error):
                raise
            raise Violation(
                f"{error}. An operation in place cannot broadcast, and changes its caller's points: write "
                "x - y, not x -= y."
            ) from error
        if not isinstance(result, Tensor) or result.shape != expected:
            got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise Violation(
                f"distance of points {tuple(x.shape)} and {tuple(y.shape)} must have shape "
                f"{tuple(expected)}, got {got}."
            )
        tried += 1
    return tried


@CLAUSES.clause("dtype", "dtypes are kept")
def check_dtype(search: Search) -> int:
    """Check that distances have the points' dtype, and random points torch's default dtype."""
    manifold, tried = search.manifold, 0
    drawn = manifold.random_point(4, torch.Generator().manual_seed(3)).dtype
    if drawn != torch.get_default_dtype():
        raise Violation(f"random_point must return {torch.get_default_dtype()}, got {drawn}.")
    for dtype in BOTH:
        for x, y, _ in _broadcasts(search):
            result = manifold.distance(x.to(dtype), y.to(dtype)).dtype
            if result != dtype:
                raise Violation(
                    f"distance of points {tuple(x.shape)} and {tuple(y.shape)} in {dtype} returned {result}."
                )
            tried += 1
    return tried


def _broadcasts(search: Search) -> Iterator[tuple[Tensor, Tensor, torch.Size]]:
    """Yield points of leading shapes that broadcast, and the shape to which they do."""
    many = search.many
    points = search.manifold.random_point(max(6, many), torch.Generator().manual_seed(2))
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]
    shapes = [((), ()), ((1,), (1,)), ((6,), (6,)), ((), (6,)), ((2, 1), (1, 3)), ((2, 3), (3,))]
    shapes += [((many,), (many,)), ((many // 3, 1), (1, 3))]
    for leading in shapes:
        x, y = (
            points[: math.prod(each)].reshape((*each, *search.manifold.point_shape)).clone()
            for each in leading
        )
        yield x, y, torch.Size(np.broadcast_shapes(*leading))


@CLAUSES.clause("finiteness", "d(x, y) is a finite number")
def check_finiteness(search: Search) -> int:
    """Check that every distance is a finite number."""
    return search.find(lambda c, _: ~c.xy.isfinite(), ["d(x, y)"], dtypes=BOTH)


@CLAUSES.clause("non-negativity", "d(x, y) ≥ 0")
def check_non_negativity(search: Search) -> int:
    """Check that no distance is negative."""
    return search.find(lambda c, _: c.xy < 0, ["d(x, y)"], dtypes=BOTH)


@CLAUSES.clause("identity", "d(x, x) = 0")
def check_identity(search: Search) -> int:
    """Check that a point is at distance zero from itself, up to rounding."""
    return search.find(lambda c, t: ~(c.xx.abs() <= t), ["d(x, x)"], dtypes=BOTH)


@CLAUSES.clause("separation", "d(x, y) > 0 for x ≠ y")
def check_separation(search: Search) -> int:
    """Check that different points are at a positive distance."""

    def violates(cases: Cases, tolerance: float) -> Tensor:
        spread = search.families.support.spread.max()
        gap = (cases.x - cases.y).abs().reshape(len(cases), -1)
        return (gap > 1e-5 * spread).any(dim=-1) & ~(cases.xy > 0)

    return search.find(
        violates,
        ["d(x, y)"],
        families=DISTINCT_FAMILIES,
        digits=(None,),
    )


@CLAUSES.clause("symmetry", "d(x, y) = d(y, x)")
def check_symmetry(search: Search) -> int:
    """Check that the distance there is the distance back."""
    return search.find(
        lambda c, t: ~((c.xy - c.yx).abs() <= t),
        ["d(x, y)", "d(y, x)"],
    )


@CLAUSES.clause("triangle", "d(x, z) ≤ d(x, y) + d(y, z)")
def check_triangle(search: Search) -> int:
    """Check that no detour is shorter than the distance itself."""
    return search.find(
        lambda c, t: ~((c.xz <= c.xy + c.yz + t) & (c.xy <= c.xz + c.yz + t) & (c.yz <= c.xy + c.xz + t)),
        ["d(x, y)", "d(y, z)", "d(x, z)"],
    )


@CLAUSES.clause("broadcasting", "broadcasting and pairwise agree with single pairs")
def check_broadcasting(search: Search) -> int:
    """Check that broadcasting, ``pairwise`` and single calls give the same distances."""
    manifold = search.manifold
    x, y = search.support.draw(2 * search.many, torch.Generator().manual_seed(4)).tensor_split(2)
    tolerance = TOLERANCE[torch.float64] * search.scale
    along = torch.stack([manifold.distance(a, b) for a, b in zip(x.clone(), y.clone(), strict=True)])
    rows = len(x) // 5
    grid = (rows, 5, *manifold.point_shape)
    together = {
        "distance(x, y)": (manifold.distance(x.clone(), y.clone()), along),
        "distance of a grid of points": (
            manifold.distance(*(each[: 5 * rows].clone().reshape(grid) for each in (x, y))),
            along[: 5 * rows].reshape(rows, 5),
        ),
    }
    x, y = x[:7], y[:5]
    single = torch.stack([torch.stack([manifold.distance(a, b) for b in y.clone()]) for a in x.clone()])
    itself = torch.stack([torch.stack([manifold.distance(a, b) for b in x.clone()]) for a in x.clone()])
    square = manifold.pairwise(x.clone())
    together |= {
        "distance(x[:, None], y[None])": (manifold.distance(x.clone()[:, None], y.clone()[None]), single),
        "pairwise(x, y)": (manifold.pairwise(x.clone(), y.clone()), single),
        "pairwise(x)": (square, itself),
    }
    for what, (matrix, expected) in together.items():
        if matrix.shape != expected.shape or not (matrix - expected).abs().max() <= tolerance:
            raise Violation(f"{what} differs from the distances of single pairs.")
    if not torch.equal(square, square.mT) or square.diagonal().any():
        raise Violation("pairwise(x) must be exactly symmetric, its diagonal zero.")
    return sum(matrix.numel() for matrix, _ in together.values())


@CLAUSES.clause("gradients", "gradients of d are finite everywhere")
def check_gradients(search: Search) -> int:
    """Check that gradients are finite, at coincident points and on the cut locus as well."""

    def violates(cases: Cases, _: float) -> Tensor:
        try:
            gradient = distance_gradient(search.manifold, cases.x, cases.y)
        except NotDifferentiable as error:
            raise NotApplicable(str(error)) from None
        return ~gradient.reshape(len(cases), -1).isfinite().all(dim=-1)

    statement = "from moduli.manifolds.testing import distance_gradient"
    return search.find(
        violates,
        ["distance_gradient(manifold, x, y).abs().sum()"],
        dtypes=BOTH,
        names={statement: {"distance_gradient": distance_gradient}},
    )


@CLAUSES.clause("isometries", "declared isometries keep distances")
def check_isometries(search: Search) -> int:
    """Check that declared isometries keep all distances."""
    tried = 0
    for seed in range(2):
        call = f"manifold.random_isometry(torch.Generator().manual_seed({seed}))"
        move = search.manifold.random_isometry(torch.Generator().manual_seed(seed))
        if move is None:
            raise NotApplicable("The manifold declares no isometries.")

        def violates(cases: Cases, tolerance: float, move: Callable[[Tensor], Tensor] = move) -> Tensor:
            moved = search.manifold.distance(move(cases.x), move(cases.y))
            return ~((moved - cases.xy).abs() <= tolerance * (1 + cases.xy / search.scale))

        tried += search.find(
            violates,
            ["d(x, y)", "d(move(x), move(y))"],
            families=DISTINCT_FAMILIES,
            digits=(None,),
            names={f"move = {call}": {"move": move}},
        )
    return tried


@CLAUSES.clause("pairwise", "pairwise is distance, for many points, in both dtypes, with its gradient")
def check_pairwise(search: Search) -> int:
    """Check ``pairwise`` at 100 and more points, where distances are not too slow."""
    matrices = [Matrices(search, dtype) for dtype in BOTH]
    values = sum(each.check_values() for each in matrices)
    return values + sum(each.check_gradients() for each in matrices)


@CLAUSES.clause("slopes", "gradients are the slopes of the distance")
def check_slopes(search: Search) -> int:
    """Check gradients against small steps of both points, and those in float32 against them."""
    if search.support.whole:
        raise NotApplicable("Its points cannot be moved by small steps.")

    def violates(cases: Cases, _: float) -> Tensor:
        try:
            slopes = Slopes(search.support, cases.x, cases.y, cases.z)
        except NotDifferentiable as error:
            raise NotApplicable(str(error)) from None
        # Distances of near points turn fast, so that small steps are not small.
        judged = slopes.possible & (cases.xy.double() > 0.05 * search.scale)
        if cases.x.dtype == torch.float32:
            single, predicted = slopes.in_single_precision(), slopes.predicted
            wrong = ~((single - predicted).abs() <= 0.05 * _size(predicted, judged))
        else:
            margin = 1e-3 * _size(slopes.measured, judged)
            inside = (slopes.predicted >= slopes.lowest - margin) & (
                slopes.predicted <= slopes.highest + margin
            )
            wrong = ~inside
        return judged & wrong

    return search.find(
        violates,
        ["slope_by_gradient(manifold, x, y, z)", "slope_by_difference(manifold, x, y, z)"],
        families=("random", "axis", "neighbours"),
        digits=(None,),
        dtypes=BOTH,
        names={
            "from moduli.manifolds.testing import slope_by_difference, slope_by_gradient": {
                "slope_by_difference": slope_by_difference,
                "slope_by_gradient": slope_by_gradient,
            }
        },
        examples=SLOPE_EXAMPLES,
    )


def _size(slopes: Tensor, judged: Tensor) -> Tensor:
    """Return the size of each slope, or the typical one where that is larger."""
    typical = slopes[judged].abs().mean() if judged.any() else 1.0
    return slopes.abs() + typical


@CLAUSES.clause("untouched", "no call changes the points that it is given")
def check_untouched(search: Search) -> int:
    """Check that methods leave points as they are, whatever memory they share."""
    manifold, tried = search.manifold, 0
    generator = torch.Generator().manual_seed(5)
    drawn = manifold.random_point(12, generator)
    before = drawn.clone()
    manifold.distance(*drawn.tensor_split(2))
    if not torch.equal(drawn, before):
        raise Violation("distance(x, y) changed points that random_point had returned.")
    for dtype in BOTH:
        for n in (1, 6, search.many):
            points = search.support.draw(2 * n, generator).to(dtype)
            for name, call in calls(manifold, few=n <= 6).items():
                watched = WatchedPoints(points)
                call(*watched.points.tensor_split(2))
                if watched.changed():
                    raise Violation(f"{name} changed its points, {n} and {n} in {dtype}.")
                tried += 1
    return tried
