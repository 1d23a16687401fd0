"""Time modules whose masks are tiles of a manifold against dense ones, and against single weights.

    python benchmarks/fast.py                  # everything; about 20 minutes where nothing else runs
    python benchmarks/fast.py inference        # only: inference, training, gated, memory, bridges, growth
                                               # or comparison
    python benchmarks/fast.py growth --toy     # any of them in seconds, at a size that shows nothing

Each figure is a ratio of medians, dense over sparse, of calls that take turns in one process. Of inference,
`compress` chooses the kernel; of training, `train_survivors`, or `sparse_rnn` where no dense module fits.
Memory is the peak of a process of its own, less what it held before it made the module.
"""

import argparse
import functools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from moduli.manifolds import Torus
from moduli.models import Sparsifier, compress, geometric_mask, sparse_rnn, tile_mask, train_survivors
from moduli.models.fast.choosing import noise, timings
from moduli.regularizers import Diffusion
from moduli.tasks import Comparison, preset
from moduli.tasks.experiments.configuration.execution import Execution

STEPS = 20
BATCHES = (1, 32, 200)
KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "RNN": functools.partial(nn.RNN, nonlinearity="relu"),
    "GRU": nn.GRU,
    "LSTM": nn.LSTM,
}


def tiles(points: Tensor, sparsity: float, bridges: float = 0.0) -> Tensor:
    """Return tiles of a torus, a share of whose weights connects neighbouring ones."""
    return tile_mask(Torus(), points, sparsity=sparsity, bridges=bridges)


Masks = Mapping[str, Callable[[Tensor, float], Tensor]]
MASKS: Masks = {
    "tiles": tiles,
    "tiles, a tenth between them": functools.partial(tiles, bridges=0.1),
    "single weights": lambda points, sparsity: geometric_mask(
        Diffusion(), Torus(), points, sparsity=sparsity
    ),
}
BRIDGED: Masks = {
    f"tiles, {share:.0%} between them": functools.partial(tiles, bridges=share)
    for share in (0.0, 0.1, 0.2, 0.3)
}
BLOCKS = ("torus-tiles@a-priori", "cliques@a-priori")
CPU = torch.device("cpu")


def masked(
    kind: str, units: int, sparsity: float, make: Callable[[Tensor, float], Tensor]
) -> tuple[nn.RNNBase, dict[str, Tensor]]:
    """Return a module cut by a mask of one kind, and that mask by the name of its weight."""
    torch.manual_seed(0)
    module = KINDS[kind](2, units)
    points = Torus().random_point(units, torch.Generator().manual_seed(0))
    mask = make(points, sparsity).repeat(len(module.weight_hh_l0) // units, 1)
    known = {"weight_hh_l0": mask}
    Sparsifier(module, masks=known)
    return module, known


def inference(kind: str, units: int, sparsity: float, rounds: int) -> None:
    """Print how much faster compressed modules are at every batch size."""
    for name, make in MASKS.items():
        module, _ = masked(kind, units, sparsity, make)
        for batch in BATCHES:
            fast, x = compress(module, batch), noise((STEPS, batch, 2), module.weight_hh_l0)
            with torch.no_grad():
                error = (fast(x)[0] - module(x)[0]).abs().max()
                seconds = timings([functools.partial(each, x) for each in (module, fast)], CPU, rounds)
            dense, sparse = map(statistics.median, seconds)
            kernel = "plain" if isinstance(fast, nn.RNNBase) else type(fast.weight_hh_l0).__name__
            print(
                f"| {kind} | {units} | {sparsity:.0%} | {name} | {batch} | {1000 * dense:.1f} "
                f"| {1000 * sparse:.1f} | {dense / sparse:.1f} | {kernel} | {error:.0e} |",
                flush=True,
            )


def training(kind: str, units: int, sparsity: float, batch: int, rounds: int, masks: Masks = MASKS) -> None:
    """Print how much faster an optimizer step of the surviving weights is."""
    for name, make in masks.items():
        module, known = masked(kind, units, sparsity, make)
        x = noise((STEPS, batch, 2), module.weight_hh_l0)
        steps = [training_step(each, x) for each in (module, train_survivors(module, known))]
        dense, sparse = map(statistics.median, timings(steps, CPU, rounds))
        print(
            f"| {kind} | {units} | {sparsity:.0%} | {name} | {batch} | {1000 * dense:.0f} "
            f"| {1000 * sparse:.0f} | {dense / sparse:.1f} |",
            flush=True,
        )


def training_step(module: nn.Module, x: Tensor) -> Callable[[], None]:
    """Return a function that takes one step, forward, backward and optimizer."""
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        module(x)[0].square().mean().backward()
        optimizer.step()

    return step


def alone(units: int, sparsity: float, batch: int, rounds: int) -> dict[str, float]:
    """Return seconds and memory of a training step in a process of its own; at sparsity 0 it is dense."""
    call = [sys.executable, __file__, "alone", json.dumps([units, sparsity, batch, rounds])]
    process = subprocess.run(call, capture_output=True, text=True, check=False)
    if process.returncode:
        return {"make": float("nan"), "step": float("nan"), "memory": float("nan")}
    found: dict[str, float] = json.loads(process.stdout)
    return found


def measure_alone(units: int, sparsity: float, batch: int, rounds: int) -> None:
    """Print, as JSON, how long making and training a module takes here, and how much memory, in MiB."""
    before, started = peak(), time.perf_counter()
    if sparsity:
        module: nn.Module = sparse_rnn("rnn", 2, units, sparsity=sparsity, nonlinearity="relu")
    else:
        module = KINDS["RNN"](2, units)
    made = time.perf_counter() - started
    x = noise((STEPS, batch, 2), next(module.parameters()))
    (seconds,) = timings([training_step(module, x)], CPU, rounds)
    print(json.dumps({"make": made, "step": statistics.median(seconds), "memory": peak() - before}))


def peak() -> float:
    """Return the most memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(units: int, batch: int, rounds: int) -> None:
    """Print how much memory a training step takes."""
    dense = alone(units, 0.0, batch, rounds)["memory"]
    for sparsity in (0.9, 0.98):
        sparse = alone(units, sparsity, batch, rounds)["memory"]
        print(f"| {units} | {sparsity:.0%} | {batch} | {dense:.0f} | {sparse:.0f} | {dense / sparse:.1f} |")


def growth(sizes: list[int], weights: int, batch: int, largest_dense: int, rounds: int, out: Path) -> None:
    """Print, and draw, how time and memory grow with the number of neurons of equally many weights."""
    rows = []
    for units in sizes:
        tiles = alone(units, 1 - weights / units, batch, rounds)
        dense = alone(units, 0.0, batch, rounds) if units <= largest_dense else None
        rows.append({"units": units, "tiles": tiles, "dense": dense})
        shown = "— | —" if dense is None else f"{1000 * dense['step']:.0f} | {dense['memory']:.0f}"
        print(
            f"| {units} | {1 - weights / units:.2%} | {tiles['make']:.1f} | {1000 * tiles['step']:.0f} "
            f"| {tiles['memory']:.0f} | {shown} |",
            flush=True,
        )
    for name in ("tiles", "dense"):
        print(
            f"\n{name}: from the third size on, seconds grow with power {power(rows, name):.2f} of the units"
        )
    out.mkdir(parents=True, exist_ok=True)
    (out / "growth.json").write_text(json.dumps(rows, indent=1))
    draw(rows, out / "growth.png")


def power(rows: list[dict[str, Any]], name: str) -> float:
    """Return the slope of the logarithm of seconds over that of units, without the two smallest sizes."""
    points = [(row["units"], row[name]["step"]) for row in rows[2:] or rows if row[name] is not None]
    units, seconds = zip(*points, strict=True)
    return statistics.linear_regression(list(map(math.log, units)), list(map(math.log, seconds))).slope


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the time of a step against the number of neurons."""
    axes = (figure := Figure(figsize=(5, 3.5), layout="constrained")).add_subplot()
    for name in ("dense", "tiles"):
        points = [(row["units"], row[name]["step"]) for row in rows if row[name] is not None]
        axes.plot(*zip(*points, strict=True), "o-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="neurons", ylabel="seconds of a training step")
    axes.legend()
    figure.savefig(path, dpi=150)


def comparison(units: int, steps: int, rounds: int) -> None:
    """Print how long a whole comparison of never-dense networks takes: masked, and by survivors alone."""
    small = preset("navigation", "small")
    world = replace(
        small,
        task=replace(small.task, units=units, initialization="uniform", test_walks=200),
        training=replace(small.training, steps=steps, batch=40, log_interval=steps),
        pruning=replace(small.pruning, sparsity=0.9),
    )
    ways = {"masked dense": BLOCKS, "survivors": tuple(f"{name}@survivors" for name in BLOCKS)}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, methods in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                compared = Comparison(world, methods, [0], Path(folder), "table")
                execution = Execution(threads=torch.get_num_threads(), verify=False)
                compared.summarize(compared.carry_out(1, execution))
                seconds[way].append(time.perf_counter() - started)
    masked, survivors = (statistics.median(each) for each in seconds.values())
    print(f"| {units} | {steps} | {masked:.1f} | {survivors:.1f} | {masked / survivors:.1f} |", flush=True)


def main() -> None:
    """Print the tables, or one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", default="all")
    parser.add_argument("arguments", nargs="?")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results/fast"))
    options = parser.parse_args()
    if options.part == "alone":
        measure_alone(*json.loads(options.arguments))
        return
    parts = ("inference", "training", "gated", "memory", "bridges", "growth", "comparison")
    wanted = parts if options.part == "all" else (options.part,)
    units, gated, rounds = (256, 128, 1) if options.toy else (4096, 1024, 7)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}")
    inferred = (
        "\n| module | units | sparsity | mask | batch | dense, ms | sparse, ms | ratio | kernel | error |"
    )
    trained = "\n| module | units | sparsity | mask | batch | dense, ms | sparse, ms | ratio |"
    if "inference" in wanted:
        print(f"{inferred}\n{'|---' * 10}|")
        for sparsity in (0.9, 0.98):
            inference("RNN", units, sparsity, rounds)
    if "training" in wanted:
        print(f"{trained}\n{'|---' * 8}|")
        for sparsity in (0.9, 0.98):
            training("RNN", units, sparsity, 200, rounds)
    if "gated" in wanted:
        print(f"{inferred}\n{'|---' * 10}|")
        for kind in ("GRU", "LSTM"):
            inference(kind, gated, 0.9, rounds)
        print(f"{trained}\n{'|---' * 8}|")
        for kind in ("GRU", "LSTM"):
            training(kind, gated, 0.9, 32, rounds)
    if "memory" in wanted:
        print("\n| units | sparsity | batch | dense, MiB | tiles, MiB | ratio |\n|---|---|---|---|---|---|")
        for batch in BATCHES[1:]:
            memory(units, batch, 1)
    if "bridges" in wanted:
        print(f"{trained}\n{'|---' * 8}|")
        training("RNN", units, 0.9, 200, rounds, BRIDGED)
    if "growth" in wanted:
        print(
            "\n| units | sparsity | tiles: made, s | step, ms | MiB | dense: step, ms | MiB |\n"
            "|---|---|---|---|---|---|---|"
        )
        sizes = [256, 512] if options.toy else [2**power for power in range(9, 17)]
        growth(sizes, 64, 32, 16384, 1 if options.toy else 3, options.out)
    if "comparison" in wanted:
        print("\n| units | steps | masked dense, s | survivors, s | ratio |\n|---|---|---|---|---|")
        comparison(*((64, 2, 1) if options.toy else (1024, 100, 3)))
    print(f"\nload {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
