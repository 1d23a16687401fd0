"""Clause S10: regrowth ranks by the loss's whole gradient, and what comes back starts from nothing."""

import os

import pytest
import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import Regrowth, Sparsifier
from moduli.regularizers import Communicability, Diffusion
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


@pytest.mark.parametrize("regularizer", [Diffusion(), Diffusion() * Communicability()])
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


def _one_of_two(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", USE_LIBUV="0")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = nn.Linear(6, 6, bias=False)
    parallel = nn.parallel.DistributedDataParallel(model)
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=9, interval=2, share=0.5))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    sparsifier.attach(optimizer)
    generator = seeded(rank)  # each process has its own data
    for step in range(6):
        optimizer.zero_grad()
        total = torch.zeros(6, 6)
        for _ in range(2):
            x, y = torch.randn(2, 5, 6, generator=generator)
            (parallel(x) * y).sum().backward()
            total += y.T @ x
        before = sparsifier.masks["weight"].clone()
        optimizer.step()
        if step == 1:
            torch.distributed.all_reduce(total)
            grown = sparsifier.masks["weight"] & ~before
            assert total[grown].abs().min() >= total[~before & ~grown].abs().max()
    torch.save((model.weight.detach(), sparsifier.masks["weight"]), f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_s10_two_processes_regrow_by_their_mean_and_agree_to_the_bit(tmp_path):
    torch.multiprocessing.spawn(_one_of_two, args=(str(tmp_path),), nprocs=2)
    (weight, mask), (other_weight, other_mask) = (
        torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1)
    )
    assert torch.equal(mask, other_mask)
    assert torch.equal(weight, other_weight)
