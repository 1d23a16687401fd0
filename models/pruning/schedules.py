"""Pruning schedules: which fraction of the target sparsity is due at each step.

A schedule is any callable from the number of optimizer steps taken to a fraction in [0, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from moduli.errors import suggestion
from moduli.models.arguments import given
from moduli.models.errors import InvalidSchedule
from moduli.requirements import is_number

Schedule = Callable[[int], float]


@dataclass(frozen=True)
class LinearSchedule:
    """Rise linearly from nothing to the target: the schedule of arXiv 2406.06290.

    Parameters
    ----------
    begin : int
        Last step at which nothing is cut.
    end : int
        First step at which the target is reached; training on after it recovers the loss.

    Raises
    ------
    InvalidSchedule
        If a step is not a number of at least 0, or the end is not after the beginning.

    Examples
    --------
    >>> [LinearSchedule(0, 4)(step) for step in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    begin: int
    end: int

    def __post_init__(self) -> None:
        _check_steps(self)
        _check_order(self, self.begin, self.end)

    def __call__(self, step: int) -> float:
        """Return the fraction of the target that is due after ``step`` steps."""
        return _progress(step, self.begin, self.end)


@dataclass(frozen=True)
class CubicSchedule:
    """Cut fast at first and ever more slowly: ``1 - (1 - t)³``.

    Source: Zhu and Gupta, "To prune, or not to prune", arXiv 1710.01878, equation 1.

    Parameters
    ----------
    begin : int
        Last step at which nothing is cut.
    end : int
        First step at which the target is reached; training on after it recovers the loss.

    Raises
    ------
    InvalidSchedule
        If a step is not a number of at least 0, or the end is not after the beginning.

    Examples
    --------
    >>> [CubicSchedule(0, 4)(step) for step in range(6)]
    [0.0, 0.578125, 0.875, 0.984375, 1.0, 1.0]
    """

    begin: int
    end: int

    def __post_init__(self) -> None:
        _check_steps(self)
        _check_order(self, self.begin, self.end)

    def __call__(self, step: int) -> float:
        """Return the fraction of the target that is due after ``step`` steps."""
        return 1 - (1 - _progress(step, self.begin, self.end)) ** 3


@dataclass(frozen=True)
class OneShotSchedule:
    """Cut once.

    Parameters
    ----------
    at : int
        Step at which the whole target is cut.

    Raises
    ------
    InvalidSchedule
        If the step is not a number of at least 0.

    Examples
    --------
    >>> [OneShotSchedule(2)(step) for step in range(4)]
    [0.0, 0.0, 1.0, 1.0]
    """

    at: int = 0

    def __post_init__(self) -> None:
        _check_steps(self)

    def __call__(self, step: int) -> float:
        """Return the fraction of the target that is due after ``step`` steps."""
        return float(step >= self.at)


SCHEDULES: dict[str, type[LinearSchedule | CubicSchedule | OneShotSchedule]] = {
    "linear": LinearSchedule,
    "cubic": CubicSchedule,
    "one-shot": OneShotSchedule,
}
"""The schedules that have a word."""


def as_schedule(value: object) -> Schedule:
    """Return a schedule from itself or from the word ``"one-shot"``; the others need a beginning and an end.

    Raises
    ------
    InvalidSchedule
        If it cannot be called with a step, or the word leaves open when.
    """
    if value == "one-shot":
        return OneShotSchedule()
    if isinstance(value, str):
        if value not in SCHEDULES:
            raise InvalidSchedule(f"No schedule is called {value!r}; {suggestion(value, SCHEDULES)}")
        raise InvalidSchedule(
            f"The schedule {value!r} needs the steps between which it cuts; "
            f"write {SCHEDULES[value].__name__}(begin=0, end=1000)."
        )
    if isinstance(value, type) or not callable(value):
        raise InvalidSchedule(
            "schedule must be a function from the number of steps to a fraction, such as "
            f"CubicSchedule(begin=0, end=1000); got {given(value)}."
        )
    return value


def fraction_due(schedule: Schedule, step: int) -> float:
    """Return the fraction of the target that a schedule demands after so many steps.

    Raises
    ------
    InvalidSchedule
        If the schedule returns something else than a fraction.
    """
    fraction = schedule(step)
    if not isinstance(fraction, Real) or not 0 <= fraction <= 1:
        raise InvalidSchedule(
            f"The schedule {schedule!r} returned {given(fraction)} at step {step}; "
            "expected a fraction of the target, in [0, 1]."
        )
    return float(fraction)


def _progress(step: int, begin: int, end: int) -> float:
    return min(1.0, max(0.0, (step - begin) / (end - begin)))


def _check_steps(schedule: object) -> None:
    for name, step in vars(schedule).items():
        if not is_number(step) or not 0 <= step < math.inf:
            raise InvalidSchedule(
                f"{type(schedule).__name__}: {name} must be a step of at least 0, got {given(step)}."
            )


def _check_order(schedule: object, begin: int, end: int) -> None:
    if not begin < end:
        raise InvalidSchedule(f"{schedule!r} must end after it begins.")
