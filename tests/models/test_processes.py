"""Clauses S3, S9 and S10 in two processes: of one model with different data, or of a model each.

All tests read what one pair of processes has left, since PyTorch takes its time to start in each.
"""

import contextlib
import os

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Regrowth, Sparsifier
from moduli.regularizers import Diffusion
from tests.conftest import seeded
from tests.test_sparsifier import Reader

pytestmark = pytest.mark.xdist_group("processes")  # one process makes what all share

PARALLEL = {
    "no_sync": {},
    "buckets": {"gradient_as_bucket_view": True},
    "static graph": {"static_graph": True},
    "unused parameters": {"find_unused_parameters": True},
}


def pruned(rank):
    model = Reader()
    parallel = DistributedDataParallel(model)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9, schedule=CubicSchedule(0, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    generator = seeded(rank)  # each process has its own data
    for _ in range(6):
        loss = parallel(torch.randn(4, 2, 3, generator=generator)).square().mean() + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sparsifier.step()
    return model.state_dict(), sparsifier.masks


def regrown(rank, schedule=None):
    model = nn.Linear(6, 6, bias=False)
    parallel = DistributedDataParallel(model)
    rule = Regrowth(end=9, interval=2, share=0.5)
    sparsifier = Sparsifier(model, sparsity=0.5, schedule=schedule, regrowth=rule)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    sparsifier.attach(optimizer)
    generator = seeded(rank)
    for step in range(6):
        optimizer.zero_grad()
        total = torch.zeros(6, 6)
        for _ in range(2):
            x, y = torch.randn(2, 5, 6, generator=generator)
            (parallel(x) * y).sum().backward()
            total += y.T @ x
        before = sparsifier.masks["weight"].clone()
        optimizer.step()
        if step == 1 and schedule is None:
            distributed.all_reduce(total)
            grown = sparsifier.masks["weight"] & ~before
            assert total[grown].abs().min() >= total[~before & ~grown].abs().max()
    return model.state_dict(), sparsifier.masks


def regrown_in_parallel(rank, how):
    model = nn.ModuleDict({"one": nn.Linear(6, 6, bias=False), "other": nn.Linear(6, 6, bias=False)})
    alone = how == "unused parameters"  # each process uses one of the weights
    model.forward = lambda x: model[("one", "other")[rank]](x) if alone else model["other"](model["one"](x))
    parallel = DistributedDataParallel(model, **PARALLEL[how])
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=9, interval=2, share=0.5))
    generator, passes = seeded(rank), 3 if how in ("no_sync", "buckets") else 1
    for step in range(4):
        model.zero_grad()
        before, total = sparsifier.masks["other.weight"].clone(), torch.zeros(6, 6)
        for turn in range(passes):
            x, y = torch.randn(2, 5, 6, generator=generator)
            quiet = parallel.no_sync() if how == "no_sync" and turn < 2 else contextlib.nullcontext()
            with quiet:
                (parallel(x) * y).sum().backward()
            if not alone:
                total += y.T @ model["one"](x).detach()
            elif rank == 1:
                total += y.T @ x
            for name, mask in sparsifier.masks.items():
                gradient = model.get_parameter(name).grad
                masked = gradient is None or not gradient[~mask].any()
                # What another process has computed alone comes to the gradient behind all hooks.
                brought = alone and step % 2 == 1 and name.startswith(("other", "one")[rank])
                assert masked or brought
        with torch.no_grad():
            for weight in model.parameters():
                weight -= 0.01 * weight.grad
        sparsifier.step()
        if step % 2 == 1:
            distributed.all_reduce(total)
            grown = sparsifier.masks["other.weight"] & ~before
            assert grown.any()
            assert total[grown].abs().min() >= total[~before & ~grown].abs().max()
    return model.state_dict(), sparsifier.masks


def regrown_apart(rank, group=None):
    """Train a model that no other process has, where there is a group as one distributed over it."""
    torch.manual_seed(rank)
    model = nn.Linear(6 + rank, 6, bias=False)
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=9, interval=2 + rank, share=0.5))
    call = DistributedDataParallel(model, process_group=group) if group is not None else model
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(6):
        optimizer.zero_grad()
        call(torch.randn(5, 6 + rank)).square().mean().backward()
        optimizer.step()
        sparsifier.step()
    return model.state_dict(), sparsifier.masks


def _one_of_two(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", USE_LIBUV="0")
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    groups = [distributed.new_group([each]) for each in range(2)]
    jobs = {"pruned": pruned, "regrown": regrown}
    jobs |= {"cut and regrown": lambda rank: regrown(rank, CubicSchedule(0, 6))}
    jobs |= {how: lambda rank, how=how: regrown_in_parallel(rank, how) for how in PARALLEL}
    jobs |= {"apart": regrown_apart, "in a group": lambda rank: regrown_apart(rank, groups[rank])}
    for name, job in jobs.items():
        torch.manual_seed(0)
        torch.save(job(rank), f"{folder}/{name} {rank}")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Return weights and masks that both processes have left of a job."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(_one_of_two, args=(str(folder),), nprocs=2)
    return lambda job: [torch.load(folder / f"{job} {rank}", weights_only=True) for rank in (0, 1)]


def assert_equal(one, other):
    for mine, theirs in zip(one, other, strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_s3_two_processes_keep_the_same_masks(left):
    one, other = left("pruned")
    assert_equal(one, other)
    weights, masks = one
    assert all(torch.equal(weights[name] != 0, mask) for name, mask in masks.items())


@pytest.mark.parametrize("job", ["regrown", "cut and regrown"])
def test_s10_two_processes_regrow_by_their_mean_and_agree_to_the_bit(left, job):
    assert_equal(*left(job))


@pytest.mark.parametrize("how", PARALLEL)
def test_s10_gradients_of_dead_weights_are_averaged_as_the_optimizer_s_are(left, how):
    assert_equal(*left(how))


@pytest.mark.parametrize("job", ["apart", "in a group"])
def test_s10_processes_that_train_apart_regrow_apart(left, job):
    for rank, found in enumerate(left(job)):
        assert_equal(found, regrown_apart(rank))
