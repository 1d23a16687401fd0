"""One neuron's connections, drawn on the torus's square."""

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from torch import Tensor


def draw_neuron_on_torus(
    axes: Axes, weight: Tensor, places: Tensor, neuron: int, period: float = 10.0
) -> ScalarMappable:
    """Draw the incoming recurrent weights of one neuron on the flat torus.

    The square is shifted so that the neuron is in its middle; opposite edges are glued. Every
    neuron from which a weight comes is a disc, coloured by the weight's magnitude relative to the
    largest, the others are dots.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``.
    places : Tensor
        Points of the neurons on the torus, ``(n, 2)``.
    neuron : int
        The receiving neuron.
    period : float
        Period of the torus.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar.
    """
    magnitude = weight[neuron].abs()
    offset = (places - places[neuron] + period / 2).remainder(period) - period / 2
    alive = magnitude > 0
    strength = magnitude / magnitude.max().clamp_min(torch.finfo(magnitude.dtype).tiny)
    order = strength.argsort()  # the strongest are drawn last, on top
    order = order[alive[order]]
    x, y = offset.T.numpy()
    axes.scatter(x[~alive], y[~alive], s=3, color="0.8", linewidths=0)
    if len(order) <= 40:  # more lines would hide the picture
        ends = torch.stack([torch.zeros_like(offset[order]), offset[order]], dim=1)
        lines = LineCollection(list(ends.numpy()), cmap="viridis", linewidths=1.2, zorder=1)
        lines.set_array(strength[order].numpy())
        lines.set_clim(0, 1)
        axes.add_collection(lines)
    dots = axes.scatter(x[order], y[order], c=strength[order], cmap="viridis", vmin=0, vmax=1, s=22, zorder=2)
    axes.plot(0, 0, marker="*", color="crimson", markersize=11, zorder=3)
    half = period / 2
    axes.set(
        xlim=(-half, half),
        ylim=(-half, half),
        xticks=[-half, 0, half],
        yticks=[-half, 0, half],
        aspect="equal",
    )
    axes.tick_params(labelsize=7)
    axes.set_xlabel(f"{len(order)} incoming weights", fontsize=9)
    return dots
