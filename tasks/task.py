"""What a task is: a data source, a model, a loss and a score."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from moduli.errors import RegistrationError
from moduli.plugins import import_string
from moduli.showing import described
from moduli.tasks.experiments.configuration.settings import Configuration
from moduli.tasks.figures.picture import Picture

Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """A data source, a model, a loss and a score, for one seed on one device.

    Data depend on the seed and the step alone, so that a run that was interrupted sees what it
    would have seen. A task is made as ``task(settings, batch_size, seed, device)``; its settings name it.

    Attributes
    ----------
    score_name : str
        What ``score`` measures, with its unit, such as ``"error (cm)"``; lower is better.
    seed : int
        Seed of the data.
    floor : str or None
        Which of the references is the best that can be hoped for; None where nobody knows.
    ignorance : str or None
        Which of the references needs no input. A network that does no better has learned nothing, and its
        run is void; None where the task has none.
    recurrent : tuple of str
        Names or patterns of recurrent weights in cells written by hand, for a model that has some; those of
        PyTorch's modules are known. See `moduli.models.Sparsifier`.
    criterion : float or None
        The score on validation data at which a task counts as learned; results say after how many steps.
    """

    score_name: str
    seed: int
    floor: ClassVar[str | None] = None
    ignorance: ClassVar[str | None] = None
    recurrent: tuple[str, ...] = ()
    criterion: float | None = None

    @abstractmethod
    def model(self) -> nn.Module:
        """Return a fresh model on the task's device, with weights from torch's global generator."""

    @abstractmethod
    def batch(self, step: int) -> Batch:
        """Return the training batch of a step."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return the loss of a batch, without any penalty."""

    @abstractmethod
    def score(self, model: nn.Module) -> float:
        """Return the score on held-out data."""

    @abstractmethod
    def validate(self, model: nn.Module) -> float:
        """Return the score on a little held-out data of its own, to watch training by."""

    @abstractmethod
    def references(self) -> dict[str, float]:
        """Return scores that need no network: the floor, and what ignorance reaches."""

    @abstractmethod
    def part(self, batch: Batch, index: int, count: int) -> Batch:
        """Return one of ``count`` equal parts of a batch, for one of several devices."""

    def measurements(self, model: nn.Module) -> dict[str, Any]:
        """Return what else is worth knowing of a trained model, as plain values for a result's file."""
        return {}

    def figures(self, model: nn.Module) -> dict[str, Picture]:
        """Return what only this task can draw of a trained model, by the names of the files."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """Return what the task carries from one step to the next, such as a hidden state."""
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` returned; called with nothing at the start of a training."""


def make_task(configuration: Configuration, seed: int, device: torch.device | str = "cpu") -> Task[Any]:
    """Return the task that a configuration's settings name.

    Parameters
    ----------
    configuration : Configuration
        Settings of the task and the size of a batch.
    seed : int
        Seed of the task's data.
    device : torch.device or str
        Where data and models are made.

    Raises
    ------
    PluginError
        If the task cannot be imported.
    RegistrationError
        If it is not a complete `Task`.

    Examples
    --------
    >>> from moduli.tasks.navigation.settings import NavigationSettings
    >>> make_task(Configuration(NavigationSettings()), seed=0).score_name
    'error (cm)'
    """
    # The constructor of a task takes what the contract says, not what Task itself takes.
    make: Any = task_class(configuration.task)
    task: Task[Any] = make(configuration.task, configuration.training.batch, seed, device)
    return task


def task_class(settings: Any) -> type[Task[Any]]:
    """Return the class of the task that settings name.

    Parameters
    ----------
    settings : dataclass
        The settings of a task.

    Raises
    ------
    PluginError
        If the task cannot be imported.
    RegistrationError
        If it is not a complete `Task`.

    Examples
    --------
    >>> from moduli.tasks.navigation.settings import NavigationSettings
    >>> task_class(NavigationSettings()).ignorance
    'standing still at the start'
    """
    what = f"The task of {type(settings).__name__} ({settings.task})"
    kind = import_string(settings.task, what)
    if not (isinstance(kind, type) and issubclass(kind, Task)):
        raise RegistrationError(f"{what} must be a subclass of Task, got {described(kind)}.")
    missing = sorted(kind.__abstractmethods__)
    if missing:
        raise RegistrationError(f"{what} does not define {' and '.join(missing)}.")
    return kind
