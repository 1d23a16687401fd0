"""Time compressed modules and sparse training against the same PyTorch modules, dense.

    python benchmarks/compressed.py            # everything
    python benchmarks/compressed.py training   # only: elman, blocks, gated or training

Each figure is a ratio of medians, dense over sparse, of calls that take turns in one process. The kernel
of each recurrent weight is the one that `compress` chose; "plain" means that it kept PyTorch's module.
"""

import functools
import os
import statistics
import sys
from collections.abc import Callable

import torch
from safetensors.torch import save
from torch import Tensor, nn

from moduli.manifolds import Torus
from moduli.models import (
    Sparsifier,
    compress,
    geometric_mask,
    order_along,
    random_mask,
    train_survivors,
)
from moduli.models.fast.choosing import noise, timings
from moduli.regularizers import Diffusion

STEPS = 20
BATCHES = (1, 32, 200)
SIDE = 32
CPU = torch.device("cpu")


def sparse_module(kind: Callable[..., nn.RNNBase], neurons: int, sparsity: float) -> nn.RNNBase:
    """Return a recurrent module whose smallest recurrent weights are cut."""
    torch.manual_seed(0)
    module = kind(2, neurons)
    Sparsifier(module, sparsity=sparsity, scope="recurrent").step()
    return module.eval()


def module_of_neighbours(neurons: int, sparsity: float, side: int) -> nn.RNNBase:
    """Return a recurrent module whose neighbours on a torus are connected, in blocks of a given side."""
    torch.manual_seed(0)
    points = Torus().random_point(neurons)
    points = points[order_along(Torus(), points)]
    mask = geometric_mask(Diffusion(), Torus(), points, sparsity=sparsity, granularity=side)
    module = nn.RNN(2, neurons, nonlinearity="relu")
    Sparsifier(module, masks={"weight_hh_l0": mask})
    return module.eval()


def inference(name: str, module: nn.RNNBase, sparsity: float) -> None:
    """Print how much faster a compressed module is, and how much smaller its file."""
    for batch in BATCHES:
        fast = compress(module, batch_size=batch)
        x = noise((STEPS, batch, 2), module.weight_hh_l0)
        with torch.no_grad():
            error = (fast(x)[0] - module(x)[0]).abs().max()
            seconds = timings([functools.partial(module, x), functools.partial(fast, x)], CPU, rounds=7)
        dense, sparse = map(statistics.median, seconds)
        kernel = "plain" if isinstance(fast, nn.RNNBase) else type(fast.weight_hh_l0).__name__
        size = len(save(module.state_dict())) / len(save(fast.state_dict()))
        print(
            f"| {name} | {module.hidden_size} | {sparsity:.0%} | {batch} | {1000 * dense:.1f} "
            f"| {1000 * sparse:.1f} | {dense / sparse:.1f} | {kernel} | {size:.1f} | {error:.0e} |",
            flush=True,
        )


def training(sparsity: float) -> None:
    """Print how much faster an optimizer step with a fixed mask is."""
    module = sparse_module(functools.partial(nn.RNN, nonlinearity="relu", bias=False), 4096, 0.0)
    masks = {"weight_hh_l0": random_mask(4096, 4096, sparsity=sparsity)}
    with torch.no_grad():
        module.weight_hh_l0.mul_(masks["weight_hh_l0"])
    x = noise((STEPS, 200, 2), module.weight_hh_l0)
    steps = [training_step(each, x) for each in (module, train_survivors(module, masks))]
    dense, sparse = map(statistics.median, timings(steps, CPU, rounds=5))
    print(f"| {sparsity:.0%} | {dense:.2f} | {sparse:.2f} | {dense / sparse:.1f} |", flush=True)


def training_step(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """Return a function that takes one step, forward, backward and optimizer."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        module(x)[0].square().mean().backward()
        optimizer.step()

    return step


def main(only: str | None = None) -> None:
    """Print the tables, or one of them."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n")
    if only != "training":
        print(
            "| module | units | sparsity | batch | dense, ms | sparse, ms | ratio | kernel | file | error |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
    for sparsity in (0.98, 0.9):
        if only in (None, "elman"):
            elman = sparse_module(functools.partial(nn.RNN, nonlinearity="relu"), 4096, sparsity)
            inference("RNN", elman, sparsity)
        if only in (None, "blocks"):
            inference("RNN, weights", module_of_neighbours(4096, sparsity, 1), sparsity)
            inference("RNN, blocks", module_of_neighbours(4096, sparsity, SIDE), sparsity)
        if only in (None, "gated"):
            inference("GRU", sparse_module(nn.GRU, 1024, sparsity), sparsity)
            inference("LSTM", sparse_module(nn.LSTM, 1024, sparsity), sparsity)
    if only in (None, "training"):
        print("\n| sparsity | dense step, s | sparse step, s | ratio |\n|---|---|---|---|")
        for sparsity in (0.98, 0.9):
            training(sparsity)
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
