"""Is it a metric space? The clauses that a manifold must satisfy, each with its check."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from moduli.manifolds.errors import MetricAxiomError, NotDifferentiable
from moduli.manifolds.verification.cases import Cases
from moduli.manifolds.verification.differentiation import distance_gradient
from moduli.manifolds.verification.generators import watched_generators
from moduli.manifolds.verification.search import TOLERANCE, Search
from moduli.verification import Clauses, NotApplicable, Violation

CLAUSES: Clauses[Search] = Clauses(
    "manifold", MetricAxiomError, ("A metric space.", "Not a metric space, as it stands.")
)
"""What a manifold must do."""

# Moved or rounded coordinates may represent one point twice, at a distance of zero.
DISTINCT_FAMILIES = ("random", "near", "axis", "neighbours")
BOTH = (torch.float64, torch.float32)


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
    points = manifold.random_point(6, torch.Generator().manual_seed(2))
    shapes: list[tuple[tuple[int, ...], tuple[int, ...]]]
    shapes = [((), ()), ((1,), (1,)), ((6,), (6,)), ((), (6,)), ((2, 1), (1, 3)), ((2, 3), (3,))]
    for first, second in shapes:
        x, y = (
            points[: math.prod(leading)].reshape(*leading, *manifold.point_shape)
            for leading in (first, second)
        )
        result = manifold.distance(x, y)
        expected = torch.broadcast_shapes(first, second)  # type: ignore[no-untyped-call]
        if not isinstance(result, Tensor) or result.shape != expected:
            got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise Violation(
                f"distance of points {tuple(x.shape)} and {tuple(y.shape)} must have shape "
                f"{tuple(expected)}, got {got}."
            )
    return len(shapes)


@CLAUSES.clause("dtype", "dtypes are kept")
def check_dtype(search: Search) -> int:
    """Check that distances have the points' dtype, and random points torch's default dtype."""
    manifold = search.manifold
    points = manifold.random_point(4, torch.Generator().manual_seed(3))
    if points.dtype != torch.get_default_dtype():
        raise Violation(f"random_point must return {torch.get_default_dtype()}, got {points.dtype}.")
    for dtype in BOTH:
        result = manifold.distance(points.to(dtype), points.to(dtype)).dtype
        if result != dtype:
            raise Violation(f"distance of points in {dtype} returned {result}.")
    return len(BOTH)


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
    cases = search.batch("random", 0, None, torch.float64)
    x, y = cases.x[:7], cases.y[:5]
    tolerance = TOLERANCE[torch.float64] * search.scale
    single = torch.stack([torch.stack([manifold.distance(a, b) for b in y]) for a in x])
    itself = torch.stack([torch.stack([manifold.distance(a, b) for b in x]) for a in x])
    square = manifold.pairwise(x)
    for what, matrix, expected in (
        ("distance(x[:, None], y[None])", manifold.distance(x[:, None], y[None]), single),
        ("pairwise(x, y)", manifold.pairwise(x, y), single),
        ("pairwise(x)", square, itself),
    ):
        if matrix.shape != expected.shape or not (matrix - expected).abs().max() <= tolerance:
            raise Violation(f"{what} differs from the distances of single pairs.")
    if not torch.equal(square, square.mT) or square.diagonal().any():
        raise Violation("pairwise(x) must be exactly symmetric, its diagonal zero.")
    return single.numel() + itself.numel()


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
