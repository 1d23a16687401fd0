"""Means over seeds, with what is known of their error."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from scipy.stats import t as student_t


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95% interval.

    Parameters
    ----------
    mean : float
        The mean.
    half_width : float or None
        Half the width of the interval of Student's t; None for a single seed, which has none, and where a
        value is infinite.
    """

    mean: float
    half_width: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate the mean of values that were drawn independently.

        Examples
        --------
        >>> Estimate.of([1.0, 2.0, 3.0])
        Estimate(mean=2.0, half_width=2.484...)
        """
        if len(values) == 1 or not all(map(math.isfinite, values)):
            return cls(sum(values) / len(values), None)
        quantile = float(student_t.ppf(0.975, len(values) - 1))
        return cls(mean(values), quantile * stdev(values) / math.sqrt(len(values)))

    def text(self, decimals: int = 1, sign: bool = False) -> str:
        """Return the mean, and the interval if there is one.

        Examples
        --------
        >>> Estimate(2.0, 2.484).text()
        '2.0 ± 2.5'
        >>> Estimate(0.25, None).text(decimals=2, sign=True)
        '+0.25'
        """
        value = f"{self.mean:{'+' if sign else ''}.{decimals}f}"
        return value if self.half_width is None else f"{value} ± {self.half_width:.{decimals}f}"


def decimals(means: Iterable[float]) -> int:
    """Return how many decimals show two digits of the smallest mean of a table, at least one.

    Examples
    --------
    >>> decimals([8.65, 95.7]), decimals([0.1667, 0.0031])
    (1, 4)
    """
    sizes = [abs(value) for value in means if value and math.isfinite(value)]
    return max([1, *(1 - math.floor(math.log10(size)) for size in sizes)])
