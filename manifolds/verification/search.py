"""The search for triples of points that break an axiom.

hypothesis chooses the family of triples, the seed, the rounding of the coordinates and the
precision; each choice is a batch that one call evaluates; and hypothesis shrinks the choice that
failed, so that the triple reported has few decimals. A search is seeded and keeps no database: it
repeats exactly.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.cases import Cases, Families
from moduli.manifolds.verification.counterexamples import Counterexample, MetricAxiomError, constructor

EXAMPLES = 32

# What an error is compared with, relative to a typical distance: a formula that loses half of the
# digits, as arccos does near coincident points, passes; one that is off by more does not.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}

# Elsewhere single precision cannot tell an error of the formula from rounding of the points.
SINGLE_PRECISION_FAMILIES = ("random", "coincident", "cut", "antipodal")

Violation = Callable[[Cases, float], Tensor]


class NotApplicable(Exception):
    """The outcome of a check whose clause says nothing about the manifold."""


class Search:
    """What the checks of one manifold share: its families of points, and a typical distance.

    Parameters
    ----------
    manifold : Manifold
        The space under examination.
    cases : int, optional
        How many triples of points each clause tries; ``manifold.verification_cases`` when absent.

    Raises
    ------
    InvalidParameter
        If what is given is no manifold, or ``cases`` is not a positive integer.
    """

    def __init__(self, manifold: Manifold, cases: int | None = None) -> None:
        if not isinstance(manifold, Manifold):
            given = f"the class {manifold.__name__}" if isinstance(manifold, type) else repr(manifold)
            raise InvalidParameter(f"A manifold is checked, such as Torus(2); got {given}.")
        cases = manifold.verification_cases if cases is None else cases
        if isinstance(cases, bool) or not isinstance(cases, int) or cases < 1:
            raise InvalidParameter(f"cases must be a positive integer, got {cases!r}.")
        self.manifold = manifold
        self.size = -(-cases // EXAMPLES)
        self._batches: dict[tuple[Any, ...], Cases] = {}

    @cached_property
    def families(self) -> Families:
        """The families of triples."""
        return Families(self.manifold)

    @cached_property
    def scale(self) -> float:
        """The median distance of some random pairs."""
        pairs = self.batch("random", 0, None, torch.float64)
        typical = pairs.xy[pairs.xy.isfinite() & (pairs.xy > 0)]
        return float(typical.median()) if len(typical) else 1.0

    def batch(self, family: str, seed: int, digits: int | None, dtype: torch.dtype) -> Cases:
        """Return a batch of triples; the same one, distances included, whenever it is asked for."""
        key = (family, seed, digits, dtype)
        if key not in self._batches:
            self._batches[key] = self.families.draw(family, self.size, seed, digits, dtype)
        return self._batches[key]

    def find(
        self,
        clause: str,
        message: str,
        violates: Violation,
        formulas: Sequence[str],
        *,
        families: Sequence[str] = Families.names,
        digits: Sequence[int | None] = (0, 1, 2, 3, None),
        dtypes: Sequence[torch.dtype] = (torch.float64,),
        names: Mapping[str, tuple[str, Any]] | None = None,
    ) -> int:
        """Raise if a triple of points violates a clause, and return how many were tried.

        Parameters
        ----------
        clause, message : str
            The clause's name, and the first line of the error.
        violates : callable
            Maps triples and a tolerance to booleans.
        formulas : sequence of str
            What the error shows: Python expressions in d, x, y, z and ``names``.
        families : sequence of str
            Where to look.
        digits : sequence of int or None
            Decimals to which points are rounded, simplest first; None leaves them as they are.
        dtypes : sequence of torch.dtype
            Precisions in which to look.
        names : mapping, optional
            Other names in the formulas: the statement that defines each, and its value.

        Raises
        ------
        MetricAxiomError
            If a triple violates the clause, or the manifold raises an error of its own.
        """
        import hypothesis
        from hypothesis import strategies as st

        tried = 0
        failure: MetricAxiomError | None = None

        @hypothesis.seed(0)
        @hypothesis.settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
            suppress_health_check=list(hypothesis.HealthCheck),
            report_multiple_bugs=False,
            verbosity=hypothesis.Verbosity.quiet,
        )
        @hypothesis.given(
            family=st.sampled_from(families),
            seed=st.integers(0, 2**31),
            rounding=st.sampled_from(digits),
            dtype=st.sampled_from(dtypes),
        )
        def search(family: str, seed: int, rounding: int | None, dtype: torch.dtype) -> None:
            nonlocal tried, failure
            if dtype == torch.float32 and family not in SINGLE_PRECISION_FAMILIES:
                dtype = torch.float64
            try:
                cases = self.batch(family, seed, rounding, dtype)
                if len(cases) == 0:
                    return
                tried += len(cases)
                bad = violates(cases, TOLERANCE[dtype] * self.scale)
                if not bad.any():
                    return
                failure = self._error(clause, message, cases, _simplest(cases, bad), formulas, names or {})
            except (NotApplicable, NotDifferentiable):
                raise
            except Exception as error:  # a manifold under examination may fail in any way
                failure = MetricAxiomError(clause, f"{message} It raised {type(error).__name__}: {error}")
            raise _Found

        try:
            search()
        except _Found:
            assert failure is not None
            raise failure from None
        return tried

    def _error(
        self,
        clause: str,
        message: str,
        cases: Cases,
        index: int,
        formulas: Sequence[str],
        names: Mapping[str, tuple[str, Any]],
    ) -> MetricAxiomError:
        points = {"x": cases.x[index], "y": cases.y[index], "z": cases.z[index]}
        points = {
            name: point for name, point in points.items() if any(name in formula for formula in formulas)
        }
        scope = {"manifold": self.manifold, "d": self.manifold.distance, **points}
        scope |= {name: value for name, (_, value) in names.items()}
        numbers = {formula: float(eval(formula, dict(scope))) for formula in formulas}
        rows = [point.tolist() for point in points.values()]
        lines = [
            "import torch; from moduli.manifolds import *",
            f"manifold = {constructor(self.manifold)}; d = manifold.distance; "
            f"{', '.join(points)}, = torch.tensor({rows!r}, dtype={cases.x.dtype})",
            "; ".join([*(statement for statement, _ in names.values()), f"print({', '.join(formulas)})"]),
        ]
        return MetricAxiomError(clause, message, Counterexample(points, numbers, "\n".join(lines)))


def _simplest(cases: Cases, bad: Tensor) -> int:
    """Return which of the bad triples has the smallest coordinates."""
    points = torch.cat([each.reshape(len(cases), -1) for each in (cases.x, cases.y, cases.z)], dim=1)
    return int(torch.where(bad, points.abs().sum(dim=1), torch.inf).argmin())


class _Found(Exception):
    """Tells hypothesis that a batch holds a violation."""
