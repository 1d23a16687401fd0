"""How the learning rate falls while training."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from moduli.tasks.experiments.configuration.settings import TrainingSettings


class LearningRate:
    """The learning rate at each step.

    ``"cosine"`` falls to zero along half a cosine (Loshchilov and Hutter, "SGDR", arXiv 1608.03983,
    equation 5, without restarts). ``"plateau"`` divides by four whenever a validation is not better than
    the best before it, as PyTorch's word-level language model does.

    Parameters
    ----------
    settings : TrainingSettings
        The first learning rate, its decay and the number of steps.

    Examples
    --------
    >>> rate = LearningRate(TrainingSettings(steps=4, learning_rate=1.0))
    >>> [round(rate.at(step), 3) for step in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    >>> rate = LearningRate(TrainingSettings(learning_rate=20.0, decay="plateau"))
    >>> for validation in (5.0, 4.0, 4.5):
    ...     rate.observe(validation)
    >>> rate.at(3)
    5.0
    """

    def __init__(self, settings: TrainingSettings) -> None:
        self.settings = settings
        self._factor = 1.0
        self._best = math.inf

    def at(self, step: int) -> float:
        """Return the learning rate of a step."""
        if self.settings.decay == "cosine":
            return self.settings.learning_rate * (1 + math.cos(math.pi * step / self.settings.steps)) / 2
        return self.settings.learning_rate * self._factor

    def observe(self, validation: float) -> None:
        """Take note of a validation score; lower is better."""
        if validation < self._best:
            self._best = validation
        elif self.settings.decay == "plateau":
            self._factor /= 4

    def state(self) -> dict[str, Tensor]:
        """Return what a resumed run needs."""
        return {"factor": torch.tensor(self._factor), "best": torch.tensor(self._best, dtype=torch.float64)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state`` returned."""
        self._factor, self._best = float(state["factor"]), float(state["best"])
