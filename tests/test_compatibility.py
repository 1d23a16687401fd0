"""Clause S3: every recurrent module trains on after pruning, with whatever PyTorch offers around it.

`python -m tests.test_compatibility` prints docs/compatibility.md, the page of what is tried here.
"""

import copy
import itertools
import os
from pathlib import Path

import pytest
import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Sparsifier, compress
from moduli.regularizers import Diffusion
from tests.conftest import seeded
from tests.test_sparsifier import Reader


class Cells(nn.Module):
    """A cell that is called once for each time step, and a read-out."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 12)
        self.out = nn.Linear(12, 2)

    def forward(self, x):
        states = [self.cell(x[0])]
        for step in x[1:]:
            states.append(self.cell(step, states[-1]))
        return self.out(torch.stack(states))


MODULES = {
    "RNN": lambda: Reader(nn.RNN),
    "GRU": lambda: Reader(nn.GRU),
    "LSTM": lambda: Reader(nn.LSTM),
    "LSTM, 2 layers, bidirectional": lambda: Reader(nn.LSTM, num_layers=2, bidirectional=True),
    "GRUCell": Cells,
}
OPTIMIZERS = {
    "SGD, momentum": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
}
FEATURES = {
    "plain": "a loop of one's own",
    "accumulation": "gradients of two batches accumulated",
    "clipping": "gradients clipped by their norm",
    "autocast": "`torch.autocast` in bfloat16, where the processor lets PyTorch run the module in it",
    "compiled": "`torch.compile`, with the backend that traces and leaves machine code to eager PyTorch",
    "float64": "the model converted half-way",
    "deepcopy": "model and sparsifier copied half-way, training goes on with the copies",
    "state_dict": "model and sparsifier restored half-way from their states",
    "file": "the sparsifier saved half-way as safetensors, and loaded",
    "blocks": "whole blocks of 4 x 4 weights cut",
    "ticket": "the ticket trained instead, from half-way on",
    "compress": "the model compressed in the end, with equal outputs",
}
CASES = list(itertools.product(MODULES, OPTIMIZERS, FEATURES))
PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"


@pytest.mark.parametrize(("module", "optimizer", "feature"), CASES)
def test_pruned_models_train_on(module, optimizer, feature, tmp_path):
    model = MODULES[module]()
    if feature == "autocast" and not _runs_in_bfloat16(model):
        pytest.skip("PyTorch itself cannot run this module in bfloat16 on this processor.")
    size = 4 if feature == "blocks" else 1
    options = {"granularity": size, "scope": "recurrent"} if feature == "blocks" else {}
    sparsifier = Sparsifier(
        model, Diffusion(), Torus(), sparsity=0.9, schedule=CubicSchedule(0, 4), **options
    )
    steps = OPTIMIZERS[optimizer](model.parameters())
    generator, dtype = seeded(), torch.float32
    for step in range(6):
        # The eager backend traces the model like any other, without compiling machine code.
        call = torch.compile(model, backend="eager") if feature == "compiled" else model
        for _ in range(2 if feature == "accumulation" else 1):
            with torch.autocast("cpu", torch.bfloat16, enabled=feature == "autocast"):
                output = call(torch.randn(4, 2, 3, generator=generator).to(dtype))
            loss = output.square().mean() if feature == "float64" else output.float().square().mean()
            (loss + sparsifier.penalty()).backward()
        if feature == "clipping":
            nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        steps.step()
        steps.zero_grad()
        sparsifier.step()
        if step == 3:
            if feature == "deepcopy":
                model, sparsifier = copy.deepcopy((model, sparsifier))
            if feature == "ticket":
                model, sparsifier = sparsifier.ticket(seed=1)
            if feature == "float64":
                model, dtype = model.double(), torch.float64
            if feature in ("deepcopy", "ticket", "float64"):
                steps = OPTIMIZERS[optimizer](model.parameters())
            if feature == "state_dict":
                model.load_state_dict(copy.deepcopy(model.state_dict()))
                sparsifier.load_state_dict(sparsifier.state_dict())
            if feature == "file":
                sparsifier.save(tmp_path / "half-way")
                sparsifier.load(tmp_path / "half-way")
    for name, mask in sparsifier.masks.items():
        weight = model.get_parameter(name)
        assert weight.isfinite().all()
        assert torch.equal(weight != 0, mask)
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= size**2
    if feature == "compress":
        x = torch.randn(4, 2, 3, generator=generator)
        torch.testing.assert_close(compress(model)(x), model.eval()(x).detach(), rtol=0, atol=1e-5)


def page():
    """Return the page that says what the test above tries."""
    tried = set(CASES)
    lines = [
        "# What is tried together",
        "",
        f"Every ✓ stands for {len(OPTIMIZERS)} tests in `tests/test_compatibility.py`, one an optimizer:",
        f"{'; '.join(OPTIMIZERS)}. This page is printed from them, by `python -m tests.test_compatibility`.",
        "Each test trains for six steps while nine tenths of the weights are cut, and counts them: zeros",
        "are where the masks say, in the number that was asked for, and all weights are finite.",
        "",
        "| | " + " | ".join(MODULES) + " |",
        "|---|" + "---|" * len(MODULES),
    ]
    for feature, meaning in FEATURES.items():
        marks = [
            "✓" if all((module, optimizer, feature) in tried for optimizer in OPTIMIZERS) else ""
            for module in MODULES
        ]
        lines.append(f"| **{feature}**: {meaning} | " + " | ".join(marks) + " |")
    lines += [
        "",
        "Two processes of `DistributedDataParallel` with different data keep the same masks (RNN, AdamW).",
        "Lightning's trainer is tried in `tests/test_lightning.py`, `torch.export` of compressed modules in",
        "`tests/test_compressed.py`. Everything runs on the CPU; no test needs an accelerator.",
        "",
    ]
    return "\n".join(lines)


def test_the_page_says_what_is_tried():
    assert PAGE.read_text() == page(), "Run: python -m tests.test_compatibility > docs/compatibility.md"


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


if __name__ == "__main__":
    print(page(), end="")
