"""Backward passes that are written by hand can be differentiated again, and are the same when they are."""

import pytest
import torch
from torch import nn

from moduli.manifolds import Euclidean, KleinBottle, Torus
from moduli.models import dense_state, sparse_rnn, train_survivors
from moduli.regularizers import penalty
from moduli.tasks.cognition.softplus_rates import softplus_rates
from tests.conftest import seeded


def both_ways(function, *inputs):
    """Return the gradients of a linear loss of a function with and without a history of their own."""
    plain = torch.autograd.grad(function(*inputs).sum(), inputs)
    followed = torch.autograd.grad(function(*inputs).sum(), inputs, create_graph=True)
    return plain, followed


def assert_alike(function, *inputs):
    """Require equal gradients either way, and second derivatives that differences confirm."""
    for one, other in zip(*both_ways(function, *inputs), strict=True):
        torch.testing.assert_close(one, other)
    assert torch.autograd.gradgradcheck(function, inputs)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, 4])
def test_a_penalty_can_be_differentiated_again(p):
    coefficients = torch.rand(3, 4, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    assert_alike(lambda weight, price: penalty(weight, price.square(), p=p), drawn(6, 4), coefficients)


def test_a_dead_weight_curves_an_even_penalty_as_any_other():
    curvature = torch.autograd.functional.hessian(
        lambda weight: penalty(weight, torch.full((1, 2), 3.0), p=2, reduction="sum"),
        torch.tensor([[0.0, 1.0]]),
    )
    assert curvature.flatten().tolist() == [6.0, 0.0, 0.0, 6.0]


def test_prices_that_are_made_of_the_weight_count_once():
    assert_alike(lambda weight: penalty(weight, weight.square() + 1, p=2), drawn(3, 4))


@pytest.mark.parametrize("vectorize", [False, True])
def test_the_whole_hessian_of_a_penalty_agrees_with_its_formula(vectorize):
    weight, prices = drawn(3, 3).detach(), torch.rand(3, 3, dtype=torch.float64, generator=seeded(1))
    found, expected = (
        torch.autograd.functional.hessian(each, weight, vectorize=vectorize)
        for each in (lambda w: penalty(w, prices, p=3), lambda w: (prices * w.abs() ** 3).mean())
    )
    torch.testing.assert_close(found, expected)
    by_function = torch.func.jacrev(torch.func.jacrev(lambda w: penalty(w, prices, p=3)))(weight)
    torch.testing.assert_close(by_function, expected)


@pytest.mark.parametrize("manifold", [Torus(2), Euclidean(2), KleinBottle()], ids=repr)
def test_distances_to_points_that_are_made_of_the_others_count_once(manifold):
    points = (manifold.random_point(5, generator=seeded(0)).double() / 2).requires_grad_()
    plain, followed = both_ways(lambda x: manifold.pairwise(x, x.flip(0) / 2).square(), points)
    torch.testing.assert_close(plain, followed)


def test_rates_by_hand_can_be_differentiated_again():
    driven, weight = drawn(2, 3, 4), drawn(4, 4, seed=1)
    assert_alike(lambda d, w: softplus_rates(d, w, 0.3), driven, weight)
    by_function = torch.func.grad(lambda d: softplus_rates(d, weight.detach(), 0.3).sum())(driven.detach())
    torch.testing.assert_close(by_function, both_ways(lambda d: softplus_rates(d, weight, 0.3), driven)[0][0])


DENSE = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("bridges", [0.0, 0.2])
@pytest.mark.parametrize("kind", DENSE)
def test_s12_survivors_have_the_second_derivatives_of_the_masked_dense_network(kind, bridges):
    sparse = sparse_rnn(kind, 3, 40, bridges=bridges, seed=0).double()
    dense = DENSE[kind](3, 40).double()
    dense.load_state_dict(dense_state(sparse.state_dict()))
    x = drawn(4, 2, 3)
    alive = {"weight_hh_l0": dense.weight_hh_l0.detach() != 0}

    def of_gradients(network, masks):
        parameters = dict(network.named_parameters())
        found = torch.autograd.grad(network(x)[0].sum(), [x, *parameters.values()], create_graph=True)
        sizes = [each * masks.get(name, 1) for name, each in zip(("x", *parameters), found, strict=True)]
        return torch.autograd.grad(sum(each.square().sum() for each in sizes), [x, network.bias_hh_l0])

    for one, other in zip(of_gradients(sparse, {}), of_gradients(dense, alive), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # PyTorch's own
def test_s12_survivors_follow_the_transforms_of_torch_func():
    model = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1)).double()
    mask = torch.rand(64, 64, generator=seeded(0)) < 0.1
    with torch.no_grad():
        model[0].weight.mul_(mask)
    sparse = train_survivors(model, {"0.weight": mask})
    x = drawn(64).detach()
    jacobians = [torch.func.jacrev(f)(x) for f in (sparse, model)]
    torch.testing.assert_close(*jacobians)
    torch.testing.assert_close(*[torch.func.jvp(f, (x,), (x,))[1] for f in (sparse, model)])
    hessians = [torch.autograd.functional.hessian(lambda x, f=f: f(x).sum(), x) for f in (sparse, model)]
    torch.testing.assert_close(*hessians)
    assert hessians[0].any()
    for bridges in (0.0, 0.2):
        tiled = sparse_rnn("gru", 3, 40, bridges=bridges).double()
        inputs = drawn(4, 2, 3)
        (plain,) = torch.autograd.grad(tiled(inputs)[0].sum(), inputs)
        by_function = torch.func.grad(lambda x, f=tiled: f(x)[0].sum())(inputs.detach())
        torch.testing.assert_close(by_function, plain)
    parameters = dict(sparse.named_parameters())
    by_function = torch.func.grad(lambda p: torch.func.functional_call(sparse, p, (x,)).sum())(parameters)
    expected = torch.autograd.grad(sparse(x).sum(), list(parameters.values()))
    torch.testing.assert_close(list(by_function.values()), list(expected))
