"""Train the published tables at their own size, as much as fits into some minutes; a later call goes on.

    python benchmarks/published.py --minutes 9 --methods torus-dog,none
    python benchmarks/published.py --task language --minutes 9 --sparsity 0.98 --methods dense,none,torus-dog
    python benchmarks/published.py --device cpu --preset-name smoke --minutes 1      # to see that it works
    python benchmarks/published.py --preset-name first-look --units 4096 --learning-rate 5e-4 \
        --seeds 300 301 --methods torus-diffusion@a-priori,rewired-torus-diffusion@a-priori,cliques@a-priori

Navigation has 4096 ReLU units, 512 place cells and 30,000 steps; language three layers of 650 tanh units.
Methods are trained one after the other, seed by seed, in the order that is given; ``networks.csv`` holds what
has been reached, ``contrasts.csv`` how methods differ from the first. When the time is over, the network at
work is checkpointed, and the same command continues it.
"""

import math
import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import tyro

from moduli.tasks import preset
from moduli.tasks.experiments.comparisons.contrasts import contrast, corrected
from moduli.tasks.experiments.comparisons.summary import void_runs
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.presets import with_style
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.files import write_csv
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import STAGES, Stage, StageResult

METHODS = "torus-dog,none,permuted-torus-dog,l1@free-diagonal,klein-dog,sphere-dog"


def main(
    task: str = "navigation",
    methods: str = METHODS,
    sparsity: float = 0.9,
    seeds: tuple[int, ...] = (0,),
    minutes: float = 9.0,
    device: str = "cuda",
    precision: Literal["32-true", "16-mixed"] = "32-true",
    preset_name: str = "paper",
    units: int | None = None,
    learning_rate: float | None = None,
    stages: Literal["trained", "both"] = "trained",
    out: Path = Path("runs"),
) -> None:
    """Train methods, seed by seed, until the time is over; print and write what each has reached."""
    configuration = preset(task, preset_name)
    if preset_name == "paper" and task == "navigation":
        configuration = with_style(configuration, "paper")
    training = replace(configuration.training, precision=precision)
    if learning_rate is not None:
        training = replace(training, learning_rate=learning_rate)
    settings = configuration.task if units is None else replace(configuration.task, units=units)
    pruning = replace(configuration.pruning, sparsity=sparsity)
    configuration = replace(configuration, task=settings, training=training, pruning=pruning)
    wanted: tuple[Stage, ...] = ("trained",) if stages == "trained" else STAGES
    execution = Execution(device=device, checkpoint_seconds=60)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & would have it ignored
    alarm = threading.Timer(60 * minutes, os.kill, (os.getpid(), signal.SIGINT))
    alarm.daemon = True
    started = time.monotonic()
    rows = []
    try:
        alarm.start()
        for seed, method in product(seeds, methods.split(",")):
            run = Run(configuration, method, seed, out / "networks")
            for result in carry_out(run, execution, wanted).values():
                rows.append(_row(result))
                write_csv(out / "networks.csv", rows)
                write_csv(out / "contrasts.csv", differences(rows, methods.split(",")[0]))
                print(", ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    except KeyboardInterrupt:
        print(f"{(time.monotonic() - started) / 60:.1f} minutes are over; the same command goes on.")
    finally:
        alarm.cancel()


def differences(rows: Sequence[dict[str, Any]], control: str) -> list[dict[str, Any]]:
    """Return how each method differs from a control, seed by seed, in every score; as one family of tests."""
    outcomes = [name for name in ("error (cm)", "long walks", "perplexity") if name in rows[0]]
    stages: list[Stage] = [stage for stage in STAGES if any(row["stage"] == stage for row in rows)]
    found = []
    for method, stage, outcome in product(dict.fromkeys(row["method"] for row in rows), stages, outcomes):
        own, other = (
            {row["seed"]: row for row in rows if (row["method"], row["stage"]) == (name, stage)}
            for name in (method, control)
        )
        seeds = sorted(own.keys() & other.keys())
        if method == control or len(seeds) < 2:
            continue
        scores = [[each[seed][outcome] for seed in seeds] for each in (own, other)]
        still = [own[seed]["standing still"] or math.inf for seed in seeds]
        void = [void_runs([each[seed][outcomes[0]] for seed in seeds], still) for each in (own, other)]
        name = f"{method} − {control}, {outcome}"
        found.append(contrast(name, 0.0, stage, *scores, *void))
    return [asdict(each) for each in corrected([each for each in found if each is not None])]


def _row(result: StageResult) -> dict[str, Any]:
    """Return what the table says of a network; errors also as shares of the way to standing still."""
    still = result.references.get("standing still at the start")
    floor = next((value for name, value in result.references.items() if name.startswith("floor")), None)
    there = still is not None and floor is not None and floor < still
    share = (result.score - floor) / (still - floor) if there else None
    row: dict[str, Any] = {"method": result.method, "seed": result.seed, "stage": result.stage}
    row |= {result.score_name: result.score}
    if "long walks" in result.measurements:
        row["long walks"] = result.measurements["long walks"]["error"]
    row |= {"floor": floor, "standing still": still, "share": share, "seconds": result.seconds}
    return row | {f"left of {name}": 1 - zeros for name, zeros in result.matrices.items()}


if __name__ == "__main__":
    tyro.cli(main)
