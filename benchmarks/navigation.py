"""Time a training step of the navigation task against a minimal one of the same network.

    python benchmarks/navigation.py                # every size
    python benchmarks/navigation.py demo           # only: demo or paper

The minimal step is what anybody would write by hand: one forward pass, one backward pass and AdamW, on
tensors that lie ready. The task's step computes its place-cell activity too, and clips the gradient as
training does. The two take turns in one process. The ratio is one of medians, after each step's share of
the time that a bulk of walks takes has been added to the task's.
"""

import functools
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import BATCHES_AT_ONCE, Navigation

SIZES = {
    "demo": (NavigationSettings(), 100, 100),
    "paper": (
        NavigationSettings(
            units=1024, cells=512, cell_width=0.12, tuning="difference-of-gaussians", walk_length=50
        ),
        200,
        10,
    ),
}
"""Settings, batch and number of timed steps."""
BULKS = 3
"""Number of timed bulks of walks."""


def minimal_step(settings: NavigationSettings, batch: int) -> Callable[[], None]:
    """Return a hand-written step on one ready batch."""
    torch.manual_seed(0)
    encoder = nn.Linear(settings.cells, settings.units, bias=False)
    recurrent = nn.RNN(2, settings.units, nonlinearity="relu", bias=False, batch_first=True)
    decoder = nn.Linear(settings.units, settings.cells, bias=False)
    optimizer = torch.optim.AdamW(nn.ModuleList([encoder, recurrent, decoder]).parameters(), lr=1e-4)
    start = torch.softmax(torch.randn(batch, settings.cells), dim=-1)
    velocities = torch.randn(batch, settings.walk_length, 2)
    target = torch.softmax(torch.randn(batch * settings.walk_length, settings.cells), dim=-1)

    def step() -> None:
        hidden, _ = recurrent(velocities, encoder(start)[None])
        loss = cross_entropy(decoder(hidden).flatten(0, 1), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def task_step(task: Navigation) -> Callable[[], None]:
    """Return the step that training takes of a dense network, place-cell activity included."""
    torch.manual_seed(0)
    model = task.model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    count = 0

    def step() -> None:
        nonlocal count
        loss = task.loss(model, task.batch(count % BATCHES_AT_ONCE))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        count += 1

    return step


def seconds(function: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def compare(name: str) -> None:
    """Print one row of the table."""
    settings, batch, steps = SIZES[name]
    task = Navigation(settings, batch, seed=0)
    bulks = [seconds(functools.partial(task.batch, index * BATCHES_AT_ONCE)) for index in range(BULKS)]
    walks = 1000 * statistics.median(bulks) / BATCHES_AT_ONCE
    functions = minimal_step(settings, batch), task_step(task)
    for function in functions:
        function()  # to warm up, and to make the bulk of walks that every timed step shares
    times = [[seconds(function) for function in functions] for _ in range(steps)]
    minimal, own = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    print(
        f"| {name} | {settings.units} | {settings.cells} | {batch} | {settings.walk_length} "
        f"| {minimal:.1f} | {own:.1f} | {walks:.2f} | {(own + walks) / minimal:.3f} |",
        flush=True,
    )


if __name__ == "__main__":
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}\n")
    print("| size | units | cells | batch | steps | minimal, ms | task, ms | walks, ms a step | ratio |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in sys.argv[1:] or SIZES:
        compare(size)
