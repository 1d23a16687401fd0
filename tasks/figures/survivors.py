"""What pruning left of each weight matrix."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from moduli.tasks.figures.colours import colour

MARKERS = "o^sDvP*X"


def draw_survivors(axes: Axes, rows: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
    """Draw the share of each matrix that is left, a marker for each matrix and seed, on a logarithmic axis.

    A matrix of which nothing is left stands at the left edge, at 0.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    rows : mapping from str to mappings from str to sequences of float
        For each row, from the top, the fraction of zeros in each matrix, for each seed.
    """
    everything = [1 - zeros for row in rows.values() for values in row.values() for zeros in values]
    edge = min((share for share in everything if share > 0), default=1) / 3
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    for index, name in enumerate(names):
        places = [
            (max(1 - zeros, edge), height)
            for height, row in enumerate(rows.values())
            for zeros in row.get(name, [])
        ]
        shares, heights = zip(*places, strict=True)
        axes.plot(shares, heights, MARKERS[index % len(MARKERS)], color=colour(index), alpha=0.6, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
    axes.set_xlim(edge / 1.5, 1.5)
    if min(everything) <= 0:
        axes.axvline(edge, color="0.6", linewidth=0.8, linestyle=":")
        axes.annotate(
            "0",
            (edge, 0),
            (0, -7),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
        )
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("weights left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
