"""The training loop."""

import math
import time

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from moduli.models import Sparsifier
from moduli.tasks.configuration import TrainingSettings
from moduli.tasks.errors import Diverged
from moduli.tasks.learning_rate import LearningRate
from moduli.tasks.runs import RunFolder
from moduli.tasks.task import Batch, Task

CHECKPOINT_SECONDS = 10.0
"""A run that is killed loses at most this much work."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
}


def train(
    task: Task[Batch],
    model: nn.Module,
    sparsifier: Sparsifier | None,
    settings: TrainingSettings,
    folder: RunFolder,
) -> float:
    """Train a model to the last step, from the folder's checkpoint if it holds one.

    Rows of metrics.csv are written every ``log_interval`` steps, a checkpoint every ten seconds.

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

    Returns
    -------
    float
        Seconds of training, over all the times that the run was started.

    Raises
    ------
    Diverged
        If the loss is not finite.
    """
    optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), lr=settings.learning_rate)  # type: ignore[call-arg]
    rate = LearningRate(settings)
    step, seconds = _restore(task, model, sparsifier, optimizer, rate, folder)
    started, saved = time.monotonic() - seconds, time.monotonic()
    while step < settings.steps:
        for group in optimizer.param_groups:
            group["lr"] = rate.at(step)
        loss = task.loss(model, task.batch(step))
        penalty = sparsifier.penalty() if sparsifier else torch.zeros_like(loss)
        optimizer.zero_grad()
        (loss + penalty).backward()  # type: ignore[no-untyped-call]
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
            folder.append_metrics(
                {
                    "step": step,
                    "loss": loss.item(),
                    "penalty": penalty.item(),
                    "validation": validation,
                    "sparsity": sparsifier.sparsity()["total"] if sparsifier else 0.0,
                    "seconds": round(time.monotonic() - started, 3),
                }
            )
            if time.monotonic() - saved > CHECKPOINT_SECONDS and step < settings.steps:
                state = _state(task, model, sparsifier, optimizer, rate, step, time.monotonic() - started)
                folder.save_tensors("checkpoint", state)
                saved = time.monotonic()
    return time.monotonic() - started


def _state(
    task: Task[Batch],
    model: nn.Module,
    sparsifier: Sparsifier | None,
    optimizer: torch.optim.Optimizer,
    rate: LearningRate,
    step: int,
    seconds: float,
) -> dict[str, Tensor]:
    """Return all that a resumed run needs, as one flat dictionary of tensors."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    if sparsifier:
        tensors |= {f"sparsifier.{name}": tensor for name, tensor in sparsifier.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in state.items()}
    tensors |= {f"rate.{name}": tensor for name, tensor in rate.state().items()}
    tensors |= {f"task.{name}": tensor for name, tensor in task.state().items()}
    return tensors | {"step": torch.tensor(step), "seconds": torch.tensor(seconds)}


def _restore(
    task: Task[Batch],
    model: nn.Module,
    sparsifier: Sparsifier | None,
    optimizer: torch.optim.Optimizer,
    rate: LearningRate,
    folder: RunFolder,
) -> tuple[int, float]:
    """Load the folder's checkpoint, and return the step and the seconds that it was made at."""
    tensors = folder.load_tensors("checkpoint", device=next(model.parameters()).device)
    if tensors is None:
        task.load_state({})
        folder.truncate_metrics(0)
        return 0, 0.0
    model.load_state_dict(_below("model.", tensors))
    if sparsifier:
        sparsifier.load_state_dict(_below("sparsifier.", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below("optimizer.", tensors).items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    rate.load_state(_below("rate.", tensors))
    task.load_state(_below("task.", tensors))
    step = int(tensors["step"])
    folder.truncate_metrics(step)
    return step, float(tensors["seconds"])


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
