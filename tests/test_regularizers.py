"""Clauses R1-R6: coefficients, their algebra, and the controls."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import Circle, InvalidParameter, InvalidPoints, KleinBottle, Sphere, Torus
from moduli.regularizers import (
    DifferenceOfGaussians,
    Diffusion,
    Inhibitor,
    InvalidCoefficients,
    Regularizer,
    Uniform,
)
from tests.conftest import seeded

manifolds = st.sampled_from([Circle(), Sphere(), Torus(), KleinBottle()])
inhibitors = st.one_of(
    st.builds(Uniform),
    st.builds(Diffusion, st.floats(0.1, 10)),
    st.builds(DifferenceOfGaussians, st.floats(0.1, 1), st.floats(1.5, 5), st.floats(0.5, 100)),
)


def compositions(children: st.SearchStrategy[Regularizer]) -> st.SearchStrategy[Regularizer]:
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(lambda factor, a: factor * a, st.floats(0, 10), children),
    )


regularizers = st.recursive(inhibitors, compositions, max_leaves=4)


@given(manifolds, regularizers, st.integers(0, 20), st.sampled_from([torch.float32, torch.float64]))
def test_coefficients_are_finite_non_negative_and_keep_the_dtype(manifold, regularizer, n, dtype):
    embedding = manifold.random_point(n, seeded()).to(dtype)
    coefficients = regularizer(manifold, embedding)
    assert coefficients.shape == (n, n)
    assert coefficients.dtype == dtype
    assert coefficients.isfinite().all()
    assert (coefficients >= 0).all()


@given(manifolds, regularizers, st.integers(2, 20), st.integers(0, 1000))
def test_permuting_neurons_permutes_rows_and_columns(manifold, regularizer, n, seed):
    embedding = manifold.random_point(n, seeded()).double()
    order = torch.randperm(n, generator=seeded(seed))
    expected = regularizer(manifold, embedding)[order][:, order]
    assert torch.allclose(regularizer(manifold, embedding[order]), expected, rtol=1e-9, atol=1e-9)


@given(regularizers, st.floats(-20, 20), st.floats(-20, 20))
def test_an_isometry_changes_nothing(regularizer, horizontal, vertical):
    embedding = Torus().random_point(8, seeded()).double()
    moved = Torus().project(embedding + torch.tensor([horizontal, vertical], dtype=torch.float64))
    assert torch.allclose(regularizer(Torus(), moved), regularizer(Torus(), embedding), rtol=1e-6, atol=1e-6)


@given(regularizers, regularizers, st.floats(0, 5))
def test_operators_act_elementwise(a, b, factor):
    embedding = Torus().random_point(6, seeded()).double()
    left, right = a(Torus(), embedding), b(Torus(), embedding)
    assert torch.allclose((a + b)(Torus(), embedding), left + right)
    assert torch.allclose((a * b)(Torus(), embedding), left * right)
    assert torch.allclose((factor * a)(Torus(), embedding), factor * left)
    assert torch.allclose((a + factor)(Torus(), embedding), left + factor)


@given(regularizers, st.integers(0, 5))
def test_expressions_are_values_and_repr_evaluates_back(regularizer, seed):
    wrapped = [
        regularizer,
        regularizer.permuted(seed),
        regularizer.normalized(),
        2 * regularizer.permuted(seed),
    ]
    for expression in wrapped:
        twin = eval(repr(expression))
        assert twin == expression
        assert hash(twin) == hash(expression)
    assert regularizer.permuted(seed) != regularizer.permuted(seed + 1)


def test_sum_of_a_list_and_numpy_scalars_compose():
    assert sum([Diffusion(), Uniform()]) == Diffusion() + Uniform()
    assert np.float64(0.5) * Diffusion() == 0.5 * Diffusion() == Diffusion() * np.float32(0.5)


@pytest.mark.parametrize("foreign", ["text", None, [1.0], True, object()])
def test_foreign_operands_raise_at_once(foreign):
    for operation in (
        lambda: Diffusion() + foreign,
        lambda: foreign * Diffusion(),
        lambda: Diffusion() * foreign,
    ):
        with pytest.raises(TypeError):
            operation()


@pytest.mark.parametrize("factor", [-1.0, math.inf, math.nan])
def test_factors_are_non_negative_and_finite(factor):
    with pytest.raises(InvalidParameter, match="non-negative finite number"):
        factor * Diffusion()


def test_the_paper_s_constants():
    inhibitor = DifferenceOfGaussians()
    d = torch.linspace(0, 30, 300_001, dtype=torch.float64)
    formula = torch.exp(-d.square() / 5) - torch.exp(-4 * d.square())
    assert inhibitor.preferred_distance == pytest.approx(0.888, abs=5e-4)
    assert float(formula.max()) == pytest.approx(0.811, abs=5e-4)
    assert torch.allclose(inhibitor.profile(d), 100 * (formula.max() - formula), atol=1e-6)
    assert float(inhibitor.profile(d).min()) == pytest.approx(0, abs=1e-6)
    assert torch.allclose(Diffusion().profile(d), d.square())


def test_terms_share_one_distance_matrix():
    class Counting(Torus):
        calls = 0

        def pairwise(self, x, y=None):
            Counting.calls += 1
            return super().pairwise(x, y)

    regularizer = Diffusion() + DifferenceOfGaussians() * Uniform() + 0.5 * Diffusion(2.0)
    regularizer.normalized()(Counting(), Torus().random_point(5, seeded()))
    assert Counting.calls == 1


@given(manifolds, inhibitors, st.integers(2, 12), st.integers(0, 1000))
def test_permuted_keeps_the_diagonal_and_the_multiset_of_the_others(manifold, regularizer, n, seed):
    embedding = manifold.random_point(n, seeded())
    original = regularizer(manifold, embedding)
    permuted = regularizer.permuted(seed)(manifold, embedding)
    off_diagonal = ~torch.eye(n, dtype=torch.bool)
    assert torch.equal(permuted.diagonal(), original.diagonal())
    assert torch.equal(permuted[off_diagonal].sort().values, original[off_diagonal].sort().values)
    assert torch.equal(permuted, regularizer.permuted(seed)(manifold, embedding))


def test_permuted_really_moves_coefficients():
    embedding = Torus().random_point(50, seeded())
    original, permuted = (r(Torus(), embedding) for r in (Diffusion(), Diffusion().permuted(0)))
    correlation = torch.corrcoef(torch.stack([original.flatten(), permuted.flatten()]))[0, 1]
    assert abs(correlation) < 0.1


@given(manifolds, inhibitors, st.integers(2, 12))
def test_normalized_has_mean_one_off_the_diagonal(manifold, regularizer, n):
    coefficients = regularizer.normalized()(manifold, manifold.random_point(n, seeded()).double())
    assert float(coefficients[~torch.eye(n, dtype=torch.bool)].mean()) == pytest.approx(1)


def test_two_populations():
    targets, sources = Torus().random_point(4, seeded(0)), Torus().random_point(6, seeded(1))
    coefficients = Diffusion()(Torus(), targets, sources)
    assert coefficients.shape == (4, 6)
    assert torch.allclose(coefficients, Torus().distance(targets[:, None], sources[None]).square())
    assert Diffusion().normalized()(Torus(), targets, sources).mean() == pytest.approx(1)
    permuted = Diffusion().permuted()(Torus(), targets, sources)
    assert torch.equal(permuted.flatten().sort().values, coefficients.flatten().sort().values)


@pytest.mark.parametrize(
    ("function", "value"), [(lambda d: d - 3, "-3"), (lambda d: d / 0 * d, "nan"), (lambda d: 1 / d, "inf")]
)
def test_bad_coefficients_name_inhibitor_value_and_distance(function, value):
    with pytest.raises(
        InvalidCoefficients, match=rf"Inhibitor\(.*\) gives the coefficient {value} at distance 0"
    ):
        (Uniform() + Inhibitor(function))(Torus(), Torus().random_point(5, seeded()))


def test_errors_of_embeddings_and_parameters():
    with pytest.raises(InvalidPoints, match=r"shape \(n, 2\), got \(5, 3\)"):
        Diffusion()(Torus(), torch.zeros(5, 3))
    with pytest.raises(InvalidPoints, match="finite"):
        Diffusion()(Torus(), torch.full((5, 2), math.nan))
    with pytest.raises(InvalidCoefficients, match="cannot be normalised"):
        Diffusion().normalized()(Torus(), torch.zeros(3, 2))
    with pytest.raises(InvalidParameter, match="inner < outer"):
        DifferenceOfGaussians(inner=3.0)
    with pytest.raises(InvalidParameter, match="length must be a positive"):
        Diffusion(0)
