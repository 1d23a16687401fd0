"""Clause S9: dead weights stay dead, whatever is done between two steps, and so do their gradients."""

import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from moduli.manifolds import InvalidParameter
from moduli.models import CubicSchedule, Sparsifier
from tests.conftest import seeded
from tests.test_sparsifier import Reader, train

HIDDEN = "rnn.weight_hh_l0"


def gradients_are_masked(model, sparsifier):
    model.zero_grad()
    model(torch.ones(4, 2, 3)).sum().backward()
    return all(
        (model.get_parameter(name).grad[~mask] == 0).all()
        and (model.get_parameter(name).grad[mask] != 0).any()
        for name, mask in sparsifier.masks.items()
    )


def unfreeze(model):
    model.requires_grad_(True)


def assign(model):
    model.load_state_dict({key: value.clone() for key, value in model.state_dict().items()}, assign=True)


def replace(model):
    model.rnn.weight_hh_l0 = nn.Parameter(model.rnn.weight_hh_l0.detach().clone())


def convert(model):
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        model.double().float()
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)


def freeze_and_unfreeze(model):
    model.requires_grad_(False)
    model.requires_grad_(True)


@pytest.mark.parametrize("change", [unfreeze, assign, replace, convert, freeze_and_unfreeze])
def test_s9_gradients_are_zero_again_from_the_next_step_on(change):
    model = Reader()
    model.requires_grad_(change is not unfreeze)
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    change(model)
    sparsifier.step()
    assert gradients_are_masked(model, sparsifier)
    twin_model, twin = copy.deepcopy((model, sparsifier))
    assert gradients_are_masked(twin_model, twin)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.SGD, torch.optim.LBFGS])
def test_s9_an_attached_sparsifier_steps_by_itself(kind):
    model, own = Reader(), None
    own = copy.deepcopy(model)
    options = {"sparsity": 0.9, "schedule": CubicSchedule(0, 4)}
    attached, called = Sparsifier(model, **options), Sparsifier(own, **options)
    steps, own_steps = (kind(each.parameters(), lr=0.01) for each in (model, own))
    attached.attach(steps)
    x = torch.randn(4, 2, 3, generator=seeded())

    def closure(network, optimizer):
        optimizer.zero_grad()
        loss = network(x).square().mean()
        loss.backward()
        return loss

    for _ in range(6):
        steps.step(lambda: closure(model, steps))
        own_steps.step(lambda: closure(own, own_steps))
        called.step()
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), own.parameters(), strict=True))
    assert attached.steps_taken == 6
    with pytest.raises(InvalidParameter, match="attached to an optimizer and steps by itself"):
        attached.step()
    with pytest.raises(InvalidParameter, match="already"):
        attached.attach(steps)
    with pytest.raises(InvalidParameter, match="optimizer must be an optimizer"):
        attached.attach(model)
    _, ticket = attached.ticket(seed=0)
    ticket.step()  # a copy is attached to none
    attached.detach()
    attached.step()
    assert attached.steps_taken == 7


def test_s9_of_several_optimizers_the_first_counts_and_all_leave_the_dead_dead():
    model = Reader()
    sparsifier = Sparsifier(model, sparsity=0.9, schedule=CubicSchedule(0, 4))
    first = torch.optim.Adam(model.out.parameters(), lr=0.1)
    second = torch.optim.Adam(model.rnn.parameters(), lr=0.1)
    sparsifier.attach(first)
    sparsifier.attach(second)
    for _ in range(6):
        model.zero_grad()
        model(torch.randn(4, 2, 3)).square().mean().backward()
        first.step()
        second.step()
        for name, mask in sparsifier.masks.items():
            assert (model.get_parameter(name)[~mask] == 0).all()
    assert sparsifier.steps_taken == 6


@pytest.mark.parametrize(
    "wrap", [AveragedModel, copy.deepcopy, lambda model: nn.Sequential(copy.deepcopy(model))]
)
def test_s9_a_copy_is_cut_by_the_same_masks(wrap):
    model = Reader()
    other = wrap(model)
    sparsifier = Sparsifier(model, sparsity=0.9)
    train(model, sparsifier, 2)
    if isinstance(other, AveragedModel):
        other.update_parameters(model)
        other.update_parameters(model)
    sparsifier.apply_to(other)
    found = dict(other.named_parameters())
    for name, mask in sparsifier.masks.items():
        [copied] = [weight for full, weight in found.items() if full.endswith(name)]
        assert torch.equal(copied != 0, mask)
    for wrong in (nn.Linear(3, 3), Reader(size=13)):
        with pytest.raises(InvalidParameter, match="apply_to cuts copies"):
            sparsifier.apply_to(wrong)
