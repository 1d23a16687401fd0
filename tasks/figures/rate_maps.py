"""Where in the box each hidden unit is active."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from torch import Tensor

from moduli.regularizers import ShapeMismatch


def draw_rate_maps(axes: Sequence[Axes], maps: Tensor, scores: Sequence[float]) -> None:
    """Draw one unit's rate map on each of the axes, with its grid score as the title.

    Every map has its own colour scale, from 0 to its own largest rate. Bins without a visit are NaN
    and stay white.

    Parameters
    ----------
    axes : sequence of matplotlib Axes
        Where to draw, one for each unit.
    maps : Tensor
        Mean activity ``(units, bins, bins)``, indexed ``[unit, y, x]``.
    scores : sequence of float
        The units' grid scores.

    Raises
    ------
    ShapeMismatch
        If axes, maps and scores differ in number.
    """
    if not len(axes) == len(maps) == len(scores):
        raise ShapeMismatch(
            f"Rate maps need as many axes as maps and scores, got {len(axes)}, {len(maps)} and {len(scores)}."
        )
    for panel, rates, score in zip(axes, maps.detach().cpu(), scores, strict=True):
        panel.imshow(rates.numpy(), origin="lower", cmap="viridis", vmin=0, interpolation="none")
        panel.set_title(f"{score:.2f}", fontsize=9)
        panel.set_axis_off()
