"""The verdict on a manifold: a report of all clauses, or an error at the first that is broken."""

from collections.abc import Mapping

from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.clauses import CLAUSES
from moduli.manifolds.verification.search import Search
from moduli.verification import Report


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
    return CLAUSES.report(Search(manifold, cases), expected_failures)


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
        If what is given is not a manifold.

    Examples
    --------
    >>> from moduli.manifolds import Circle, Euclidean, MetricAxiomError
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
    CLAUSES.verify(Search(manifold, cases))
