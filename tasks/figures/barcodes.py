"""Barcodes and persistence diagrams."""

import torch
from matplotlib.axes import Axes
from torch import Tensor

from moduli.models.analysis.topology import Topology

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Distinct under colour blindness (Okabe and Ito, "Color universal design", 2008)."""
MARKERS = "os^D"
MOST_BARS = 12


def draw_barcode(axes: Axes, topology: Topology) -> None:
    """Draw the bars of a space, from the distance at which a hole opens to that at which it closes.

    Bars that count as holes are dark and thick, the others pale. Of each dimension the 12 most
    prominent are drawn; a component that never ends runs off to the right.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    topology : Topology
        The bars, and the thresholds above which they are holes.
    """
    ends = torch.cat([bars.flatten() for bars in topology.barcode.bars])
    edge = 1.05 * float(ends[ends.isfinite()].max())
    height, middles = 0, []
    for dimension, bars, holes in _by_dimension(topology):
        shown = bars[:MOST_BARS]
        for row, (birth, death) in enumerate(shown.tolist()):
            counts = row < holes
            axes.plot(
                [birth, min(death, edge)],
                [height + row] * 2,
                color=COLOURS[dimension % 4],
                linewidth=2.4 if counts else 1.0,
                alpha=1.0 if counts else 0.45,
                solid_capstyle="butt",
            )
        middles.append(height + max(len(shown) - 1, 0) / 2)
        height += len(shown) + 3
    axes.set_yticks(middles, [rf"$\beta_{k} = {found}$" for k, found in enumerate(topology.betti)])
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, edge), xlabel="distance")
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw_persistence_diagram(axes: Axes, topology: Topology) -> None:
    """Draw each bar as a point: the distances at which a hole opens and closes.

    Points that count as holes are filled; the dotted lines are the thresholds above which they do. A
    component that never ends is at the top.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    topology : Topology
        The bars, and the thresholds above which they are holes.
    """
    ends = torch.cat([bars.flatten() for bars in topology.barcode.bars])
    edge = 1.08 * float(ends[ends.isfinite()].max())
    axes.plot([0, edge], [0, edge], color="0.7", linewidth=0.8)
    for dimension, bars, holes in _by_dimension(topology):
        colour = COLOURS[dimension % 4]
        births, deaths = bars.unbind(dim=1)
        deaths = deaths.clamp(max=edge)
        axes.scatter(
            births[holes:],
            deaths[holes:],
            s=14,
            marker=MARKERS[dimension % 4],
            facecolors="none",
            edgecolors=colour,
            linewidths=0.8,
            alpha=0.6,
        )
        axes.scatter(
            births[:holes],
            deaths[:holes],
            s=34,
            marker=MARKERS[dimension % 4],
            color=colour,
            label=rf"$\beta_{dimension} = {holes}$",
            zorder=3,
            clip_on=False,
        )
        if dimension:
            threshold = topology.thresholds[dimension]
            axes.plot([0, edge / threshold], [0, edge], color=colour, linestyle=":", linewidth=1)
    axes.set(
        xlim=(-0.02 * edge, edge), ylim=(0, edge), xlabel="opens at distance", ylabel="closes at distance"
    )
    axes.set_aspect("equal")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _by_dimension(topology: Topology) -> list[tuple[int, Tensor, int]]:
    """Return each dimension, its bars from the most prominent on, and how many of them are holes."""
    ordered = []
    for dimension, (bars, holes) in enumerate(zip(topology.barcode.bars, topology.betti, strict=True)):
        births, deaths = bars.unbind(dim=1)
        prominence = deaths / births if dimension else deaths
        ordered.append((dimension, bars[prominence.argsort(descending=True)], holes))
    return ordered
