"""Time what a sparsifier adds to a training step: 2048 ReLU units, batch 200, 20 steps in time.

    OMP_NUM_THREADS=1 python benchmarks/sparsifier.py

A dense step is forward, backward and AdamW. Each share is a median of 9 calls over the median of 9 dense
steps, all of which took turns in one process.
"""

import os
import statistics

import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Sparsifier
from moduli.models.fast.kernels import noise, timings
from moduli.regularizers import DifferenceOfGaussians

ROUNDS = 9
FOREVER = 10**6


def network(schedule: CubicSchedule | None = None) -> tuple[nn.RNN, Sparsifier]:
    """Return a network and its sparsifier, which has taken one step."""
    torch.manual_seed(0)
    module = nn.RNN(2, 2048, nonlinearity="relu", bias=False)
    sparsifier = Sparsifier(
        module,
        DifferenceOfGaussians().normalized(),
        Torus(),
        sparsity=0.9,
        scope="recurrent",
        schedule=schedule,
    )
    sparsifier.step()
    return module, sparsifier


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n")
    module, cutting = network(CubicSchedule(0, FOREVER))
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-4)
    x = noise((20, 200, 2), module.weight_hh_l0)
    plain = nn.RNN(2, 2048, nonlinearity="relu", bias=False)
    plain_optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-4)
    _, settled = network()

    def dense_step() -> None:
        plain_optimizer.zero_grad()
        plain(x)[0].square().mean().backward()
        plain_optimizer.step()

    def sparsifying_step() -> None:
        optimizer.zero_grad()
        (module(x)[0].square().mean() + cutting.penalty()).backward()
        optimizer.step()
        cutting.step()

    calls = {
        "a dense step": dense_step,
        "`penalty()`, forward and backward": lambda: cutting.penalty().backward(),
        "`step()` that cuts": cutting.step,
        "`step()` after the last cut": settled.step,
        "a whole step with penalty and cut": sparsifying_step,
    }
    medians = [statistics.median(each) for each in timings(list(calls.values()), torch.device("cpu"), ROUNDS)]
    print("| | ms | share of a dense step |\n|---|---|---|")
    for name, seconds in zip(calls, medians, strict=True):
        print(f"| {name} | {1000 * seconds:.1f} | {seconds / medians[0]:.1%} |")
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
