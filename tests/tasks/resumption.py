"""A run that is killed again and again, for any task."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.task import Task


class Killed(BaseException):
    """Stands for a signal: nothing but the test catches it."""


def check_resumption(
    kind: type[Task],
    configuration: Configuration,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str = "torus-diffusion",
) -> None:
    """Kill a run at three steps, two of them in its first stage; it must end as one that never was."""
    whole, broken = (Run(configuration, method, 0, folder / name) for name in ("whole", "broken"))
    expected = carry_out(whole)
    steps = configuration.training.steps
    original, count, deaths = kind.loss, 0, [steps // 3, steps // 2, steps + steps // 2]

    def mortal(self, model, batch):
        nonlocal count
        count += 1
        if deaths and count == deaths[0]:
            deaths.pop(0)
            raise Killed
        return original(self, model, batch)

    monkeypatch.setattr(kind, "loss", mortal)
    for _ in range(3):
        with pytest.raises(Killed):
            carry_out(broken, Execution(checkpoint_seconds=0.0))
    results = carry_out(broken, Execution(checkpoint_seconds=0.0))
    for stage in ("trained", "ticket"):
        assert results[stage].score == expected[stage].score
        assert results[stage].measurements == expected[stage].measurements
        ours, theirs = (load_file(run.stage(stage) / "weights.safetensors") for run in (broken, whole))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
