"""Checks for a plugin's own tests: pytest parameters, hypothesis strategies, single clauses.

>>> from moduli.regularizers import Diffusion
>>> from moduli.regularizers.testing import check_equivariance, check_regularizer, Search
>>> check_regularizer(Diffusion(), cases=10).passed
True
>>> check_equivariance(Search(Diffusion(), cases=10)) > 0
True
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from moduli.manifolds import Manifold, Torus
from moduli.regularizers.inhibitors import DifferenceOfGaussians, Diffusion, Gaussian, Ripple, Uniform
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.verification.clauses import (
    CLAUSES,
    check_algebra,
    check_determinism,
    check_distances,
    check_equivariance,
    check_form,
    check_gradients,
    check_isometries,
    check_normalized,
    check_permuted,
    check_points,
    check_populations,
    check_precision,
    check_rebuilding,
    check_scale,
    check_values,
    coefficient_gradient,
)
from moduli.regularizers.verification.embeddings import FAMILIES, Embeddings
from moduli.regularizers.verification.search import Search
from moduli.regularizers.verification.verdict import check_regularizer

__all__ = [
    "CLAUSES",
    "Search",
    "Strategies",
    "check_algebra",
    "check_determinism",
    "check_distances",
    "check_equivariance",
    "check_form",
    "check_gradients",
    "check_isometries",
    "check_normalized",
    "check_permuted",
    "check_points",
    "check_populations",
    "check_precision",
    "check_rebuilding",
    "check_regularizer",
    "check_scale",
    "check_values",
    "coefficient_gradient",
    "regularizer_checks",
    "strategies",
]


def regularizer_checks(
    regularizer: Regularizer,
    manifold: Manifold | None = None,
    *,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Give a pytest function one ``check`` for each clause.

    Parameters
    ----------
    regularizer : Regularizer
        What is tested.
    manifold : Manifold, optional
        Where; a spread of built-in manifolds when absent.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why: reported as such by pytest, and failing the test
        if they pass.
    cases : int, optional
        How many embeddings are tried by the clause that tries most; 24 when absent.

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
    >>> from moduli.regularizers import Ripple
    >>> @regularizer_checks(Ripple(), Torus(2))
    ... def test_ripple(check):
    ...     check()
    """
    return CLAUSES.parametrize(Search(regularizer, manifold, cases), expected_failures)


class Strategies:
    """hypothesis strategies for regularizers and for the neurons they are called on; made by `strategies`.

    Parameters
    ----------
    manifold : Manifold
        Where the neurons are.
    dtype : torch.dtype
        Of the points.
    """

    def __init__(self, manifold: Manifold, dtype: torch.dtype = torch.float64) -> None:
        self.manifold, self.dtype = manifold, dtype
        self._embeddings = Embeddings(manifold)

    def inhibitors(self) -> st.SearchStrategy[Regularizer]:
        """Draw built-in inhibitors, with parameters of their own."""
        return st.one_of(
            st.builds(Uniform),
            st.builds(Diffusion, st.floats(0.1, 10)),
            st.builds(Gaussian, st.floats(0.5, 10), st.floats(0.5, 100)),
            st.builds(Ripple, st.floats(0.1, 5), st.floats(0.5, 100)),
            st.builds(DifferenceOfGaussians, st.floats(0.1, 1), st.floats(1.5, 5), st.floats(0.5, 100)),
        )

    def expressions(self, max_leaves: int = 4) -> st.SearchStrategy[Regularizer]:
        """Draw sums, products, multiples and wrappers of inhibitors, defined for two neurons or more."""
        return st.recursive(self.inhibitors(), _composed, max_leaves=max_leaves)

    def embeddings(self, min_size: int = 2, max_size: int = 16) -> st.SearchStrategy[Tensor]:
        """Draw neurons, of shape ``(n, *point_shape)``: coincident, near, far apart and random."""
        return st.builds(
            lambda family, n, seed, digits: self._embeddings.draw(family, n, seed, digits, self.dtype),
            st.sampled_from(FAMILIES),
            st.integers(min_size, max_size),
            st.integers(0, 2**16),
            st.sampled_from((0, 1, 2, None)),
        ).filter(lambda points: len(points) >= min_size)


def strategies(manifold: Manifold | None = None, dtype: torch.dtype = torch.float64) -> Strategies:
    """Return hypothesis strategies for regularizers, and for neurons on a manifold.

    Parameters
    ----------
    manifold : Manifold, optional
        Where the neurons are; the torus when absent.
    dtype : torch.dtype
        Of the points.

    Returns
    -------
    Strategies

    Examples
    --------
    >>> from hypothesis import given
    >>> torus = Torus(2)
    >>> @given(strategies(torus).expressions(), strategies(torus).embeddings())
    ... def test_coefficients_are_symmetric(regularizer, points):
    ...     coefficients = regularizer(torus, points)
    ...     assert torch.equal(coefficients, coefficients.T)
    """
    return Strategies(Torus(2) if manifold is None else manifold, dtype)


def _composed(children: st.SearchStrategy[Regularizer]) -> st.SearchStrategy[Regularizer]:
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(lambda factor, a: factor * a, st.floats(0, 10), children),
        st.builds(
            lambda a, low, width: a.clamped(low, low + width), children, st.floats(0, 9), st.floats(1, 9)
        ),
        st.builds(lambda a, value: a.threshold(value), children, st.floats(0, 9)),
        st.builds(lambda a, share: a.with_diagonal(share), children, st.floats(0, 2)),
    )
