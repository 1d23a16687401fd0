"""Pruning schedules: which fraction of the target sparsity is due at each step.

A schedule is any callable from the number of optimizer steps taken to a fraction in [0, 1].
"""

from collections.abc import Callable
from dataclasses import dataclass

from moduli.models.errors import InvalidSchedule

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
        If the end is not after the beginning.

    Examples
    --------
    >>> [LinearSchedule(0, 4)(step) for step in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    begin: int
    end: int

    def __post_init__(self) -> None:
        _check_interval(self, self.begin, self.end)

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
        If the end is not after the beginning.

    Examples
    --------
    >>> [CubicSchedule(0, 4)(step) for step in range(6)]
    [0.0, 0.578125, 0.875, 0.984375, 1.0, 1.0]
    """

    begin: int
    end: int

    def __post_init__(self) -> None:
        _check_interval(self, self.begin, self.end)

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

    Examples
    --------
    >>> [OneShotSchedule(2)(step) for step in range(4)]
    [0.0, 0.0, 1.0, 1.0]
    """

    at: int = 0

    def __post_init__(self) -> None:
        if self.at < 0:
            raise InvalidSchedule(f"{self!r} must cut at a step of at least 0.")

    def __call__(self, step: int) -> float:
        """Return the fraction of the target that is due after ``step`` steps."""
        return float(step >= self.at)


def _progress(step: int, begin: int, end: int) -> float:
    return min(1.0, max(0.0, (step - begin) / (end - begin)))


def _check_interval(schedule: object, begin: int, end: int) -> None:
    if not 0 <= begin < end:
        raise InvalidSchedule(f"{schedule!r} must begin at a step of at least 0 and end after it begins.")
