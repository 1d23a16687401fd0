"""The cognitive tasks as one task."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from statistics import mean
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.tasks.cognition.network import Decider, LeakyNetwork, recurrent_weights
from moduli.tasks.cognition.settings import CognitionSettings
from moduli.tasks.cognition.sources import NeuroGym, Source
from moduli.tasks.cognition.trials import Trials
from moduli.tasks.recurrences.kinds import DIAGONAL
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import Task

RESPONSE_WEIGHT = 5.0
"""Weight of a step of the response period in the loss, over that of another step."""
STEPS_AT_ONCE = 1000
"""Steps of a training that share a stock of trials: drawing one takes NeuroGym 0.1 to 0.5 ms."""
READINGS = 16
"""How often, on average, a trial of the stock is read before the stock is drawn anew."""
VALIDATION_TRIALS = 20


@dataclass(frozen=True)
class Step:
    """What a training step watches: trials of one task.

    Parameters
    ----------
    number : int
        Number of the step.
    trials : Trials
        The trials.
    """

    number: int
    trials: Trials


class Cognition(Task[Step]):
    """Watch, remember and decide.

    Each training step shows trials of one of the chosen tasks, drawn at random; where there are several,
    inputs of their own tell which, as in Yang et al., Nature Neuroscience 2019. The loss is the
    cross-entropy of the answer in nats, averaged over steps, of which those of the response period count
    five times. A trial is decided by the most likely answer at its last step, as in that article; the score
    is the share of held-out trials that are decided wrongly, in percent, the mean over tasks.

    Parameters
    ----------
    settings : CognitionSettings
        The tasks and the network.
    batch_size : int
        Trials in a training batch.
    seed : int
        Seed of the trials and of the noise in the network.
    device : torch.device or str
        Where everything is made.
    source : Source, optional
        Where trials come from; NeuroGym when absent.

    Raises
    ------
    MissingDependency
        If NeuroGym is needed and not installed.
    """

    score_name = "wrong decisions (%)"
    ignorance: ClassVar[str] = "never answering"

    def __init__(
        self,
        settings: CognitionSettings,
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        source: Source | None = None,
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.criterion = settings.criterion
        self.recurrent = recurrent_weights(settings.cell, settings.layers)
        self.problems = settings.chosen()
        self._source = source or NeuroGym(self.problems, settings.time_step)
        self._stock = lru_cache(maxsize=len(self.problems))(self._draw_stock)
        self._test = self._held_out("test", settings.test_trials)
        self._validation = self._held_out("validation", VALIDATION_TRIALS)

    def model(self) -> Decider:
        """Return a fresh network."""
        settings = self.settings
        inputs = self._source.inputs + (len(self.problems) if len(self.problems) > 1 else 0)
        recurrent: nn.Module
        if settings.cell == "gru":
            recurrent = nn.GRU(inputs, settings.units, settings.layers, batch_first=True)
        elif settings.cell in DIAGONAL:
            recurrent = DIAGONAL[settings.cell](inputs, settings.units, settings.layers)
        else:
            leak = settings.time_step / settings.time_constant
            recurrent = LeakyNetwork(inputs, settings.units, leak, settings.noise, settings.activation)
        return Decider(recurrent, settings.units, self._source.answers).to(self.device)

    def batch(self, step: int) -> Step:
        """Return the trials of a training step."""
        generator = stream(self.seed, "training", step)
        rule = int(torch.randint(len(self.problems), (), generator=generator))
        stock = self._stock(rule, step // STEPS_AT_ONCE)
        chosen = torch.randperm(len(stock), generator=generator)[: self.batch_size]
        return Step(step, self._telling(stock[chosen.to(self.device)], rule))

    def part(self, batch: Step, index: int, count: int) -> Step:
        """Return every ``count``-th trial of a batch."""
        return Step(batch.number, batch.trials[index::count])

    def loss(self, model: nn.Module, batch: Step) -> Tensor:
        """Return the weighted cross-entropy in nats; noise in the network depends on seed and step alone."""
        trials = batch.trials
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(stream_seed(self.seed, "noise", batch.number))
            logits = model(trials.inputs)
        weights = torch.where(trials.in_response(), RESPONSE_WEIGHT, 1.0) * trials.in_trial()
        nats = cross_entropy(logits.flatten(0, 1), trials.answers.flatten(), reduction="none")
        return (nats * weights.flatten()).sum() / weights.sum()

    def score(self, model: nn.Module) -> float:
        """Return the share of test trials that are decided wrongly, in percent, the mean over tasks."""
        return mean(self._wrong(model, self._test).values())

    def validate(self, model: nn.Module) -> float:
        """Return the share of validation trials that are decided wrongly, in percent."""
        return mean(self._wrong(model, self._validation).values())

    def references(self) -> dict[str, float]:
        """Return the expected scores of whoever never answers, and of whoever answers at random."""
        answers = [trials.last(trials.answers) for trials in self._test]
        asked = mean(float((answer != 0).double().mean()) for answer in answers)
        return {
            self.ignorance: 100 * asked,
            "any direction equally likely": 100 * (1 - asked / (self._source.answers - 1)),
        }

    def measurements(self, model: nn.Module) -> dict[str, Any]:
        """Return the score of each task, and how often a network answers before it is time, in percent."""
        broken = {
            problem: 100 * float(((answers != 0) & ~trials.in_response()).any(dim=1).double().mean())
            for problem, trials, answers in self._answers(model, self._test)
        }
        return {
            "wrong decisions by task (%)": self._wrong(model, self._test),
            "fixation broken by task (%)": broken,
        }

    def _draw_stock(self, rule: int, index: int) -> Trials:
        """Return trials of a task that the steps from one multiple of `STEPS_AT_ONCE` to the next share."""
        steps_of_a_task = STEPS_AT_ONCE / len(self.problems)
        count = max(self.batch_size, round(self.batch_size * steps_of_a_task / READINGS))
        return self._draw(self.problems[rule], "training", index, count)

    def _held_out(self, purpose: str, count: int) -> list[Trials]:
        return [
            self._telling(self._draw(problem, purpose, 0, count), rule)
            for rule, problem in enumerate(self.problems)
        ]

    def _draw(self, problem: str, purpose: str, index: int, count: int) -> Trials:
        seed = stream_seed(self.seed, f"{purpose} {problem}", index)
        generator = np.random.RandomState(np.random.MT19937(seed))
        return Trials.of([self._source.trial(problem, generator) for _ in range(count)], self.device)

    def _telling(self, trials: Trials, rule: int) -> Trials:
        return trials.telling(rule, len(self.problems)) if len(self.problems) > 1 else trials

    def _wrong(self, model: nn.Module, held_out: list[Trials]) -> dict[str, float]:
        """Return the percent of trials that are decided wrongly, by task."""
        return {
            problem: 100 * float((trials.last(answers) != trials.last(trials.answers)).double().mean())
            for problem, trials, answers in self._answers(model, held_out)
        }

    @torch.no_grad()
    def _answers(self, model: nn.Module, held_out: list[Trials]) -> Iterator[tuple[str, Trials, Tensor]]:
        """Yield each task with its trials and the most likely answers ``(trials, steps)``."""
        training = model.training
        model.eval()
        for problem, trials in zip(self.problems, held_out, strict=True):
            yield problem, trials, model(trials.inputs).argmax(dim=-1)
        model.train(training)
