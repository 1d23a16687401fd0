"""The search for triples of points that break an axiom.

hypothesis chooses the family of triples, the seed, the rounding of the coordinates and the
precision; each choice is a batch that one call evaluates; and hypothesis shrinks the choice that
failed, so that the triple reported has few decimals.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, ModuliError
from moduli.manifolds.arguments import is_own
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.cases import Cases, Families
from moduli.manifolds.verification.support import Support
from moduli.verification import Counterexample, NotApplicable, Violation, search

EXAMPLES = 32

# Few, so that clauses often meet at a batch whose distances are known, and shrinking is short.
SEEDS = range(8)

# Triples with so many coordinates are tried by default, so that a thousand dimensions take seconds too.
COORDINATES = 2**20

# What an error is compared with, relative to a typical distance: a formula that loses half of the
# digits, as arccos does near coincident points, passes; one that is off by more does not.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}

# Elsewhere single precision cannot tell an error of the formula from rounding of the points.
SINGLE_PRECISION_FAMILIES = ("random", "coincident", "cut", "antipodal")


class Search:
    """What the checks of one manifold share: its families of points, and a typical distance.

    Parameters
    ----------
    manifold : Manifold
        The space under examination.
    cases : int, optional
        How many triples of points each clause tries; when absent ``manifold.verification_cases``, or fewer
        of more than 64 coordinates.

    Raises
    ------
    InvalidParameter
        If what is given is not a manifold, or ``cases`` is not a positive integer.
    """

    def __init__(self, manifold: Manifold, cases: int | None = None) -> None:
        if not isinstance(manifold, Manifold):
            given = f"the class {manifold.__name__}" if isinstance(manifold, type) else repr(manifold)
            raise InvalidParameter(f"A manifold is checked, such as Torus(2); got {given}.")
        if cases is not None and (isinstance(cases, bool) or not isinstance(cases, int) or cases < 1):
            raise InvalidParameter(f"cases must be a positive integer, got {cases!r}.")
        self.manifold = manifold
        self._given = cases
        self._batches: dict[tuple[Any, ...], Cases] = {}

    @property
    def subject(self) -> Manifold:
        """The manifold."""
        return self.manifold

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run a check again."""
        return (
            "from moduli.manifolds import *; from moduli.manifolds.testing import *\n"
            f"manifold = {constructor(self.manifold)}\n"
            f"{check}(Search(manifold))"
        )

    @cached_property
    def coordinates(self) -> int:
        """How many coordinates a point has."""
        return math.prod(self.manifold.point_shape)

    @cached_property
    def cases(self) -> int:
        """How many triples each clause tries."""
        if self._given is not None:
            return self._given
        return min(self.manifold.verification_cases, COORDINATES // self.coordinates + 1)

    @property
    def size(self) -> int:
        """How many triples a batch holds."""
        return -(-self.cases // EXAMPLES)

    @property
    def many(self) -> int:
        """How many pairs count as many: a formula may change beyond some number."""
        return min(150, max(7, self.cases // 4))

    @property
    def support(self) -> Support:
        """Where the manifold's points are."""
        return self.families.support

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
        violates: Callable[[Cases, float], Tensor],
        formulas: Sequence[str],
        *,
        families: Sequence[str] = Families.names,
        digits: Sequence[int | None] = (0, 1, 2, 3, None),
        dtypes: Sequence[torch.dtype] = (torch.float64,),
        names: Mapping[str, Mapping[str, Any]] | None = None,
        examples: int = EXAMPLES,
    ) -> int:
        """Raise if a triple of points violates a clause, and return how many were tried.

        Parameters
        ----------
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
            Other statements that the formulas need, each with the names that it defines.
        examples : int
            How many batches of triples are tried.

        Raises
        ------
        Violation
            If a triple violates the clause; or whatever the manifold raises.
        """
        tried = 0

        def attempt(family: str, seed: int, digits: int | None, dtype: torch.dtype) -> None:
            nonlocal tried
            if dtype == torch.float32 and family not in SINGLE_PRECISION_FAMILIES:
                dtype = torch.float64
            cases = self.batch(family, seed, digits, dtype)
            if len(cases) == 0:
                return
            tried += len(cases)
            tolerance = TOLERANCE[dtype] * self.scale
            try:
                bad = violates(cases, tolerance)
                if bad.any() and cases.moved:
                    cases = self._plausible(cases.only(bad))
                    bad = torch.ones(len(cases), dtype=torch.bool)
            except NotApplicable:
                raise
            except Exception:  # a distance may fail in any way
                if not cases.moved:
                    raise
                cases = self._plausible(cases)
                if len(cases) == 0:
                    return
                bad = violates(cases, tolerance)
            if bad.any():
                raise Violation("", self._counterexample(cases, _simplest(cases, bad), formulas, names or {}))

        choices = {"family": families, "seed": SEEDS, "digits": digits, "dtype": dtypes}
        search(attempt, choices, examples)
        return tried

    def _plausible(self, cases: Cases) -> Cases:
        """Return the triples all of whose points are likely to be points."""
        kept = [self.support.plausible(each) for each in (cases.x, cases.y, cases.z)]
        return cases.only(torch.stack(kept).all(dim=0))

    def _counterexample(
        self, cases: Cases, index: int, formulas: Sequence[str], names: Mapping[str, Mapping[str, Any]]
    ) -> Counterexample:
        triple = {"x": cases.x[index], "y": cases.y[index], "z": cases.z[index]}
        points = {name: point for name, point in triple.items() if any(name in each for each in formulas)}
        rows = [point.tolist() for point in points.values()]
        definitions: dict[str, Mapping[str, Any]] = {
            f"manifold = {constructor(self.manifold)}": {"manifold": self.manifold},
            "d = manifold.distance": {"d": self.manifold.distance},
            f"{', '.join(points)}, = torch.tensor({rows!r}, dtype={cases.x.dtype})": points,
            **names,
        }
        imports = f"import torch{_import_of(self.manifold)}; from moduli.manifolds import *"
        return Counterexample.of(imports, definitions, formulas, tuple(points))


def constructor(manifold: Manifold) -> str:
    """Return the Python expression that makes a manifold; its ``repr`` where no import reaches it."""
    try:
        arguments = manifold.spec["kwargs"]
    except ModuliError:
        return repr(manifold)
    cls = type(manifold)
    if "<locals>" in cls.__qualname__ or cls.__module__ == "__main__":
        return repr(manifold)
    return f"make('{cls.__module__}:{cls.__qualname__}', **{arguments!r})"


def _import_of(manifold: Manifold) -> str:
    """Return what else an import statement must name before ``make`` finds a class that is not registered."""
    module = type(manifold).__module__
    return "" if is_own(type(manifold)) or module not in constructor(manifold) else f", {module}"


def _simplest(cases: Cases, bad: Tensor) -> int:
    """Return which of the bad triples has the smallest coordinates."""
    points = torch.cat([each.reshape(len(cases), -1) for each in (cases.x, cases.y, cases.z)], dim=1)
    return int(torch.where(bad, points.abs().sum(dim=1), torch.inf).argmin())
