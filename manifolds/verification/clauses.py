"""Is it a metric space? The clauses that a manifold must satisfy, each with a check of its own."""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, suggestion
from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.cases import Cases
from moduli.manifolds.verification.counterexamples import MetricAxiomError, constructor
from moduli.manifolds.verification.search import TOLERANCE, NotApplicable, Search

# Moved or rounded coordinates may represent one point twice, at a distance of zero.
DISTINCT_FAMILIES = ("random", "near", "axis", "neighbours")
BOTH = (torch.float64, torch.float32)


def check_points(search: Search) -> int:
    """Check clause 1: random points have the right number, shape, and lie on the manifold."""
    manifold = search.manifold
    shape = getattr(manifold, "point_shape", None)
    if not isinstance(shape, tuple) or not all(isinstance(size, int) and size > 0 for size in shape):
        raise _failure(search, "points", f"point_shape must be a tuple of positive integers, got {shape!r}.")
    for n in (0, 1, 2, 17):
        points = manifold.random_point(n, torch.Generator().manual_seed(0))
        expected = (n, *shape)
        if not isinstance(points, Tensor) or tuple(points.shape) != expected:
            got = tuple(points.shape) if isinstance(points, Tensor) else type(points).__name__
            raise _failure(search, "points", f"random_point({n}) must have shape {expected}, got {got}.")
        manifold.check_points(points, f"random_point({n})")
    return 4


def check_seed(search: Search) -> int:
    """Check clause 2: a generator decides the points, and no global generator moves."""
    manifold = search.manifold
    with _watched_generators() as moved:
        first, again = (manifold.random_point(8, torch.Generator().manual_seed(1)) for _ in range(2))
        if not torch.equal(first, again):
            raise _failure(search, "seed", "two generators of one seed gave different points.")
        manifold.distance(first, again)
        if moved():
            raise _failure(search, "seed", f"{' and '.join(moved())} moved although a generator was given.")
    return 2


def check_shape(search: Search) -> int:
    """Check clause 3: distances have the broadcast leading shape of the points."""
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
            raise _failure(
                search,
                "shape",
                f"distance of points {tuple(x.shape)} and {tuple(y.shape)} must have shape "
                f"{tuple(expected)}, got {got}.",
            )
    return len(shapes)


def check_dtype(search: Search) -> int:
    """Check clause 4: distances have the points' dtype, and random points torch's default dtype."""
    manifold = search.manifold
    points = manifold.random_point(4, torch.Generator().manual_seed(3))
    if points.dtype != torch.get_default_dtype():
        raise _failure(
            search, "dtype", f"random_point must return {torch.get_default_dtype()}, got {points.dtype}."
        )
    for dtype in BOTH:
        result = manifold.distance(points.to(dtype), points.to(dtype)).dtype
        if result != dtype:
            raise _failure(search, "dtype", f"distance of points in {dtype} returned {result}.")
    return len(BOTH)


def check_finiteness(search: Search) -> int:
    """Check clause 5: every distance is a finite number."""
    return search.find(
        "finiteness", _title(search, "finiteness"), lambda c, _: ~c.xy.isfinite(), ["d(x, y)"], dtypes=BOTH
    )


def check_non_negativity(search: Search) -> int:
    """Check clause 6: no distance is negative."""
    return search.find(
        "non-negativity", _title(search, "non-negativity"), lambda c, _: c.xy < 0, ["d(x, y)"], dtypes=BOTH
    )


def check_identity(search: Search) -> int:
    """Check clause 7: a point is at distance zero from itself, up to rounding."""
    return search.find(
        "identity", _title(search, "identity"), lambda c, t: ~(c.xx.abs() <= t), ["d(x, x)"], dtypes=BOTH
    )


def check_separation(search: Search) -> int:
    """Check clause 8: different points are at a positive distance."""

    def violates(cases: Cases, tolerance: float) -> Tensor:
        spread = search.families.support.spread.max()
        gap = (cases.x - cases.y).abs().reshape(len(cases), -1)
        return (gap > 1e-5 * spread).any(dim=-1) & ~(cases.xy > 0)

    return search.find(
        "separation",
        _title(search, "separation"),
        violates,
        ["d(x, y)"],
        families=DISTINCT_FAMILIES,
        digits=(None,),
    )


def check_symmetry(search: Search) -> int:
    """Check clause 9: the distance there is the distance back."""
    return search.find(
        "symmetry",
        _title(search, "symmetry"),
        lambda c, t: ~((c.xy - c.yx).abs() <= t),
        ["d(x, y)", "d(y, x)"],
    )


def check_triangle(search: Search) -> int:
    """Check clause 10: no detour is shorter than the distance itself."""
    return search.find(
        "triangle",
        _title(search, "triangle"),
        lambda c, t: ~((c.xz <= c.xy + c.yz + t) & (c.xy <= c.xz + c.yz + t) & (c.yz <= c.xy + c.xz + t)),
        ["d(x, y)", "d(y, z)", "d(x, z)"],
    )


def check_broadcasting(search: Search) -> int:
    """Check clause 11: broadcasting, ``pairwise`` and single calls give the same distances."""
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
            raise _failure(search, "broadcasting", f"{what} differs from the distances of single pairs.")
    if not torch.equal(square, square.mT) or square.diagonal().any():
        raise _failure(search, "broadcasting", "pairwise(x) must be exactly symmetric, its diagonal zero.")
    return single.numel() + itself.numel()


def check_gradients(search: Search) -> int:
    """Check clause 12: gradients are finite, at coincident points and on the cut locus as well."""

    def violates(cases: Cases, _: float) -> Tensor:
        gradient = distance_gradient(search.manifold, cases.x, cases.y)
        return ~gradient.reshape(len(cases), -1).isfinite().all(dim=-1)

    formula = "distance_gradient(manifold, x, y).abs().sum()"
    statement = "from moduli.manifolds.verification.clauses import distance_gradient"
    try:
        return search.find(
            "gradients",
            _title(search, "gradients"),
            violates,
            [formula],
            dtypes=BOTH,
            names={"distance_gradient": (statement, distance_gradient)},
        )
    except NotDifferentiable as error:
        raise NotApplicable(str(error)) from None


def check_isometries(search: Search) -> int:
    """Check clause 13: declared isometries keep all distances."""
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
            "isometries",
            _title(search, "isometries"),
            violates,
            ["d(x, y)", "d(move(x), move(y))"],
            families=DISTINCT_FAMILIES,
            digits=(None,),
            names={"move": (f"move = {call}", move)},
        )
    return tried


@dataclass(frozen=True)
class Clause:
    """One thing that a manifold must do."""

    number: int
    name: str
    statement: str
    check: Callable[[Search], int]


CLAUSES = {
    clause.name: clause
    for clause in (
        Clause(1, "points", "random points have the right shape and lie on the manifold", check_points),
        Clause(2, "seed", "a seeded generator alone decides random points", check_seed),
        Clause(3, "shape", "distances have the broadcast shape of the points", check_shape),
        Clause(4, "dtype", "dtypes are kept", check_dtype),
        Clause(5, "finiteness", "d(x, y) is a finite number", check_finiteness),
        Clause(6, "non-negativity", "d(x, y) ≥ 0", check_non_negativity),
        Clause(7, "identity", "d(x, x) = 0", check_identity),
        Clause(8, "separation", "d(x, y) > 0 for x ≠ y", check_separation),
        Clause(9, "symmetry", "d(x, y) = d(y, x)", check_symmetry),
        Clause(10, "triangle", "d(x, z) ≤ d(x, y) + d(y, z)", check_triangle),
        Clause(11, "broadcasting", "broadcasting and pairwise agree with single pairs", check_broadcasting),
        Clause(12, "gradients", "gradients of d are finite everywhere", check_gradients),
        Clause(13, "isometries", "declared isometries keep distances", check_isometries),
    )
}


@dataclass(frozen=True)
class Result:
    """The outcome of one clause.

    Attributes
    ----------
    clause : Clause
        What was checked.
    verdict : str
        ``"passed"``, ``"failed"``, ``"not applicable"``, ``"not run"``, ``"expected failure"``, or
        ``"unexpected pass"``.
    cases : int
        How many cases were tried before a failure, or in all.
    detail : str
        The reason of the verdict; empty for a pass.
    error : MetricAxiomError or None
        What the check raised.
    """

    clause: Clause
    verdict: str
    cases: int = 0
    detail: str = ""
    error: MetricAxiomError | None = None


@dataclass(frozen=True)
class Report:
    """The outcome of all clauses; ``print`` shows it as a table.

    Attributes
    ----------
    manifold : Manifold
        What was examined.
    results : tuple of Result
        One for each clause, in their order.
    """

    manifold: Manifold
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether no clause failed, and none that was expected to fail passed."""
        return not any(result.verdict in ("failed", "unexpected pass", "not run") for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdicts as plain values, for JSON."""
        clauses = [
            {
                "number": result.clause.number,
                "name": result.clause.name,
                "statement": result.clause.statement,
                "verdict": result.verdict,
                "cases": result.cases,
                "detail": result.detail,
            }
            for result in self.results
        ]
        return {"manifold": repr(self.manifold), "passed": self.passed, "clauses": clauses}

    def __str__(self) -> str:
        lines = [f"{self.manifold!r}"]
        for result in self.results:
            clause = result.clause
            tried = f"{result.cases:>9,} cases" if result.cases else " " * 15
            lines.append(
                f"{clause.number:>4}  {clause.name:<15} {result.verdict:<17}{tried}  {clause.statement}"
            )
            lines += [f"      {line}" for line in result.detail.splitlines()]
        lines.append("A metric space." if self.passed else "Not a metric space, as it stands.")
        return "\n".join(line.rstrip() for line in lines)


def check_manifold(
    manifold: Manifold,
    *,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Report:
    """Check every clause of a manifold.

    Parameters
    ----------
    manifold : Manifold
        The space under examination.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.
    cases : int, optional
        How many triples of points each clause tries; ``manifold.verification_cases`` when absent.
        Ten times as many take about ten times as long.

    Returns
    -------
    Report

    Raises
    ------
    InvalidParameter
        If an expected failure names no clause, or ``cases`` is not a positive integer.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> check_manifold(Euclidean(2)).passed
    True
    """
    expected = require_clauses(expected_failures)
    search = Search(manifold, cases)
    results: list[Result] = []
    for clause in CLAUSES.values():
        if any(each.error and each.clause.name in ("points", "shape") for each in results):
            results.append(Result(clause, "not run"))
        else:
            results.append(_run(clause, search, expected.get(clause.name)))
    return Report(manifold, tuple(results))


def verify(manifold: Manifold, cases: int | None = None) -> None:
    """Raise unless a manifold is a metric space, as far as a search can tell.

    Parameters
    ----------
    manifold : Manifold
        The space under examination.
    cases : int, optional
        How many triples of points each clause tries; ``manifold.verification_cases`` when absent.

    Raises
    ------
    MetricAxiomError
        With the clause, the simplest points found that break it, the numbers, and three lines that
        reproduce them.
    InvalidParameter
        If what is given is no manifold.

    Examples
    --------
    >>> from moduli.manifolds import Circle, Euclidean
    >>> verify(Circle())
    >>> class Squared(Euclidean):
    ...     def distance(self, x, y):
    ...         return (x - y).square().sum(-1)
    >>> try:
    ...     verify(Squared(1))
    ... except MetricAxiomError as error:
    ...     print(error.clause, dict(error.counterexample.numbers))
    triangle {'d(x, y)': 1.0, 'd(y, z)': 1.0, 'd(x, z)': 4.0}
    """
    search = Search(manifold, cases)
    for clause in CLAUSES.values():
        result = _run(clause, search, None)
        if result.error is not None:
            raise result.error


def require_clauses(expected_failures: Mapping[str, str] | None) -> Mapping[str, str]:
    """Return expected failures, or raise unless each names a clause.

    Raises
    ------
    InvalidParameter
        If a key is not the name of a clause.
    """
    for name in expected_failures or {}:
        if name not in CLAUSES:
            raise InvalidParameter(
                f"expected_failures: no clause is called '{name}'; {suggestion(name, CLAUSES)}"
            )
    return expected_failures or {}


def run_check(clause: Clause, search: Search) -> int:
    """Run the check of one clause; whatever the manifold raises becomes a `MetricAxiomError`.

    Returns
    -------
    int
        How many cases were tried.

    Raises
    ------
    MetricAxiomError
        If the clause does not hold.
    NotApplicable
        If it says nothing about this manifold.
    """
    try:
        return clause.check(search)
    except (MetricAxiomError, NotApplicable):
        raise
    except Exception as error:  # a manifold under examination may fail in any way
        message = f"it raised {type(error).__name__}: {error}"
        raise _failure(search, clause.name, message) from error


def distance_gradient(manifold: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradients of distances with respect to both points, one after the other.

    Parameters
    ----------
    manifold : Manifold
        The space.
    x, y : Tensor
        Points of shape ``(..., *point_shape)``.

    Returns
    -------
    Tensor
        Shape ``(..., 2, *point_shape)``.

    Raises
    ------
    NotDifferentiable
        If the distance has no gradient.
    """
    x, y = (points.detach().clone().requires_grad_() for points in (x, y))
    with torch.enable_grad():
        distance = manifold.distance(x, y)
    if not distance.requires_grad:
        raise NotDifferentiable(f"Distances of {manifold!r} have no gradient: its points cannot be learned.")
    return torch.stack(torch.autograd.grad(distance.sum(), (x, y)), dim=-len(manifold.point_shape) - 1)


def _run(clause: Clause, search: Search, reason: str | None) -> Result:
    try:
        tried = run_check(clause, search)
    except NotApplicable as outcome:
        return Result(clause, "not applicable", detail=str(outcome))
    except MetricAxiomError as error:
        if reason is not None:
            return Result(clause, "expected failure", detail=reason, error=None)
        return Result(clause, "failed", detail=str(error), error=error)
    if reason is not None:
        return Result(clause, "unexpected pass", tried, f"It was expected to fail: {reason}")
    return Result(clause, "passed", tried)


def _title(search: Search, name: str) -> str:
    clause = CLAUSES[name]
    return f"{search.manifold!r} breaks clause {clause.number}, {name}: {clause.statement}."


def _failure(search: Search, name: str, message: str) -> MetricAxiomError:
    lines = (
        "Reproduce it with\n"
        "from moduli.manifolds import *; from moduli.manifolds.testing import *\n"
        f"manifold = {constructor(search.manifold)}\n"
        f"check_{name.replace('-', '_')}(Search(manifold))"
    )
    return MetricAxiomError(name, f"{_title(search, name)}\n  {message}\n{lines}")


@contextmanager
def _watched_generators() -> Iterator[Callable[[], list[str]]]:
    """Tell which global generators moved, and put them back."""
    import numpy as np

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def moved() -> list[str]:
        now = torch.get_rng_state(), np.random.get_state(), random.getstate()
        same = {
            "torch's global generator": torch.equal(now[0], states[0]),
            "numpy's global generator": str(now[1]) == str(states[1]),
            "Python's global generator": now[2] == states[2],
        }
        return [name for name, unchanged in same.items() if not unchanged]

    try:
        yield moved
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
