"""What whole blocks cost in error: navigation, with single weights and with blocks kept or cut.

    OMP_NUM_THREADS=1 python benchmarks/blocks.py

All networks of a seed share data, initial weights, embedding, schedule, strength and steps, and differ in
the blocks alone. "Shuffled" blocks join neurons that are not ordered along the manifold.
"""

import argparse
import statistics
import time

import torch

from moduli.manifolds import Torus
from moduli.models import CubicSchedule, Sparsifier, graph_statistics, order_along
from moduli.regularizers import Diffusion
from moduli.tasks.experiments.configuration.settings import NavigationSettings
from moduli.tasks.experiments.training.loop import cosine
from moduli.tasks.navigation.task import Navigation

BATCH = 50
RATE = 2e-3


def trained(
    seed: int, units: int, steps: int, sparsity: float, side: int, *, ordered: bool
) -> tuple[float, float]:
    """Return a network's error on held-out walks in centimetres, and how far its connections reach.

    The reach is the mean distance that connections bridge, as a share of what chance would give.
    """
    task = Navigation(NavigationSettings(units=units, initialization="uniform"), BATCH, seed)
    torch.manual_seed(seed)
    model = task.model()
    points = Torus().random_point(units, torch.Generator().manual_seed(seed))
    if ordered:
        points = points[order_along(Torus(), points)]
    sparsifier = Sparsifier(
        model,
        Diffusion().normalized(),
        Torus(),
        sparsity=sparsity,
        schedule=CubicSchedule(round(0.15 * steps), round(0.6 * steps)),
        strength=10.0,
        scope="recurrent",
        embedding=points,
        granularity=side,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = cosine(RATE, step, steps)
        loss = task.loss(model, task.batch(step)) + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        sparsifier.step()
    (mask,) = sparsifier.masks.values()
    graph = graph_statistics(mask, Torus(), points)
    assert graph.wiring is not None
    assert graph.wiring_by_chance is not None
    return task.score(model), graph.wiring / graph.wiring_by_chance


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    references = Navigation(NavigationSettings(units=options.units), BATCH, seed=0).references()
    print("; ".join(f"{name}: {error:.1f} cm" for name, error in references.items()), end="\n\n")
    print(
        "| sparsity | blocks | error, cm | of each seed | distance bridged, of chance |\n"
        "|---|---|---|---|---|"
    )
    for sparsity in (0.9, 0.98):
        for side, ordered in ((1, True), (8, True), (16, True), (32, True), (16, False)):
            runs = [
                trained(seed, options.units, options.steps, sparsity, side, ordered=ordered)
                for seed in range(options.seeds)
            ]
            errors, reaches = zip(*runs, strict=True)
            name = f"{side} x {side}{'' if ordered else ', shuffled'}"
            print(
                f"| {sparsity:.0%} | {name} | {statistics.mean(errors):.1f} "
                f"| {', '.join(f'{error:.1f}' for error in errors)} | {statistics.mean(reaches):.0%} |",
                flush=True,
            )
    print(f"\n{options}, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
