"""Time what a sparsifier adds to a training step: 2048 ReLU units, batch 200, 20 steps in time.

    OMP_NUM_THREADS=1 python benchmarks/sparsifier.py

A dense step is forward, backward and AdamW. The calls take turns in one process, whose CPU time is measured;
each share is the median of a call's time over that of the dense step of the same turn, so that other work on
the machine strikes both alike.
"""

import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Regrowth, Sparsifier
from moduli.models.fast.choosing import noise
from moduli.models.pruning.schedules import Schedule
from moduli.regularizers import DifferenceOfGaussians

ROUNDS = 9
FOREVER = 10**6


def module() -> nn.RNN:
    """Return a network."""
    torch.manual_seed(0)
    return nn.RNN(2, 2048, nonlinearity="relu", bias=False)


def sparsifier_of(
    network: nn.RNN, schedule: Schedule | None = None, regrowth: Regrowth | None = None
) -> Sparsifier:
    """Return a network's sparsifier, which has taken one step."""
    sparsifier = Sparsifier(
        network,
        DifferenceOfGaussians().normalized(),
        Torus(),
        sparsity=0.9,
        scope="recurrent",
        schedule=schedule,
        regrowth=regrowth,
    )
    sparsifier.step()
    return sparsifier


def training_step(network: nn.RNN, sparsifier: Sparsifier | None = None) -> Callable[[], None]:
    """Return a function that takes one step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    x = noise((20, 200, 2), network.weight_hh_l0)

    def step() -> None:
        optimizer.zero_grad()
        loss = network(x)[0].square().mean()
        (loss if sparsifier is None else loss + sparsifier.penalty()).backward()
        optimizer.step()
        if sparsifier is not None:
            sparsifier.step()

    return step


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n")
    networks = [module() for _ in range(5)]
    cutting = sparsifier_of(networks[0], CubicSchedule(0, FOREVER))
    halfway = sparsifier_of(networks[4], lambda step: 0.5 + step / FOREVER)
    settled = sparsifier_of(networks[1])
    waiting = sparsifier_of(networks[2], regrowth=Regrowth(end=FOREVER, interval=FOREVER))
    growing = sparsifier_of(networks[3], regrowth=Regrowth(end=FOREVER, interval=1))
    calls = {
        "a dense step": training_step(module()),
        "`penalty()`, forward and backward": lambda: cutting.penalty().backward(),
        "`step()` that cuts": cutting.step,
        "`step()` after the last cut": settled.step,
        "a whole step with penalty and cut": training_step(networks[0], cutting),
        "the same, half-way through the schedule": training_step(networks[4], halfway),
        "a whole step after the last cut": training_step(networks[1], settled),
        "the same, with regrowth that is not due": training_step(networks[2], waiting),
        "the same, with regrowth by gradient": training_step(networks[3], growing),
    }
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(ROUNDS + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            if turn:  # the first turn warms up
                seconds[name].append(time.process_time() - start)
    dense = seconds["a dense step"]
    print("| | ms | share of a dense step |\n|---|---|---|")
    for name, times in seconds.items():
        share = statistics.median(own / step for own, step in zip(times, dense, strict=True))
        print(f"| {name} | {1000 * statistics.median(times):.1f} | {share:.1%} |")
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
