"""Clauses R7 and R8: the penalty's value, gradient and errors."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import InvalidParameter
from moduli.regularizers import ShapeMismatch, penalty
from tests.conftest import seeded, uniform


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6), st.sampled_from([1, 1.5, 2, 3]))
def test_value_and_gradients_agree_with_autograd_s_own(gates, targets, sources, p):
    weight = torch.randn(
        gates * targets, sources, generator=seeded(), dtype=torch.float64, requires_grad=True
    )
    coefficients = uniform(targets, sources).double().requires_grad_()
    expected = (coefficients.repeat(gates, 1) * weight.abs() ** p).mean()
    value = penalty(weight, coefficients, p)
    assert torch.allclose(value, expected)
    for ours, theirs in zip(
        torch.autograd.grad(value, (weight, coefficients)),
        torch.autograd.grad(expected, (weight, coefficients)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs)


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_gradcheck(p):
    weight = torch.randn(6, 3, generator=seeded(), dtype=torch.float64, requires_grad=True)
    coefficients = uniform(3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda w, c: penalty(w, c, p), (weight, coefficients))


def test_a_zero_weight_has_a_zero_gradient():
    weight = torch.zeros(3, 3, requires_grad=True)
    penalty(weight, torch.ones(3, 3), 1.5).backward()
    assert torch.equal(weight.grad, torch.zeros(3, 3))


def test_errors_name_both_sides():
    with pytest.raises(ShapeMismatch, match=r"\(5, 3\).*\(3, 3\)"):
        penalty(torch.ones(5, 3), torch.ones(3, 3))
    with pytest.raises(ShapeMismatch, match=r"float32.*float64"):
        penalty(torch.ones(3, 3), torch.ones(3, 3).double())
    with pytest.raises(InvalidParameter, match=r"at least 1, got 0\.5"):
        penalty(torch.ones(3, 3), torch.ones(3, 3), 0.5)
