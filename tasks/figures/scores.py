"""The scores of a comparison: every seed, the mean, and the interval."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.figures.colours import colour
from moduli.tasks.figures.scales import scale_by_ratio

LINE = 0.5
"""The height of a reference's name, in rows."""


def draw_scores(
    axes: Axes,
    scores: Mapping[str, Sequence[float]],
    references: Mapping[str, float],
    unit: str = "error",
    span: Sequence[float] | None = None,
) -> None:
    """Draw each row's scores as dots, one a seed, and their mean with its 95% interval.

    The axis is logarithmic where all scores are positive, so that equal distances are equal ratios, and then
    spans the dots: a wider interval runs out of the picture.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    scores : mapping from str to sequence of float
        For each row, from the top, the scores of the seeds.
    references : mapping from str to float
        Scores to mark by vertical lines, where they are within the range of the others; each is named above
        the rows, in a line of its own.
    unit : str
        The label of the scores, with their unit.
    span : sequence of float, optional
        Scores that the axis spans, those of the rows when not given.
    """
    for height, values in enumerate(scores.values()):
        estimate = Estimate.of(values)
        axes.plot(values, [height] * len(values), "o", color=colour(0), alpha=0.35, markersize=4)
        axes.plot(estimate.mean, height, "|", color="black", markersize=11)
        if estimate.half_width is not None:
            ends = estimate.mean - estimate.half_width, estimate.mean + estimate.half_width
            axes.plot(ends, [height] * 2, color="black", linewidth=1)
    scale_by_ratio(axes, "x", span or [value for values in scores.values() for value in values])
    lowest, highest = axes.get_xlim()
    near = {name: value for name, value in references.items() if lowest < value < highest}
    for line, (name, value) in enumerate(near.items(), 1):
        axes.axvline(value, color="0.6", linewidth=0.8, linestyle=":")
        right = (axes.transData - axes.transAxes).transform((value, 0))[0] > 0.5
        axes.annotate(
            name,
            (value, -0.5 - LINE * (line - 0.5)),
            xytext=(-3 if right else 3, 0),
            textcoords="offset points",
            ha="right" if right else "left",
            va="center",
            fontsize=6,
            color="0.4",
        )
    axes.set_yticks(range(len(scores)), [_label(*row) for row in scores.items()], fontsize=8)
    axes.set_ylim(len(scores) - 0.5, -0.5 - LINE * len(near))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(unit)
    axes.spines[["top", "right"]].set_visible(False)


def _label(name: str, values: Sequence[float]) -> str:
    """Return a row's name, and how many of its scores no axis can show."""
    missing = sum(not math.isfinite(value) for value in values)
    return f"{name} ({missing} not finite)" if missing else name
