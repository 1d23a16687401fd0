"""What a task is: a data source, a model, a loss and a score."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

Batch = TypeVar("Batch")


class Task(ABC, Generic[Batch]):
    """A data source, a model, a loss and a score, for one seed on one device.

    Data depend on the seed and the step alone, so that a run that was interrupted sees what it
    would have seen.

    Attributes
    ----------
    score_name : str
        What ``score`` measures, with its unit, such as ``"error (cm)"``; lower is better.
    """

    score_name: str

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
