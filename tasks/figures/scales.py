"""Axes on which equal distances are equal ratios."""

import math
from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

NARROW = 3.0
"""Below this ratio of an axis's ends, ticks at round numbers of a decade would be fewer than three."""


def scale_by_ratio(axes: Axes, direction: Literal["x", "y"], scores: Sequence[float]) -> None:
    """Make an axis logarithmic and let it span some scores; leave it where a score is not positive.

    Parameters
    ----------
    axes : matplotlib Axes
        Where the scores are drawn.
    direction : {"x", "y"}
        The axis.
    scores : sequence of float
        What it spans, where they are finite. Whatever else is drawn may run out of the picture.
    """
    finite = list(filter(math.isfinite, scores))
    if not finite or min(finite) <= 0:
        return
    lowest, highest = min(finite) / 1.3, max(finite) * 1.3
    axes.set(**{f"{direction}scale": "log", f"{direction}lim": (lowest, highest)})
    axis = axes.xaxis if direction == "x" else axes.yaxis
    if highest < NARROW * lowest:
        axis.set_major_locator(MaxNLocator(7, steps=(1, 2, 5, 10)))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter("{x:g}")
