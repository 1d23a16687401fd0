"""The verdict on a regularizer: a report of all clauses, or an error at the first that is broken."""

from collections.abc import Mapping

from moduli.manifolds import Manifold
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.verification.clauses import CLAUSES
from moduli.regularizers.verification.search import Search
from moduli.verification import Report


def check_regularizer(
    regularizer: Regularizer,
    manifold: Manifold | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Report:
    """Check every clause of a regularizer.

    Parameters
    ----------
    regularizer : Regularizer
        What is examined.
    manifold : Manifold, optional
        Where; a spread of built-in manifolds when absent.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.
    cases : int, optional
        How many embeddings are tried by the clause that tries most; 24 when absent.

    Returns
    -------
    Report

    Raises
    ------
    InvalidParameter
        If what is given is not a regularizer or not a manifold, an expected failure names no clause, or
        ``cases`` is not a positive integer.

    Examples
    --------
    >>> from moduli.regularizers import Diffusion
    >>> check_regularizer(Diffusion()).passed
    True
    """
    return CLAUSES.report(Search(regularizer, manifold, cases), expected_failures)


def verify_regularizer(
    regularizer: Regularizer, manifold: Manifold | None = None, cases: int | None = None
) -> None:
    """Raise unless a regularizer does what regularizers must, as far as a search can tell.

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
    BrokenRegularizer
        With the clause, the simplest neurons found that break it, the numbers, and three lines that
        reproduce them.
    InvalidParameter
        If what is given is not a regularizer or not a manifold, or ``cases`` is not a positive integer.

    Examples
    --------
    >>> from moduli.regularizers import BrokenRegularizer, DifferenceOfGaussians, Inhibitor
    >>> verify_regularizer(DifferenceOfGaussians())
    >>> try:
    ...     verify_regularizer(Inhibitor(lambda d: 20 - d))
    ... except BrokenRegularizer as error:
    ...     print(error.clause)
    values
    """
    CLAUSES.verify(Search(regularizer, manifold, cases))
