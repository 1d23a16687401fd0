"""Error against sparsity, trained and of the ticket."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from moduli.tasks.experiments.runs.run import percent
from moduli.tasks.figures.colours import MARKERS, colour
from moduli.tasks.figures.scales import scale_by_ratio

Estimates = Mapping[str, Sequence[tuple[float, float, float]]]
"""For each method, (sparsity, mean, half width of the interval) at each sparsity."""


def draw_error_against_sparsity(
    axes: Axes, trained: Estimates, ticket: Estimates, unit: str = "error"
) -> None:
    """Draw each method's error against sparsity, with intervals: trained in full, its ticket dashed.

    One axis is logarithmic in the share of weights that are left, so that 90, 99 and 99.9% are equally
    far apart; the other is logarithmic in the error where all mean errors are positive, and then spans them:
    a wider interval runs out of the picture.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    trained, ticket : mapping from str to sequences of (float, float, float)
        For each method its sparsities in [0, 1), mean errors, and half widths of their intervals; a
        method without ticket may be absent there.
    unit : str
        The label of the error, with its unit.
    """
    styles: dict[str, dict[str, Any]] = {
        name: {"color": colour(index), "marker": MARKERS[index % len(MARKERS)]}
        for index, name in enumerate(dict.fromkeys([*trained, *ticket]))
    }
    dashed: dict[str, Any] = {"linestyle": "--", "markerfacecolor": "white"}
    for estimates, stage in ((trained, {}), (ticket, dashed)):
        for name, points in estimates.items():
            sparsity, means, halves = zip(*sorted(points), strict=True)
            left = [1 - share for share in sparsity]
            axes.errorbar(left, means, halves, capsize=3, markersize=5, **styles[name], **stage)
    everything = [*trained.values(), *ticket.values()]
    shares = sorted({share for points in everything for share, _, _ in points})
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xticks([1 - share for share in shares], [percent(share) for share in shares])
    axes.minorticks_off()
    axes.set_xlabel("sparsity")
    axes.set_ylabel(unit)
    scale_by_ratio(axes, "y", [average for points in everything for _, average, _ in points])
    axes.spines[["top", "right"]].set_visible(False)
    lines = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    if ticket:
        lines += [Line2D([], [], color="0.4", label="trained")]
        lines += [Line2D([], [], color="0.4", label="ticket", linestyle="--")]
    axes.legend(handles=lines, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
