"""One neuron's connections, and embeddings that move, drawn on flat spaces."""

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from torch import Tensor

from moduli.manifolds import Euclidean, Manifold
from moduli.tasks.figures.colours import colour
from moduli.tasks.figures.gates import incoming_weights
from moduli.tasks.figures.spaces import offsets, sides


def draw_neuron_on_plane(
    axes: Axes,
    manifold: Manifold,
    weight: Tensor,
    places: Tensor,
    neuron: int,
    gate: str | int | None = None,
) -> ScalarMappable:
    """Draw the incoming recurrent weights of one neuron on a flat space, seen from the neuron.

    The neuron is in the middle, and every other neuron is where the shortest way leads: its distance
    from the middle is the geodesic distance. Every neuron from which a weight comes is a disc, coloured
    by the weight's magnitude relative to the largest from another neuron, the others are dots.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    manifold : Manifold
        The plane, or a torus, cylinder, Klein bottle or Möbius band of dimension 2.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``; of a GRU or LSTM ``(gates * n, n)``. It may
        be a mask, or a sparse tensor of coordinates.
    places : Tensor
        Points of the neurons, ``(n, 2)``.
    neuron : int
        The receiving neuron.
    gate : str or int, optional
        Which gate of a GRU or LSTM, such as ``"update"`` or ``1``, see `moduli.tasks.figures.gates.one_gate`.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar.

    Raises
    ------
    CannotDraw
        If the space is another one.
    ShapeMismatch
        If the weight is not square, nor stacks gates that are, or there are not as many places.
    InvalidParameter
        If there is no such neuron or gate, or several gates and none is named.
    """
    strength = incoming_weights(weight, gate, places, neuron)
    offset = offsets(manifold, places[neuron], places)
    alive = strength > 0
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
    widest, highest = (1.03 * offset.abs().amax(dim=0)).tolist()
    axes.set(xlim=(-widest, widest), ylim=(-highest, highest), aspect="equal")
    axes.tick_params(labelsize=7)
    own = ", one of them its own" if alive[neuron] else ""
    axes.set_xlabel(f"{len(order)} incoming weights{own}", fontsize=9)
    return dots


def draw_moving_embedding(axes: Axes, manifold: Manifold, positions: Tensor) -> None:
    """Draw the paths of points that are learned on a flat space.

    Each point has a colour, a path, a ring where it starts and a disc where it ends. A path that leaves
    through one edge comes back through the edge that is glued to it.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    manifold : Manifold
        The plane, or a torus, cylinder, Klein bottle or Möbius band of dimension 2.
    positions : Tensor
        Points ``(times, n, 2)``, so often that no point moves far between two times.

    Raises
    ------
    CannotDraw
        If the space is another one.
    """
    positions = manifold.project(positions.detach())
    start, end = positions[:-1], positions[1:]
    # A step across an edge is drawn at both of its ends; what lies outside the box is cut off.
    leaving = torch.stack([start, start + offsets(manifold, start, end)], dim=2)
    arriving = torch.stack([end, end + offsets(manifold, end, start)], dim=2)
    colours = [colour(index) for index in range(positions.shape[1])]
    for steps in (leaving, arriving):
        axes.add_collection(
            LineCollection(
                list(steps.flatten(0, 1).numpy()), colors=colours * len(start), linewidths=0.9, alpha=0.7
            )
        )
    x, y = positions.movedim(-1, 0).numpy()
    axes.scatter(x[0], y[0], s=22, facecolors="white", edgecolors=colours, zorder=2)
    axes.scatter(x[-1], y[-1], s=22, color=colours, zorder=3)
    if not isinstance(manifold, Euclidean):
        width, height = sides(manifold)
        axes.set(xlim=(0, width), ylim=(0, height))
    axes.set(aspect="equal", xlabel="first coordinate (length)", ylabel="second coordinate (length)")
