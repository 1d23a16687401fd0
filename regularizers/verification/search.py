"""The search for neurons whose coefficients break a clause."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from moduli.errors import InvalidParameter
from moduli.manifolds import Circle, Euclidean, Hyperbolic, KleinBottle, Manifold, Sphere, Torus
from moduli.manifolds.verification.search import constructor
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.verification.cases import INCONCLUSIVE, Case
from moduli.regularizers.verification.embeddings import FAMILIES, Embeddings
from moduli.verification import NotApplicable, Violation, search, what_was_raised

SPREAD: tuple[Manifold, ...] = (Euclidean(1), Circle(), Torus(), Sphere(), KleinBottle(), Hyperbolic(2))
"""Where a regularizer is examined when no manifold is given."""

EXAMPLES = 24


class Search:
    """What the checks of one regularizer share: the manifolds, and neurons on them.

    Parameters
    ----------
    regularizer : Regularizer
        What is examined.
    manifold : Manifold, optional
        Where; a spread of built-in manifolds when absent.
    cases : int, optional
        How many embeddings are tried by the clause that tries most; 24 when absent.

    Raises
    ------
    InvalidParameter
        If what is given is not a regularizer or not a manifold, or ``cases`` is not a positive integer.
    """

    def __init__(
        self, regularizer: Regularizer, manifold: Manifold | None = None, cases: int | None = None
    ) -> None:
        if not isinstance(regularizer, Regularizer):
            given = _described(regularizer)
            raise InvalidParameter(f"A regularizer is checked, such as Diffusion(); got {given}.")
        if manifold is not None and not isinstance(manifold, Manifold):
            given = _described(manifold)
            raise InvalidParameter(f"A regularizer is checked on a manifold, such as Torus(2); got {given}.")
        if cases is not None and (isinstance(cases, bool) or not isinstance(cases, int) or cases < 1):
            raise InvalidParameter(f"cases must be a positive integer, got {cases!r}.")
        self.regularizer, self.manifold = regularizer, manifold
        self.manifolds = SPREAD if manifold is None else (manifold,)
        self.examples = cases or EXAMPLES
        self._embeddings: dict[Manifold, Embeddings] = {}
        self._drawn: dict[tuple[Any, ...], torch.Tensor] = {}
        self._known: dict[tuple[Any, ...], dict[str, torch.Tensor]] = {}

    @property
    def subject(self) -> Regularizer:
        """The regularizer."""
        return self.regularizer

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run a check again."""
        manifold = "" if self.manifold is None else f", {constructor(self.manifold)}"
        return (
            "from moduli.manifolds import *; from moduli.regularizers import *\n"
            "from moduli.regularizers.testing import *\n"
            f"{check}(Search({self.regularizer!r}{manifold}))"
        )

    def case(
        self, manifold: Manifold, family: str, n: int, seed: int, digits: int | None, dtype: torch.dtype
    ) -> Case:
        """Return a case; neurons are drawn once, and each case gets a copy of them.

        Clauses that try the same case share what it computes from them.
        """
        key = (manifold, family, n, seed, digits, dtype)
        if key not in self._drawn:
            if manifold not in self._embeddings:
                self._embeddings[manifold] = Embeddings(manifold)
            self._drawn[key] = self._embeddings[manifold].draw(family, n, seed, digits, dtype)
        known = self._known.setdefault(key, {})
        return Case(self.regularizer, manifold, self._drawn[key].clone(), seed, known=known)

    def find(
        self,
        check: Callable[[Case], None],
        *,
        manifolds: Sequence[Manifold] | None = None,
        families: Sequence[str] = FAMILIES,
        dtypes: Sequence[torch.dtype] = (torch.float64,),
        share: float = 1 / 2,
    ) -> int:
        """Raise if a case breaks a clause, and return how many were tried.

        Parameters
        ----------
        check : callable
            Takes a case, and raises `Violation` if it breaks the clause.
        manifolds : sequence of Manifold, optional
            Where to look; all of ``manifolds`` when absent.
        families : sequence of str
            Which neurons.
        dtypes : sequence of torch.dtype
            Precisions in which to look.
        share : float
            Share of the cases that are tried; all of them where faults hide in thin regions.

        Raises
        ------
        Violation
            If a case breaks the clause, or the regularizer raises an error of its own.
        NotApplicable
            If no case says anything about the clause.
        """
        tried = 0

        def attempt(**choices: Any) -> None:
            nonlocal tried
            case = self.case(**choices)
            if len(case.points) < 2:
                return
            try:
                check(case)
            except (Violation, NotApplicable):
                raise
            except INCONCLUSIVE:
                return
            except Exception as error:  # what is examined may fail in any way
                raise case.violation(what_was_raised(error), [_total(case)]) from error
            tried += 1

        choices = {
            "manifold": self.manifolds if manifolds is None else manifolds,
            "family": families,
            "n": (2, 3, 5),
            "seed": range(2**16),
            "digits": (0, 1, 2, None),
            "dtype": dtypes,
        }
        search(attempt, choices, max(1, round(share * self.examples)))
        if tried == 0:
            raise NotApplicable("No coefficients could be evaluated; the other clauses say why.")
        return tried


def _total(case: Case) -> str:
    return f"{case.call()}.sum()"


def _described(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else repr(thing)
