"""The training loop."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from moduli.models import Sparsifier
from moduli.tasks.errors import Diverged
from moduli.tasks.experiments.devices import OneDevice
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.interruption import stop_requests
from moduli.tasks.experiments.learning_rate import LearningRate
from moduli.tasks.experiments.metrics import MetricsLog
from moduli.tasks.experiments.runs import RunFolder
from moduli.tasks.experiments.settings import TrainingSettings
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
    devices: OneDevice | None = None,
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
    devices : OneDevice, optional
        The devices that share each batch; every one has the whole model.

    Returns
    -------
    float
        Seconds of training, over all the times that the run was started.

    Raises
    ------
    Diverged
        If the loss is not finite.
    KeyboardInterrupt
        If the process was asked to stop; the checkpoint is written before.
    """
    devices = devices or OneDevice()
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), lr=settings.learning_rate)  # type: ignore[call-arg]
    rate = LearningRate(settings)
    parts = _Parts(task, model, sparsifier, optimizer, rate, devices)
    step, seconds = parts.restore(folder)
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
            clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            if sparsifier:
                sparsifier.step()
            step += 1

            if step % settings.log_interval == 0 or step == settings.steps:
                if not math.isfinite(loss.item()):
                    raise Diverged(
                        f"The loss is {loss.item()} at step {step} of {folder.path}; "
                        "lower the learning rate or the strength of the penalty."
                    )
                validation = task.validate(model)
                rate.observe(validation)
                log.append(
                    {
                        "step": step,
                        "loss": loss.item(),
                        "penalty": penalty.item(),
                        "validation": validation,
                        "sparsity": sparsifier.sparsity()["total"] if sparsifier else 0.0,
                        "seconds": round(time.monotonic() - started, 3),
                    }
                )
            stopping = devices.any(asked_to_stop())
            due = devices.any(time.monotonic() - saved >= execution.checkpoint_seconds)
            if (stopping or due) and step < settings.steps:
                parts.save(folder, step, time.monotonic() - started)
                saved = time.monotonic()
            if stopping:
                raise KeyboardInterrupt
    return time.monotonic() - started


class _Parts:
    """All that changes while training, as one flat dictionary of tensors and back."""

    def __init__(
        self,
        task: Task[Any],
        model: nn.Module,
        sparsifier: Sparsifier | None,
        optimizer: Optimizer,
        rate: LearningRate,
        devices: OneDevice,
    ) -> None:
        self.task = task
        self.model = model
        self.sparsifier = sparsifier
        self.optimizer = optimizer
        self.rate = rate
        self.devices = devices

    def save(self, folder: RunFolder, step: int, seconds: float) -> None:
        tensors = _under("model", self.model.state_dict())
        if self.sparsifier:
            tensors |= _under("sparsifier", self.sparsifier.state_dict())
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= _under(
                f"optimizer.{index}", {name: value for name, value in state.items() if value is not None}
            )
        tensors |= _under("rate", self.rate.state())
        tensors |= _under("task", self.devices.gather(self.task.state()))
        tensors |= {"step": torch.tensor(step), "seconds": torch.tensor(seconds)}
        if self.devices.rank == 0:
            folder.save_tensors("checkpoint", tensors)

    def restore(self, folder: RunFolder) -> tuple[int, float]:
        """Load the folder's checkpoint, and return the step and the seconds that it was made at."""
        tensors = folder.load_tensors("checkpoint", device=next(self.model.parameters()).device)
        if tensors is None:
            self.task.load_state({})
            return 0, 0.0
        self.model.load_state_dict(_below("model", tensors))
        if self.sparsifier:
            self.sparsifier.load_state_dict(_below("sparsifier", tensors))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer", tensors).items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        self.rate.load_state(_below("rate", tensors))
        carried = _below("task", tensors)
        self.task.load_state({name: value[self.devices.rank] for name, value in carried.items()})
        return int(tensors["step"]), float(tensors["seconds"])


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
