"""The training loop."""

import math
import time
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from moduli.models import NonFiniteWeights, Sparsifier
from moduli.tasks.errors import Diverged
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import TrainingSettings
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.training.checkpoint import Checkpoint
from moduli.tasks.experiments.training.devices import Devices
from moduli.tasks.experiments.training.interruption import stop_requests
from moduli.tasks.experiments.training.learning_rate import LearningRate
from moduli.tasks.experiments.training.metrics_log import MetricsLog
from moduli.tasks.task import Task

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}


def train(
    task: Task[Any],
    model: nn.Module,
    sparsifier: Sparsifier | None,
    settings: TrainingSettings,
    folder: RunFolder,
    execution: Execution,
    devices: Devices,
    zeros: float = 0.0,
) -> float:
    """Train a model to the last step, from the folder's checkpoint if it holds one.

    Rows of metrics.csv are written every ``log_interval`` steps, a checkpoint every so many seconds,
    and one more when the process is asked to stop.

    Parameters
    ----------
    task : Task
        Data, loss and validation score.
    model : nn.Module
        Changed in place.
    sparsifier : Sparsifier or None
        Its penalty joins the loss, and it is stepped after the optimizer.
    settings : TrainingSettings
        Steps, optimizer, learning rate and clipping.
    folder : RunFolder
        Where metrics and checkpoints go.
    execution : Execution
        How often a checkpoint is written, and whether TensorBoard is written to.
    devices : Devices
        The devices that share each batch; every one has the whole model.
    zeros : float
        Fraction of zeros in what is pruned, for the log of a model that no sparsifier prunes.

    Returns
    -------
    float
        Seconds of training, over all the times that the run was started.

    Raises
    ------
    Diverged
        If the loss is not finite, or weights are not where a cut is due.
    KeyboardInterrupt
        If the process was asked to stop; the checkpoint is written before.
    """
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), lr=settings.learning_rate)  # type: ignore[call-arg]
    rate = LearningRate(settings)
    checkpoint = Checkpoint(folder, task, model, sparsifier, optimizer, rate, devices)
    step, seconds = checkpoint.restore()
    prepared, optimizer = devices.prepare(model, optimizer)
    started = time.monotonic() - seconds
    saved = time.monotonic()
    with stop_requests() as asked_to_stop, MetricsLog(folder, step, execution, devices.rank) as log:
        while step < settings.steps:
            for group in optimizer.param_groups:
                group["lr"] = rate.at(step)
            batch = task.part(task.batch(step), devices.rank, devices.count)
            loss = task.loss(prepared, batch)
            penalty = sparsifier.penalty() if sparsifier else torch.zeros_like(loss)
            optimizer.zero_grad()
            devices.backward(loss + penalty)
            devices.clip(prepared, optimizer, settings.clip)
            optimizer.step()
            step += 1
            if sparsifier:
                try:
                    sparsifier.step()
                except NonFiniteWeights as error:
                    raise _diverged(str(error).partition(";")[0], settings, folder) from error

            if step % settings.log_interval == 0 or step == settings.steps:
                if not math.isfinite(loss.item()):
                    raise _diverged(f"The loss is {loss.item()} at step {step}", settings, folder)
                validation = task.validate(model)
                rate.observe(validation)
                log.append(
                    {
                        "step": step,
                        "loss": loss.item(),
                        "penalty": penalty.item(),
                        "validation": validation,
                        "sparsity": sparsifier.sparsity()["total"] if sparsifier else zeros,
                        "seconds": round(time.monotonic() - started, 3),
                    }
                )
            stopping = devices.any(asked_to_stop())
            due = devices.any(time.monotonic() - saved >= execution.checkpoint_seconds)
            if (stopping or due) and step < settings.steps:
                checkpoint.save(step, time.monotonic() - started)
                saved = time.monotonic()
            if stopping:
                raise KeyboardInterrupt
    return time.monotonic() - started


def _diverged(what: str, settings: TrainingSettings, folder: RunFolder) -> Diverged:
    return Diverged(
        f"{what} in {folder.path}, with the learning rate {settings.learning_rate:g}; lower the learning "
        "rate or the strength of the penalty."
    )
