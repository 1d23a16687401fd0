"""Checks for a plugin's own tests: pytest parameters, hypothesis strategies, single clauses.

>>> from moduli.manifolds import Torus
>>> from moduli.manifolds.testing import check_manifold, check_triangle, Search
>>> check_manifold(Torus(2), cases=500).passed
True
>>> check_triangle(Search(Torus(2), cases=500))
512
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.errors import MetricAxiomError
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.verification.cases import Families
from moduli.manifolds.verification.clauses import (
    CLAUSES,
    check_broadcasting,
    check_dtype,
    check_finiteness,
    check_gradients,
    check_identity,
    check_isometries,
    check_non_negativity,
    check_pairwise,
    check_points,
    check_seed,
    check_separation,
    check_shape,
    check_slopes,
    check_symmetry,
    check_triangle,
    check_untouched,
)
from moduli.manifolds.verification.differentiation import (
    distance_gradient,
    slope_by_difference,
    slope_by_gradient,
)
from moduli.manifolds.verification.search import Search
from moduli.manifolds.verification.verdict import check_manifold
from moduli.verification import Clause, Counterexample, NotApplicable, Report, Result

__all__ = [
    "CLAUSES",
    "Clause",
    "Counterexample",
    "MetricAxiomError",
    "NotApplicable",
    "Report",
    "Result",
    "Search",
    "Strategies",
    "check_broadcasting",
    "check_dtype",
    "check_finiteness",
    "check_gradients",
    "check_identity",
    "check_isometries",
    "check_manifold",
    "check_non_negativity",
    "check_pairwise",
    "check_points",
    "check_seed",
    "check_separation",
    "check_shape",
    "check_slopes",
    "check_symmetry",
    "check_triangle",
    "check_untouched",
    "distance_gradient",
    "manifold_checks",
    "run_check",
    "slope_by_difference",
    "slope_by_gradient",
    "strategies",
]


def manifold_checks(
    manifold: Manifold,
    *,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Give a pytest function one ``check`` for each clause.

    Parameters
    ----------
    manifold : Manifold
        The space under test.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why: reported as such by pytest, and failing the test
        if they pass.
    cases : int, optional
        How many triples of points each clause tries; ``manifold.verification_cases`` when absent.

    Returns
    -------
    callable
        A decorator.

    Raises
    ------
    InvalidParameter
        If an expected failure names no clause.

    Examples
    --------
    >>> from moduli.manifolds import Circle
    >>> @manifold_checks(Circle())
    ... def test_circle(check):
    ...     check()
    """
    return CLAUSES.parametrize(Search(manifold, cases), expected_failures)


def run_check(clause: Clause[Search], search: Search) -> int:
    """Run the check of one clause.

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
    return clause.check(search)


class Strategies:
    """hypothesis strategies for points of one manifold; made by `strategies`.

    Points come in float64 unless another dtype is given. Examples shrink towards few decimals.

    Parameters
    ----------
    manifold : Manifold
        The space.
    dtype : torch.dtype
        Of the points.
    """

    def __init__(self, manifold: Manifold, dtype: torch.dtype = torch.float64) -> None:
        self.manifold, self.dtype = manifold, dtype
        self._families = Families(manifold)

    def points(self) -> st.SearchStrategy[Tensor]:
        """Draw single points, of shape ``point_shape``."""
        return self.embeddings(1, 1).map(lambda points: points[0])

    def embeddings(self, min_size: int = 0, max_size: int = 16) -> st.SearchStrategy[Tensor]:
        """Draw lists of points, of shape ``(n, *point_shape)``."""
        return st.builds(
            lambda n, seed: self._families.support.draw(n, _seeded(seed)).to(self.dtype),
            st.integers(min_size, max_size),
            st.integers(0, 2**31),
        )

    def triples(self) -> st.SearchStrategy[tuple[Tensor, Tensor, Tensor]]:
        """Draw triples of points of every family."""
        return st.sampled_from(Families.names).flatmap(self._triples)

    def coincident(self) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        """Draw pairs of equal points."""
        return self._pairs("coincident")

    def nearly_coincident(self) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        """Draw pairs of points a hundred-millionth to the whole of the coordinates' spread apart."""
        return self._pairs("near")

    def antipodal(self) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        """Draw pairs of points, x and one at or near -x, where the manifold holds both."""
        return self._pairs("antipodal")

    def near_boundary(self) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        """Draw pairs of points, one with some coordinates at the ends of their range."""
        return self._pairs("boundary")

    def cut_locus(self) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        """Draw pairs of points, x and one at or near its declared ``cut_points``.

        Raises
        ------
        InvalidParameter
            If the manifold declares no cut points.
        """
        if len(self.manifold.cut_points(self._families.support.pool)) == 0:
            raise InvalidParameter(f"{self.manifold!r} declares no cut points; override cut_points.")
        return self._pairs("cut")

    def isometries(self) -> st.SearchStrategy[Isometry]:
        """Draw maps that keep distances.

        Raises
        ------
        InvalidParameter
            If the manifold declares none.
        """
        if self.manifold.random_isometry(_seeded(0)) is None:
            raise InvalidParameter(f"{self.manifold!r} declares no isometries; override random_isometry.")
        return st.integers(0, 2**31).map(lambda seed: self._isometry(seed))

    def _isometry(self, seed: int) -> Isometry:
        isometry = self.manifold.random_isometry(_seeded(seed))
        assert isometry is not None
        return isometry

    def _pairs(self, family: str) -> st.SearchStrategy[tuple[Tensor, Tensor]]:
        return self._triples(family).map(lambda triple: triple[:2])

    def _triples(self, family: str) -> st.SearchStrategy[tuple[Tensor, Tensor, Tensor]]:
        # Of sixteen triples, those that are not points of the manifold are left out.
        return (
            st.builds(
                lambda digits, seed: self._families.draw(family, 16, seed, digits, self.dtype),
                st.sampled_from((0, 1, 2, 3, None)),
                st.integers(0, 2**31),
            )
            .filter(lambda cases: len(cases) > 0)
            .map(lambda cases: (cases.x[0], cases.y[0], cases.z[0]))
        )


def strategies(manifold: Manifold, dtype: torch.dtype = torch.float64) -> Strategies:
    """Return hypothesis strategies for points of a manifold.

    Parameters
    ----------
    manifold : Manifold
        The space.
    dtype : torch.dtype
        Of the points.

    Returns
    -------
    Strategies

    Examples
    --------
    >>> from hypothesis import given
    >>> from moduli.manifolds import Sphere
    >>> sphere = Sphere(2, radius=1.0)
    >>> @given(strategies(sphere).antipodal())
    ... def test_antipodes_are_far_apart(pair):
    ...     assert sphere.distance(*pair) > 1
    """
    return Strategies(manifold, dtype)


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
