"""The adding problem as a task."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from moduli.regularizers import ShapeMismatch
from moduli.tasks.adding.network import Adder
from moduli.tasks.adding.sequences import Sequences, draw
from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.seeds import stream
from moduli.tasks.task import Task

VALIDATION_SEQUENCES = 500


class Adding(Task[Sequences]):
    """Tell the sum of the two marked numbers of a sequence.

    Every training step draws sequences of its own. Loss and score are the mean squared error. Two
    numbers uniform on [0, 1] have a sum of mean 1 and variance 1/6: whoever ignores the sequence and
    always answers 1 has an expected error of 1/6 = 0.167 (Le, Jaitly and Hinton, arXiv 1504.00941).

    Parameters
    ----------
    settings : AddingSettings
        The sequences and the network's size.
    batch_size : int
        Sequences in a training batch.
    seed : int
        Seed of the sequences.
    device : torch.device or str
        Where everything is made.
    """

    score_name = "mean squared error"
    ignorance: ClassVar[str] = "always answering 1"

    def __init__(
        self, settings: AddingSettings, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self._test = self._draw(settings.test_sequences, "test")
        self._validation = self._draw(VALIDATION_SEQUENCES, "validation")

    def model(self) -> Adder:
        """Return a fresh network."""
        return Adder(self.settings.units, self.settings.initialization).to(self.device)

    def batch(self, step: int) -> Sequences:
        """Return the sequences of a training step."""
        return self._draw(self.batch_size, "training", step)

    def part(self, batch: Sequences, index: int, count: int) -> Sequences:
        """Return every ``count``-th sequence of a batch."""
        return Sequences(batch.inputs[index::count], batch.sums[index::count])

    def loss(self, model: nn.Module, batch: Sequences) -> Tensor:
        """Return the mean squared error of a batch."""
        return _squared_error(model(batch.inputs), batch.sums)

    def score(self, model: nn.Module) -> float:
        """Return the mean squared error on the held-out test sequences."""
        return self._error(model, self._test)

    def validate(self, model: nn.Module) -> float:
        """Return the mean squared error on the held-out validation sequences."""
        return self._error(model, self._validation)

    def references(self) -> dict[str, float]:
        """Return the error of the constant answer 1 on the test sequences, 1/6 in expectation."""
        sums = self._test.sums
        return {self.ignorance: float(_squared_error(torch.ones_like(sums), sums))}

    def _draw(self, count: int, purpose: str, index: int = 0) -> Sequences:
        return draw(count, self.settings.length, stream(self.seed, purpose, index, self.device))

    @torch.no_grad()
    def _error(self, model: nn.Module, sequences: Sequences) -> float:
        answers = torch.cat([model(part) for part in torch.split(sequences.inputs, self.batch_size)])
        return float(_squared_error(answers, sequences.sums))


def _squared_error(answers: Tensor, sums: Tensor) -> Tensor:
    # (batch, 1) against (batch,) would broadcast to all pairs, and teach the mean of the sums.
    if answers.shape != sums.shape:
        raise ShapeMismatch(
            f"A network's answers must have the shape of the sums, {tuple(sums.shape)}; "
            f"got {tuple(answers.shape)}."
        )
    return (answers - sums).square().mean()
