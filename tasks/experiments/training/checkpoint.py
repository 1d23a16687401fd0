"""All that changes while a network is trained, as one file, and back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from moduli.models import Sparsifier
from moduli.models.state import part
from moduli.tasks.experiments.runs.files import damaged
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.training.devices import Devices
from moduli.tasks.experiments.training.learning_rate import LearningRate
from moduli.tasks.task import Task


@dataclass(frozen=True)
class Checkpoint:
    """The parts of a training that change, saved to the folder of a stage and restored from it.

    Parameters
    ----------
    folder : RunFolder
        Where ``checkpoint.safetensors`` is.
    task, model, sparsifier, optimizer, rate
        The parts.
    devices : Devices
        The first of them writes; each of them restores its own part of the task's state.
    """

    folder: RunFolder
    task: Task[Any]
    model: nn.Module
    sparsifier: Sparsifier | None
    optimizer: Optimizer
    rate: LearningRate
    devices: Devices

    def save(self, step: int, seconds: float) -> None:
        """Write all parts, as they are at a step after so many seconds of training."""
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
            self.folder.save_tensors("checkpoint", tensors)

    def restore(self) -> tuple[int, float]:
        """Load what was saved, and return its step and seconds; both are 0 where nothing was saved.

        Raises
        ------
        DamagedFile
            If the checkpoint was changed, is another run's, or lacks a part.
        """
        tensors = self.folder.load_tensors("checkpoint")
        if tensors is None:
            self.task.load_state({})
            return 0, 0.0
        try:
            return self._load(tensors)
        except (
            KeyError,
            IndexError,
            ValueError,
            TypeError,
            OverflowError,
            RuntimeError,
        ) as error:  # StateMismatch is a ValueError
            path = self.folder.path / "checkpoint.safetensors"
            raise damaged(f"{path} does not hold what a checkpoint of this run holds ({error})") from error

    def _load(self, tensors: Mapping[str, Tensor]) -> tuple[int, float]:
        step, seconds = int(tensors["step"]), float(tensors["seconds"])
        if not (0 < step < self.rate.settings.steps and 0 <= seconds < math.inf):
            raise ValueError(f"step {step} after {seconds} s")
        self.model.load_state_dict(part(tensors, "model"))
        if self.sparsifier:
            self.sparsifier.load_state_dict(part(tensors, "sparsifier"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in part(tensors, "optimizer").items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})
        self.rate.load_state(part(tensors, "rate"))
        carried = part(tensors, "task")
        self.task.load_state({name: value[self.devices.rank] for name, value in carried.items()})
        return step, seconds


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
