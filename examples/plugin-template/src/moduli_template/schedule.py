"""A schedule: from the number of steps taken to the fraction of the target that is due."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Staircase:
    """Cut a little more at each stair.

    Parameters
    ----------
    begin, end : int
        Last step at which nothing is cut, and first step at which the target is reached.
    stairs : int
        How many cuts there are.

    Examples
    --------
    >>> [Staircase(0, 6, stairs=2)(step) for step in range(7)]
    [0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 1.0]
    """

    begin: int
    end: int
    stairs: int = 5

    def __call__(self, step: int) -> float:
        """Return the fraction that is due after ``step`` steps."""
        passed = (step - self.begin) * self.stairs // (self.end - self.begin)
        return min(max(passed, 0), self.stairs) / self.stairs
