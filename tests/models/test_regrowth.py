"""Clause S10: regrowth ranks by the loss's whole gradient, and what comes back starts from nothing."""

import pytest
import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import LinearSchedule, Regrowth, Sparsifier
from moduli.regularizers import Communicability, Diffusion, Regularizer
from tests.conftest import seeded
from tests.test_sparsifier import Reader, train

HIDDEN = "rnn.weight_hh_l0"


def linear(regularizer=None, **options):
    model = nn.Linear(6, 6, bias=False)
    more = {"manifold": Torus(), "recurrent": "weight"} if regularizer is not None else {}
    rule = Regrowth(end=9, interval=2, share=0.5)
    sparsifier = Sparsifier(model, regularizer, sparsity=0.5, regrowth=rule, **more, **options)
    sparsifier.step()
    return model, sparsifier


def grows_by(slope, sparsifier):
    before = sparsifier.masks["weight"].clone()
    sparsifier.step()
    grown = sparsifier.masks["weight"] & ~before
    assert grown.any()
    return slope[grown].abs().min() >= slope[~before & ~grown].abs().max()


def slopes(count):
    return torch.randn(count, 6, 6, generator=seeded(3))


def test_s10_all_micro_batches_count():
    model, sparsifier = linear()
    for slope in slopes(3):
        (model.weight * slope).sum().backward()
    assert grows_by(slopes(3).sum(0), sparsifier)


@pytest.mark.parametrize("to_none", [True, False])
def test_s10_gradients_that_were_given_up_do_not_count(to_none):
    model, sparsifier = linear()
    for slope in 9 * slopes(3)[:2]:
        (model.weight * slope).sum().backward()
        model.zero_grad(set_to_none=to_none)
    (model.weight * slopes(3)[2]).sum().backward()
    torch.autograd.grad((model.weight * 9 * slopes(3)[0]).sum(), model.weight)
    assert grows_by(slopes(3)[2], sparsifier)


def test_s10_gradients_that_overflowed_to_no_number_do_not_count():
    model, sparsifier = linear()
    before = sparsifier.masks["weight"].clone()
    slope = slopes(1)[0]
    overflowed = ~before & (slope.abs() < slope[~before].abs().median())
    (model.weight * slope.masked_fill(overflowed, torch.nan)).sum().backward()
    sparsifier.step()
    grown = sparsifier.masks["weight"] & ~before
    assert grown.any()
    assert not (grown & overflowed).any()


class Unanswered(Regularizer):
    """Charges less for a connection, the stronger its reverse excites."""

    @property
    def depends_on_weight(self):
        return True

    def coefficients(self, geometry):
        return (1 - geometry.weight.T).clamp_min(0)


@pytest.mark.parametrize("regularizer", [Diffusion(), Diffusion() * Communicability(), Unanswered()])
@pytest.mark.parametrize("together", [True, False])
def test_s10_the_penalty_does_not_count(regularizer, together):
    model, sparsifier = linear(regularizer, strength=1e3)
    loss = (model.weight * slopes(1)[0]).sum()
    if together:
        (loss + sparsifier.penalty()).backward()
    else:
        loss.backward()
        sparsifier.penalty().backward()
    assert grows_by(slopes(1)[0], sparsifier)


def test_s10_what_a_cut_has_just_taken_may_come_back_by_the_loss_s_gradient():
    model, options = (
        nn.Linear(6, 6, bias=False),
        {"manifold": Torus(), "recurrent": "weight", "strength": 1e3},
    )
    schedule, rule = LinearSchedule(1, 3), Regrowth(end=9, interval=3, share=0.9)
    sparsifier = Sparsifier(model, Diffusion(), sparsity=0.5, schedule=schedule, regrowth=rule, **options)
    sparsifier.step()
    sparsifier.step()
    for slope in slopes(2):
        ((model.weight * slope).sum() + sparsifier.penalty()).backward()
    before, slope = sparsifier.masks["weight"].clone(), slopes(2).sum(0).abs()
    order = model.weight.detach().abs().masked_fill(~before, torch.inf).flatten().argsort()
    cut = before.flatten().index_fill(0, order[: int(before.sum()) - 18], False).view(6, 6)
    sparsifier.step()
    grown = sparsifier.masks["weight"] & ~cut
    assert (grown & before).any()
    assert slope[grown].min() >= slope[~cut & ~grown].max()


@pytest.mark.parametrize("attached", [True, False])
def test_s10_what_comes_back_is_zero_and_has_no_momentum(attached):
    torch.manual_seed(0)
    model = Reader(size=20)
    rule = Regrowth(end=30, interval=5)
    sparsifier = Sparsifier(model, scope="recurrent", sparsity=0.8, regrowth=rule)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    if attached:
        sparsifier.attach(optimizer)
    for _ in range(5):
        before = sparsifier.masks[HIDDEN].clone()
        optimizer.zero_grad()
        model(torch.randn(4, 2, 3)).square().mean().backward()
        optimizer.step()
        if not attached:
            sparsifier.step()
    grown = sparsifier.masks[HIDDEN] & ~before
    assert grown.any()
    assert (model.rnn.weight_hh_l0[grown] == 0).all()
    memory = optimizer.state[model.rnn.weight_hh_l0]
    for key in ("exp_avg", "exp_avg_sq"):
        assert bool(memory[key][grown].any()) != attached
        assert memory[key][before & ~grown].any()


class Early(torch.optim.Optimizer):
    """An optimizer that makes its memory with itself, as Adagrad does before PyTorch 2.12."""

    def __init__(self, parameters, start):
        super().__init__(parameters, {"start": start})
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["total"] = torch.full_like(parameter, start)

    def step(self):
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["total"] += parameter.grad.square()
            parameter.data -= 0.01 * parameter.grad / self.state[parameter]["total"].sqrt()


MEMORIES = {
    "Adam": (lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True), {"exp_avg_sq": 0, "max_exp_avg_sq": 0}),
    "SGD": (lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9), {"momentum_buffer": 0}),
    "RMSprop": (lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True), {"square_avg": 0, "grad_avg": 0}),
    "Adagrad": (lambda p: torch.optim.Adagrad(p, lr=0.01, initial_accumulator_value=0.25), {"sum": 0.25}),
    "Rprop": (lambda p: torch.optim.Rprop(p, lr=0.03), {"step_size": 0.03, "prev": 0}),
    "Muon": (lambda p: torch.optim.Muon([next(p)], lr=0.01), {"momentum_buffer": 0}),
    "two groups": (
        lambda p: torch.optim.Rprop([{"params": [next(p)]}, {"params": list(p), "lr": 1.0}], lr=0.03),
        {"step_size": 0.03},
    ),
    "an optimizer that makes its memory with itself": (lambda p: Early(p, start=0.5), {"total": 0.5}),
}


@pytest.mark.parametrize(
    "kind", [kind for kind in MEMORIES if kind != "Muon" or hasattr(torch.optim, "Muon")]
)
def test_s10_what_comes_back_is_remembered_as_the_optimizer_remembers_what_is_new(kind):
    torch.manual_seed(0)
    model = nn.Linear(20, 20)
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=30, interval=5))
    make, expected = MEMORIES[kind]
    optimizer = make(model.parameters())
    sparsifier.attach(optimizer)
    calls = []
    optimizer.register_step_post_hook(lambda *_: calls.append(1))
    for step in range(5):
        before = sparsifier.masks["weight"].clone()
        model.zero_grad()
        (model(torch.randn(4, 20)) * (step + 1)).square().mean().backward()
        optimizer.step()
    grown = sparsifier.masks["weight"] & ~before
    assert grown.any()
    assert len(calls) == sparsifier.steps_taken == 5
    memory = optimizer.state[model.weight]
    assert len(optimizer.state) == len([p for group in optimizer.param_groups for p in group["params"]])
    for key, value in expected.items():
        assert torch.equal(memory[key][grown], torch.full_like(memory[key][grown], value))
        assert (memory[key][before & ~grown] != value).any()


class Demanding(torch.optim.Optimizer):
    """An optimizer that says nothing without a closure."""

    def __init__(self, parameters):
        super().__init__(parameters, {})

    def step(self, closure):
        closure()
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["seen"] = parameter.grad + 1


def test_s10_an_optimizer_that_cannot_be_asked_remembers_nothing():
    model = nn.Linear(6, 6, bias=False)
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=9, interval=2, share=0.5))
    optimizer = Demanding(model.parameters())
    sparsifier.attach(optimizer)
    for _ in range(2):
        before = sparsifier.masks["weight"].clone()
        optimizer.step(lambda: (model.weight * slopes(1)[0]).sum().backward())
    grown = sparsifier.masks["weight"] & ~before
    assert grown.any()
    assert (optimizer.state[model.weight]["seen"][grown] == 0).all()


def test_random_regrowth_depends_on_seed_and_step_alone():
    masks = []
    for seed in (0, 0, 1):
        torch.manual_seed(0)
        model = Reader(size=20)
        rule = Regrowth(end=20, interval=2, where="random")
        sparsifier = Sparsifier(model, scope="recurrent", sparsity=0.8, regrowth=rule, seed=seed)
        train(model, sparsifier, 1)
        before = sparsifier.masks[HIDDEN].clone()
        torch.manual_seed(len(masks))
        train(model, sparsifier, 1)
        assert sparsifier.masks[HIDDEN].sum() == before.sum() == 80
        assert not torch.equal(sparsifier.masks[HIDDEN], before)
        masks.append(sparsifier.masks[HIDDEN])
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
