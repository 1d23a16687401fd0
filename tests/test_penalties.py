"""Clauses R7 and R8: the penalty's value, gradient, memory and errors; the proximal operator."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from moduli.manifolds import InvalidParameter, Torus
from moduli.models import Sparsifier
from moduli.regularizers import Diffusion, InvalidCoefficients, ShapeMismatch, penalties, penalty, proximal
from tests.conftest import seeded, uniform

gates = st.integers(1, 4)
sizes = st.integers(1, 6)
reductions = st.sampled_from(["mean", "sum"])


def problem(gates, targets, sources, dtype=torch.float64):
    weight = torch.randn(gates * targets, sources, generator=seeded(), dtype=dtype, requires_grad=True)
    return weight, uniform(targets, sources).to(dtype).requires_grad_()


def check_against_autograd(function, gates, targets, sources, p, reduction):
    weight, coefficients = problem(gates, targets, sources)
    terms = coefficients.repeat(gates, 1) * weight.abs() ** p
    expected = terms.mean() if reduction == "mean" else terms.sum()
    value = function(weight, coefficients, p, reduction)
    assert torch.allclose(value, expected)
    for ours, theirs in zip(
        torch.autograd.grad(3 * value, (weight, coefficients)),
        torch.autograd.grad(3 * expected, (weight, coefficients)),
        strict=True,
    ):
        assert torch.allclose(ours, theirs)


@given(gates, sizes, sizes, st.sampled_from([1, 1.5, 2, 3]), reductions)
def test_value_and_gradients_agree_with_autograd_s_own(gates, targets, sources, p, reduction):
    check_against_autograd(penalty, gates, targets, sources, p, reduction)


@pytest.mark.parametrize(
    "fault",
    [
        lambda w, c, p, reduction: penalty(w, c, p, reduction) + 1e-3,
        lambda w, c, p, reduction: penalty(w, c, p, "mean"),
        lambda w, c, p, reduction: penalty(w.abs().detach(), c, p, reduction) + 0 * w.sum(),
        lambda w, c, p, reduction: penalty(w, c.detach(), p, reduction) + 0 * c.sum(),
    ],
    ids=["value", "reduction", "gradient of the weight", "gradient of the coefficients"],
)
def test_the_check_against_autograd_catches_planted_faults(fault):
    with pytest.raises(AssertionError):
        check_against_autograd(fault, 2, 3, 4, 1.5, "sum")


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_nothing_depends_on_the_chunk_size(monkeypatch, chunk):
    monkeypatch.setattr(penalties, "CHUNK", chunk)
    check_against_autograd(penalty, 2, 5, 4, 1, "mean")
    check_against_autograd(penalty, 2, 5, 4, 3, "sum")


@pytest.mark.parametrize("p", [1, 1.5, 2])
def test_gradcheck(p):
    assert torch.autograd.gradcheck(lambda w, c: penalty(w, c, p), problem(2, 3, 3))


def test_a_zero_weight_has_a_zero_gradient():
    for p in (1, 1.5):
        weight = torch.zeros(3, 3, requires_grad=True)
        penalty(weight, torch.ones(3, 3), p).backward()
        assert torch.equal(weight.grad, torch.zeros(3, 3))


def test_a_second_backward_pass_gives_the_same_and_leaves_the_first_alone():
    weight, coefficients = problem(2, 3, 4)
    expected = coefficients.detach().repeat(2, 1) * weight.detach().sign() / weight.numel()
    value = penalty(weight, coefficients.detach())
    (first,) = torch.autograd.grad(value, weight, retain_graph=True)
    (second,) = torch.autograd.grad(5 * value, weight, retain_graph=True)
    (third,) = torch.autograd.grad(value, weight)
    assert torch.allclose(first, expected)
    assert torch.allclose(second, 5 * expected)
    assert torch.allclose(third, expected)


def test_a_scaled_loss_keeps_half_precision_gradients_from_vanishing():
    weight = torch.ones(300, 300, dtype=torch.float16, requires_grad=True)
    coefficients = torch.full_like(weight, 1e-3).detach()
    (32_768.0 * penalty(weight, coefficients).float()).backward()
    assert torch.allclose(weight.grad.float(), torch.tensor(32_768e-3 / 90_000), rtol=1e-2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_sums_without_loss(dtype):
    weight = torch.ones(300, 300, dtype=dtype)
    assert penalty(weight, torch.ones_like(weight)) == 1


def test_a_transposed_weight_needs_no_copy():
    weight = torch.randn(3, 6, generator=seeded()).T
    coefficients = uniform(3, 3)
    assert torch.allclose(penalty(weight, coefficients), (coefficients.repeat(2, 1) * weight.abs()).mean())
    expected = closed_form(weight, coefficients.repeat(2, 1) * 0.9 / 18)
    assert proximal(weight, coefficients, 0.9) is weight
    assert torch.allclose(weight, expected)


class NewStorage(TorchDispatchMode):
    """Records the size of every tensor that an operation allocates."""

    def __init__(self, *known):
        super().__init__()
        self.known = list(known)  # kept alive, so that no address is used twice
        self.sizes = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        known = {tensor.untyped_storage().data_ptr() for tensor in self.known}
        if isinstance(result, torch.Tensor) and result.untyped_storage().data_ptr() not in known:
            self.known.append(result)
            self.sizes.append(result.untyped_storage().nbytes() // result.element_size())
        return result


def allocations(function):
    weight, coefficients = problem(2, 32, 32)
    coefficients = coefficients.detach()
    kept = []
    with (
        torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x),
        NewStorage(weight, coefficients) as storage,
    ):
        function(weight, coefficients).backward()
    held = {x.untyped_storage().data_ptr() for x in kept if x.numel() >= coefficients.numel()}
    held -= {x.untyped_storage().data_ptr() for x in (weight, coefficients)}
    return len(held), sum(size for size in storage.sizes if size >= coefficients.numel()) / weight.numel()


def test_only_the_gradient_is_as_large_as_the_weight(monkeypatch):
    monkeypatch.setattr(penalties, "CHUNK", 64)
    assert allocations(penalty) == (0, 1)
    # The plain formula, the planted fault: it keeps intermediates and makes several more.
    kept, made = allocations(lambda weight, c: (c.repeat(2, 1) * weight.abs()).mean())
    assert kept > 0
    assert made > 2


def closed_form(weight, threshold):
    return weight.sign() * (weight.abs() - threshold).clamp_min(0)


@given(gates, sizes, sizes, st.floats(0, 20), reductions)
def test_proximal_is_the_soft_threshold(gates, targets, sources, step, reduction):
    weight, coefficients = problem(gates, targets, sources)
    share = step if reduction == "sum" else step * (1 / weight.numel())
    expected = closed_form(weight.detach(), coefficients.repeat(gates, 1) * share)
    proximal(weight, coefficients, step, reduction)
    assert torch.allclose(weight, expected, rtol=1e-12, atol=0)
    assert torch.equal(weight == 0, expected == 0)


@given(st.integers(1, 3), sizes, st.floats(0, 30), reductions)
def test_proximal_minimises_its_objective(gates, n, step, reduction):
    """Among many points around it, of which a wrong threshold would have lower ones."""
    weight, coefficients = (tensor.detach() for tensor in problem(gates, n, n))

    def objective(x):
        return float((x - weight).square().sum() / 2 + step * penalty(x, coefficients, 1, reduction))

    def lower_points(best):
        candidates = [best + size * (torch.rand(best.shape, generator=draw).double() - 0.5)
                      for size in (1e-3, 1e-2, 0.1, 1) for _ in range(10)]  # fmt: skip
        candidates += [best * 0.999, best * 1.001, weight, torch.zeros_like(weight)]
        # However short the step was: a little less far from the weight, and a little farther.
        candidates += [best + part * (best - weight) for part in (-0.1, -0.05, 0.05, 0.1)]
        return [x for x in candidates if objective(x) < objective(best) - 1e-12]

    draw = seeded(1)
    best = proximal(weight.clone(), coefficients, step, reduction)
    assert not lower_points(best)
    if (best - weight).square().sum() > 1e-9 and (best != 0).any():  # less would gain less than rounding
        assert lower_points(best + 0.1 * (weight - best))  # a planted fault: a threshold too small


def test_proximal_changes_a_parameter_in_place_and_leaves_no_graph():
    layer = nn.Linear(3, 3)
    before = layer.weight
    assert proximal(layer.weight, torch.full((3, 3), 1e9), 1.0) is before
    assert torch.equal(layer.weight, torch.zeros(3, 3))
    assert layer.weight.requires_grad
    assert layer.weight.is_leaf


def test_proximal_gradient_steps_find_a_sparse_solution():
    """Against the closed form of least squares on an orthogonal design: a soft threshold."""
    design = torch.linalg.qr(torch.randn(8, 8, generator=seeded(), dtype=torch.float64)).Q
    truth, coefficients = torch.randn(4, 8, generator=seeded(1)).double(), uniform(4, 8).double()
    weight = torch.zeros(4, 8, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.5)
    for _ in range(80):
        optimizer.zero_grad()
        ((weight - truth) @ design).square().sum().div(2).backward()
        optimizer.step()
        proximal(weight, coefficients, step=0.5, reduction="sum")
    expected = closed_form(truth, coefficients)
    assert torch.allclose(weight, expected, atol=1e-9)
    assert torch.equal(weight == 0, expected == 0)
    assert 0 < int((weight == 0).sum()) < 32


def test_every_layer_and_direction_is_charged_by_its_own_embedding():
    model = nn.LSTM(3, 5, num_layers=2, bidirectional=True)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), strength=0.5)
    names = [name for name, _ in model.named_parameters() if name.startswith("weight_hh")]
    assert list(sparsifier.embeddings) == names
    assert len(names) == 4
    placed = [sparsifier.embeddings[name] for name in names]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(placed, 2))
    terms = [
        (Diffusion()(Torus(), points).repeat(4, 1) * model.get_parameter(name).abs()).mean()
        for name, points in zip(names, placed, strict=True)
    ]
    assert torch.allclose(sparsifier.penalty(), 0.5 * sum(terms))


def test_weights_between_two_populations_are_charged_by_both_embeddings():
    targets, sources = Torus().random_point(4, seeded(0)), Torus().random_point(6, seeded(1))
    encoder = nn.Linear(6, 4)
    expected = sum(
        Torus().distance(targets[i], sources[j]) ** 2 * encoder.weight[i, j].abs() / 24
        for i in range(4)
        for j in range(6)
    )
    assert torch.allclose(penalty(encoder.weight, Diffusion()(Torus(), targets, sources)), expected)


def test_errors_name_both_sides():
    for function in (penalty, lambda w, c: proximal(w, c, 1.0)):
        with pytest.raises(ShapeMismatch, match=r"\(5, 3\).*\(3, 3\)"):
            function(torch.ones(5, 3), torch.ones(3, 3))
        with pytest.raises(ShapeMismatch, match=r"float32.*float64"):
            function(torch.ones(3, 3), torch.ones(3, 3).double())
    with pytest.raises(InvalidParameter, match=r"at least 1, got 0\.5"):
        penalty(torch.ones(3, 3), torch.ones(3, 3), 0.5)
    with pytest.raises(InvalidParameter, match=r"non-negative finite number, got -1"):
        proximal(torch.ones(3, 3), torch.ones(3, 3), -1)
    with pytest.raises(InvalidParameter, match=r"'men'; did you mean 'mean'"):
        penalty(torch.ones(3, 3), torch.ones(3, 3), reduction="men")


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("place", [0, 5])
@pytest.mark.parametrize(
    "charge", [penalty, lambda weight, coefficients: proximal(weight, coefficients, step=0.1)]
)
def test_coefficients_that_are_no_prices_are_refused(charge, place, bad):
    coefficients = torch.rand(2, 3, generator=seeded())
    coefficients.view(-1)[place] = bad
    weight = torch.ones(2, 3)
    with pytest.raises(
        InvalidCoefficients, match=f"finite and non-negative, the price of a weight; got {bad:g}"
    ):
        charge(weight, coefficients)
    assert torch.equal(weight, torch.ones(2, 3))
