"""Trials side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from moduli.tasks.cognition.sources import Trial


@dataclass(frozen=True)
class Trials:
    """Trials of unequal length, the shorter ones followed by silence.

    Parameters
    ----------
    inputs : Tensor
        What is seen at each step, ``(batch, steps, inputs)``.
    answers : Tensor
        What is to be done at each step, ``(batch, steps)``, in int64.
    responses : Tensor
        The first step of each response period, ``(batch,)``.
    ends : Tensor
        The step after each trial's last one, ``(batch,)``.
    """

    inputs: Tensor
    answers: Tensor
    responses: Tensor
    ends: Tensor

    @classmethod
    def of(cls, trials: Sequence[Trial], device: torch.device) -> "Trials":
        """Put trials side by side on a device."""
        ends = [len(trial.answers) for trial in trials]
        inputs = np.zeros((len(trials), max(ends), trials[0].inputs.shape[1]), np.float32)
        answers = np.zeros(inputs.shape[:2], np.int64)
        for place, (trial, end) in enumerate(zip(trials, ends, strict=True)):
            inputs[place, :end] = trial.inputs
            answers[place, :end] = trial.answers
        responses = [trial.response for trial in trials]
        tensors = map(torch.as_tensor, (inputs, answers, responses, ends))
        return cls(*(tensor.to(device) for tensor in tensors))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, chosen: Tensor | slice) -> "Trials":
        ends = self.ends[chosen]
        steps = slice(int(ends.max()))
        return Trials(
            self.inputs[chosen][:, steps], self.answers[chosen][:, steps], self.responses[chosen], ends
        )

    def telling(self, rule: int, count: int) -> "Trials":
        """Return trials whose inputs also tell which of some tasks they are of, by one of so many units."""
        rules = self.inputs.new_zeros(*self.inputs.shape[:2], count)
        rules[..., rule] = 1
        return Trials(torch.cat([self.inputs, rules], dim=-1), self.answers, self.responses, self.ends)

    def in_response(self) -> Tensor:
        """Tell which steps are in the response period, ``(batch, steps)``."""
        return self._steps() >= self.responses[:, None]

    def in_trial(self) -> Tensor:
        """Tell which steps are in the trial, ``(batch, steps)``."""
        return self._steps() < self.ends[:, None]

    def last(self, values: Tensor) -> Tensor:
        """Return what values ``(batch, steps, ...)`` are at each trial's last step."""
        return values[torch.arange(len(self), device=values.device), self.ends - 1]

    def _steps(self) -> Tensor:
        return torch.arange(self.answers.shape[1], device=self.answers.device)
