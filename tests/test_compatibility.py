"""Clause S3: every recurrent module trains on after pruning, with whatever PyTorch offers around it."""

import copy
import os

import pytest
import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Sparsifier
from moduli.regularizers import Diffusion
from tests.conftest import seeded
from tests.test_sparsifier import Reader

MODULES = {
    "RNN": lambda: Reader(nn.RNN),
    "GRU": lambda: Reader(nn.GRU),
    "LSTM": lambda: Reader(nn.LSTM),
    "LSTM, 2 layers, bidirectional": lambda: Reader(nn.LSTM, num_layers=2, bidirectional=True),
}
OPTIMIZERS = {
    "SGD, momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}
FEATURES = ["plain", "accumulation", "autocast", "compiled", "deepcopy", "state_dict"]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("feature", FEATURES)
def test_pruned_models_train_on(module, optimizer, feature):
    model = MODULES[module]()
    if feature == "autocast" and not _runs_in_bfloat16(model):
        pytest.skip("PyTorch itself cannot run this module in bfloat16 on this processor.")
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9, schedule=CubicSchedule(0, 4))
    steps = OPTIMIZERS[optimizer](model.parameters())
    generator = seeded()
    for step in range(6):
        # The eager backend traces the model like any other, without compiling machine code.
        call = torch.compile(model, backend="eager") if feature == "compiled" else model
        for _ in range(2 if feature == "accumulation" else 1):
            with torch.autocast("cpu", torch.bfloat16, enabled=feature == "autocast"):
                output = call(torch.randn(4, 2, 3, generator=generator))
            (output.float().square().mean() + sparsifier.penalty()).backward()
        steps.step()
        steps.zero_grad()
        sparsifier.step()
        if step == 3 and feature == "deepcopy":
            model, sparsifier = copy.deepcopy((model, sparsifier))
            steps = OPTIMIZERS[optimizer](model.parameters())
        if step == 3 and feature == "state_dict":
            model.load_state_dict(copy.deepcopy(model.state_dict()))
            sparsifier.load_state_dict(sparsifier.state_dict())
    for name, mask in sparsifier.masks.items():
        weight = model.get_parameter(name)
        assert weight.isfinite().all()
        assert torch.equal(weight != 0, mask)
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= 1


def _runs_in_bfloat16(model: nn.Module) -> bool:
    try:
        with torch.autocast("cpu", torch.bfloat16):
            model(torch.zeros(4, 2, 3))
    except RuntimeError:
        return False
    return True


def _one_of_two(rank: int, folder: str) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", USE_LIBUV="0")
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = Reader()
    parallel = nn.parallel.DistributedDataParallel(model)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9, schedule=CubicSchedule(0, 4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    generator = seeded(rank)  # each process has its own data
    for _ in range(6):
        loss = parallel(torch.randn(4, 2, 3, generator=generator)).square().mean() + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sparsifier.step()
    torch.save((model.state_dict(), sparsifier.masks), f"{folder}/{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_keep_the_same_masks(tmp_path):
    torch.multiprocessing.spawn(_one_of_two, args=(str(tmp_path),), nprocs=2)
    (weights, masks), (other_weights, other_masks) = (
        torch.load(tmp_path / str(rank), weights_only=True) for rank in (0, 1)
    )
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert all(torch.equal(mask, other_masks[name]) for name, mask in masks.items())
    assert all(torch.equal(weights[name] != 0, mask) for name, mask in masks.items())
