"""Train the published tables at their own size, as much as fits into some minutes; a later call goes on.

    python benchmarks/published.py --minutes 9 --methods torus-dog,none
    python benchmarks/published.py --task language --minutes 9 --sparsity 0.98 --methods dense,none,torus-dog
    python benchmarks/published.py --device cpu --preset smoke --minutes 1      # to see that it works

Navigation has 4096 ReLU units, 512 place cells and 30,000 steps; language three layers of 650 tanh units.
Methods are trained one after the other, in the order that is given. When the time is over, the network at
work is checkpointed, and the same command continues it.
"""

import dataclasses
import os
import signal
import threading
import time
from pathlib import Path
from typing import Literal

import tyro

from moduli.tasks import preset
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.presets import with_style
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.run import Run
from moduli.tasks.experiments.stages import STAGES, Stage

METHODS = "torus-dog,none,permuted-torus-dog,l1@free-diagonal,klein-dog,sphere-dog"


def main(
    task: str = "navigation",
    methods: str = METHODS,
    sparsity: float = 0.9,
    seed: int = 0,
    minutes: float = 9.0,
    device: str = "cuda",
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed",
    preset_name: str = "paper",
    stages: Literal["trained", "both"] = "trained",
    out: Path = Path("runs"),
) -> None:
    """Train methods until the time is over, and print what each has reached."""
    configuration = preset(task, preset_name)
    if preset_name == "paper" and task == "navigation":
        configuration = with_style(configuration, "paper")
    training = dataclasses.replace(configuration.training, precision=precision)
    pruning = dataclasses.replace(configuration.pruning, sparsity=sparsity)
    configuration = dataclasses.replace(configuration, training=training, pruning=pruning)
    wanted: tuple[Stage, ...] = ("trained",) if stages == "trained" else STAGES
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & would have it ignored
    alarm = threading.Timer(60 * minutes, os.kill, (os.getpid(), signal.SIGINT))
    alarm.daemon = True
    started = time.monotonic()
    try:
        alarm.start()
        for method in methods.split(","):
            results = carry_out(
                Run(configuration, method, seed, out / "networks"), Execution(device=device), wanted
            )
            for stage, result in results.items():
                left = ", ".join(f"{name} {1 - zeros:.2%}" for name, zeros in result.matrices.items())
                print(
                    f"{method}, {stage}: {result.score:.2f} {result.score_name}, "
                    f"{_share(result.score, result.references)}left of {left or 'all'}; "
                    f"{result.seconds:.0f} s",
                    flush=True,
                )
    except KeyboardInterrupt:
        print(f"{(time.monotonic() - started) / 60:.1f} minutes are over; the same command goes on.")
    finally:
        alarm.cancel()


def _share(score: float, references: dict[str, float]) -> str:
    """Return a score as a share of the way from the floor to standing still, where a task has both."""
    floor = next((value for name, value in references.items() if name.startswith("floor")), None)
    still = references.get("standing still at the start")
    if floor is None or still is None:
        return ""
    return f"{(score - floor) / (still - floor):.0%} of the way from the floor to standing still; "


if __name__ == "__main__":
    tyro.cli(main)
