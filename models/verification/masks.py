"""Is it a mask family? The clauses that it must satisfy, each with its check."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.verification.generators import watched_generators
from moduli.models.errors import BrokenMasks, InvalidSparsity
from moduli.models.masks.registry import MaskFamily, check_claims
from moduli.models.verification.subjects import Named
from moduli.requirements import require_dimension
from moduli.verification import (
    Clauses,
    Counterexample,
    NotApplicable,
    Report,
    Violation,
    search,
    what_was_raised,
)

SIZES = (2, 3, 5, 8, 16, 37)
SPARSITIES = (0.5, 0.25, 0.0, 0.75, 0.9, 0.96)
EXAMPLES = 40
SEEDS = 8
"""How many seeds may give the same mask by chance before the seed counts as ignored."""


class MaskSearch:
    """What the checks of one mask family share.

    Parameters
    ----------
    make : callable
        The family, ``make(n, *, sparsity, seed)``.
    claims : collection of str, optional
        What its masks are beyond what all must be; what it was registered with when absent.
    unit : int
        How many weights live or die as a whole, such as 16 for blocks of four by four.
    cases : int, optional
        How many masks each clause tries; 40 when absent.

    Raises
    ------
    InvalidParameter
        If it is not a function, a claim is unknown, or a number is not a positive integer.
    """

    def __init__(
        self,
        make: MaskFamily,
        claims: Collection[str] | None = None,
        unit: int = 1,
        cases: int | None = None,
    ) -> None:
        if isinstance(make, type) or not callable(make):
            raise InvalidParameter(f"A mask family is a function make(n, *, sparsity, seed), got {make!r}.")
        self.make = make
        family = make.func if isinstance(make, partial) else make
        self.claims = check_claims(getattr(family, "claims", ()) if claims is None else claims)
        self.unit = require_dimension("MaskSearch", unit, "unit")
        self.examples = EXAMPLES if cases is None else require_dimension("MaskSearch", cases, "cases")
        self._made: dict[tuple[int, float, int], Tensor] = {}

    @property
    def subject(self) -> Named:
        """The family."""
        return Named(self.make)

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run a check again."""
        return f"from moduli.models.testing import *\n{self.subject.definition}\n{check}(MaskSearch(make))"

    def mask(self, n: int, sparsity: float, seed: int) -> Tensor:
        """Return a mask of the family; clauses that ask for the same one share it."""
        key = (n, sparsity, seed)
        if key not in self._made:
            self._made[key] = self.make(n, sparsity=sparsity, seed=seed)
        return self._made[key]

    def find(self, check: Callable[["MaskCase"], None]) -> int:
        """Raise if a mask breaks a clause, and return how many were tried; refused sparsities do not count.

        Raises
        ------
        Violation
            If a mask breaks the clause, or the family refuses every sparsity.
        """
        tried = 0

        def attempt(n: int, sparsity: float, seed: int) -> None:
            nonlocal tried
            case = MaskCase(self, n, sparsity, seed)
            try:
                check(case)
            except (Violation, NotApplicable):
                raise
            except InvalidSparsity:
                return
            except Exception as error:  # what is examined may fail in any way
                raise case.violation(what_was_raised(error), "mask.sum()") from error
            tried += 1

        search(attempt, {"n": SIZES, "sparsity": SPARSITIES, "seed": range(2**16)}, self.examples)
        if tried == 0:
            raise Violation("It refuses every size and sparsity that were tried.")
        return tried

    def require(self, claim: str) -> None:
        """Raise `NotApplicable` unless the family claims something."""
        if claim not in self.claims:
            raise NotApplicable(f"It does not claim to be {claim}.")


class MaskCase:
    """A size, a sparsity and a seed, and the mask that the family makes of them.

    Parameters
    ----------
    search : MaskSearch
        What is examined.
    n : int
        Number of neurons.
    sparsity : float
        Fraction of zeros.
    seed : int
        Seed of the mask.
    """

    def __init__(self, search: MaskSearch, n: int, sparsity: float, seed: int) -> None:
        self.search, self.n, self.sparsity, self.seed = search, n, sparsity, seed

    def mask(self, sparsity: float | None = None, seed: int | None = None) -> Tensor:
        """Return the mask, or one of another sparsity or seed."""
        return self.search.mask(
            self.n,
            self.sparsity if sparsity is None else sparsity,
            self.seed if seed is None else seed,
        )

    def fresh(self) -> Tensor:
        """Return what the family makes now."""
        return self.search.make(self.n, sparsity=self.sparsity, seed=self.seed)

    def call(self, sparsity: float | None = None) -> str:
        """Return the Python that makes the mask."""
        return f"make({self.n}, sparsity={self.sparsity if sparsity is None else sparsity}, seed={self.seed})"

    def violation(self, message: str, *formulas: str) -> Violation:
        """Return the outcome of a clause that this case breaks, with what was computed."""
        values: dict[str, Any] = {"n": self.n, "sparsity": self.sparsity, "seed": self.seed}
        numbers: dict[str, float | str] = {}
        for formula in formulas:
            try:
                numbers[formula] = float(eval(formula, {"mask": self.mask(), "torch": torch}))
            except Exception as error:  # what is examined may fail in any way
                numbers[formula] = f"{type(error).__name__}: {error}"
        lines = (
            f"import torch; {self.search.subject.definition}",
            f"mask = {self.call()}",
            f"print({', '.join(formulas) or 'mask'})",
        )
        return Violation(message, Counterexample(values, numbers, "\n".join(lines)))


CLAUSES: Clauses[MaskSearch] = Clauses(
    "masks", BrokenMasks, ("A mask family.", "Not a mask family, as it stands.")
)
"""What a mask family must do."""


@CLAUSES.clause("form", "a mask is a tensor of booleans, (n, n)", essential=True)
def check_form(search: MaskSearch) -> int:
    """Check type, shape and dtype."""

    def check(case: MaskCase) -> None:
        mask = case.mask()
        if not isinstance(mask, Tensor):
            raise case.violation(f"It returned {type(mask).__name__}.")
        if mask.dtype != torch.bool or tuple(mask.shape) != (case.n, case.n):
            raise case.violation(
                f"It returned {tuple(mask.shape)} {mask.dtype}, not {(case.n, case.n)} bool."
            )

    return search.find(check)


@CLAUSES.clause("count", "as many weights are dead as the sparsity says, to within one weight, pair or block")
def check_count(search: MaskSearch) -> int:
    """Count zeros."""

    def check(case: MaskCase) -> None:
        zeros = int((~case.mask()).sum())
        wanted = round(case.sparsity * case.n**2)
        if abs(zeros - wanted) > search.unit:
            raise case.violation(
                f"{zeros} of {case.n**2} weights are dead instead of {wanted}.", "(~mask).sum()"
            )

    return search.find(check)


@CLAUSES.clause("determinism", "equal seeds give equal masks, and no global generator moves")
def check_determinism(search: MaskSearch) -> int:
    """Check that nothing is drawn from a global generator, and nothing remembered."""

    def check(case: MaskCase) -> None:
        with watched_generators() as moved:
            first = case.fresh()
            if moved():
                raise case.violation(f"{' and '.join(moved())} moved.")
            torch.rand(1)
            second = case.fresh()
        if not torch.equal(first, second):
            raise case.violation("Two calls differ.", f"(mask ^ {case.call()}).sum()")

    return search.find(check)


@CLAUSES.clause("seed", "the seed decides which weights are dead")
def check_seed(search: MaskSearch) -> int:
    """Check that other seeds give other masks at some sparsity; none does if the family is deterministic."""
    differs, tried = False, 0
    for sparsity in SPARSITIES:
        case = MaskCase(search, SIZES[-1], sparsity, 0)
        try:
            masks = [case.mask(seed=seed) for seed in range(SEEDS)]
        except InvalidSparsity:
            continue
        tried += len(masks)
        differs |= any(not torch.equal(mask, masks[0]) for mask in masks)
    if not tried:
        raise NotApplicable(f"It makes no masks of {SIZES[-1]} neurons.")
    if differs and "deterministic" in search.claims:
        raise Violation("It claims to be deterministic, but masks of different seeds differ.")
    if not differs and "deterministic" not in search.claims:
        raise Violation(
            f"Seeds 0 to {SEEDS - 1} give the same masks of {SIZES[-1]} neurons at every sparsity; "
            "a family that has nothing to draw claims to be deterministic."
        )
    return tried


@CLAUSES.clause("reached", "every neuron has an input and an output, where half of the weights live")
def check_reached(search: MaskSearch) -> int:
    """Check rows and columns of large masks: of random ones, one in 10^9 has an empty row."""
    tried = 0
    for seed in range(SEEDS):
        case = MaskCase(search, SIZES[-1], 0.5, seed)
        try:
            mask = case.mask()
        except InvalidSparsity as error:
            raise NotApplicable(str(error)) from None
        for axis, what in ((1, "input"), (0, "output")):
            lonely = (~mask.any(dim=axis)).nonzero().flatten().tolist()
            if lonely:
                raise case.violation(
                    f"Neurons without {what}: {', '.join(map(str, lonely))}.", f"(~mask.any({axis})).sum()"
                )
        tried += 1
    return tried


@CLAUSES.clause("symmetric", "a connection from i to j comes with one from j to i, where it claims so")
def check_symmetric(search: MaskSearch) -> int:
    """Compare a mask and its transpose."""
    search.require("symmetric")

    def check(case: MaskCase) -> None:
        mask = case.mask()
        if not torch.equal(mask, mask.T):
            raise case.violation("", "(mask ^ mask.T).sum()")

    return search.find(check)


@CLAUSES.clause("regular", "all neurons have as many connections, to within one, where it claims so")
def check_regular(search: MaskSearch) -> int:
    """Compare the numbers of inputs, and those of outputs."""
    search.require("regular")

    def check(case: MaskCase) -> None:
        mask = case.mask()
        for axis in (0, 1):
            degrees = mask.sum(dim=axis)
            if int(degrees.max() - degrees.min()) > 1:
                raise case.violation("", f"mask.sum({axis}).min()", f"mask.sum({axis}).max()")

    return search.find(check)


@CLAUSES.clause("self-connected", "every neuron is connected to itself, where it claims so")
def check_self_connected(search: MaskSearch) -> int:
    """Check the diagonal."""
    search.require("self-connected")

    def check(case: MaskCase) -> None:
        if not case.mask().diagonal().all():
            raise case.violation("", "(~mask.diagonal()).sum()")

    return search.find(check)


@CLAUSES.clause("nested", "with the same seed a sparser mask is part of a denser one, where it claims so")
def check_nested(search: MaskSearch) -> int:
    """Compare masks of two sparsities."""
    search.require("nested")

    def check(case: MaskCase) -> None:
        denser = case.sparsity / 2
        if (case.mask() & ~case.mask(denser)).any():
            raise case.violation("", f"(mask & ~{case.call(denser)}).sum()")

    return search.find(check)


def check_masks(
    make: MaskFamily,
    *,
    claims: Collection[str] | None = None,
    unit: int = 1,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Report:
    """Check every clause of a mask family.

    Parameters
    ----------
    make : callable
        The family, ``make(n, *, sparsity, seed)``.
    claims : collection of str, optional
        What its masks are beyond what all must be; what it was registered with when absent.
    unit : int
        How many weights live or die as a whole.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.
    cases : int, optional
        How many masks each clause tries; 40 when absent.

    Returns
    -------
    Report

    Raises
    ------
    InvalidParameter
        If an argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.models import ring_mask
    >>> check_masks(ring_mask).passed
    True
    """
    return CLAUSES.report(MaskSearch(make, claims, unit, cases), expected_failures)


def verify_masks(
    make: MaskFamily,
    *,
    claims: Collection[str] | None = None,
    unit: int = 1,
    cases: int | None = None,
) -> None:
    """Raise unless a mask family does what mask families must, as far as a search can tell.

    Parameters
    ----------
    make : callable
        The family, ``make(n, *, sparsity, seed)``.
    claims : collection of str, optional
        What its masks are beyond what all must be; what it was registered with when absent.
    unit : int
        How many weights live or die as a whole.
    cases : int, optional
        How many masks each clause tries; 40 when absent.

    Raises
    ------
    BrokenMasks
        With the clause, the smallest mask found that breaks it, and three lines that make it again.
    InvalidParameter
        If an argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.models import BrokenMasks, random_mask, regular_mask
    >>> verify_masks(regular_mask)
    >>> try:
    ...     verify_masks(lambda n, *, sparsity, seed: random_mask(n, n, sparsity=sparsity / 2, seed=seed))
    ... except BrokenMasks as error:
    ...     print(error.clause)
    count
    """
    CLAUSES.verify(MaskSearch(make, claims, unit, cases))
