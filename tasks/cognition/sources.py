"""Where trials come from: NeuroGym, whose tasks draw from a generator that we give them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from moduli.requirements import require_package


@dataclass(frozen=True)
class Trial:
    """One trial of a task.

    Parameters
    ----------
    inputs : numpy.ndarray
        What is seen at each step, ``(steps, inputs)``, in float32.
    answers : numpy.ndarray
        What is to be done at each step, ``(steps,)``, in int64; 0 is to fixate.
    response : int
        The first step of the response period, which lasts to the end.
    """

    inputs: npt.NDArray[np.float32]
    answers: npt.NDArray[np.int64]
    response: int


class Source(Protocol):
    """A set of tasks that draws trials; what it draws depends on the generator alone."""

    inputs: int
    """How many numbers are seen at a step."""
    answers: int
    """How many answers there are."""

    def trial(self, problem: str, generator: np.random.RandomState) -> Trial:
        """Return a trial of a task."""


class NeuroGym:
    """The tasks of Yang et al., Nature Neuroscience 2019, as NeuroGym has them.

    NeuroGym's own data sets and schedules draw from generators of their own, which a seed does not determine;
    so each trial is asked of the task itself, and which of its two modalities is shown is drawn here.

    Parameters
    ----------
    problems : sequence of str
        Names of the tasks.
    time_step : int
        Milliseconds between two steps.

    Raises
    ------
    MissingDependency
        If NeuroGym is not installed.
    """

    inputs = 33
    answers = 17

    def __init__(self, problems: Sequence[str], time_step: int) -> None:
        collection = require_package("neurogym.envs.collections.yang19", "The cognitive tasks", "cognition")
        self._variants = {
            problem: _variants(getattr(collection, problem)(dt=time_step)) for problem in problems
        }

    def trial(self, problem: str, generator: np.random.RandomState) -> Trial:
        """Return a trial of a task."""
        variants = self._variants[problem]
        drawn = variants[generator.randint(len(variants))]
        drawn.rng = generator
        drawn.new_trial()
        return Trial(drawn.ob, drawn.gt, drawn.start_ind["decision"])


def _variants(environment: Any) -> list[Any]:
    """Return the tasks that a schedule switches between; a single one without a schedule."""
    return [each.unwrapped for each in getattr(environment, "envs", [environment])]
