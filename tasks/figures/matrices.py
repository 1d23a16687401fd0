"""Weight matrices: ordered along a manifold, and against distance.

A sparse tensor of coordinates is drawn without its zeros, so that memory is that of its weights.
"""

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.regularizers import Inhibitor, ShapeMismatch
from moduli.tasks.figures.colours import colour
from moduli.tasks.figures.gates import magnitudes_of, one_gate, relative_magnitudes

PIXELS = 1000
"""The most pixels in a row of the picture of a sparse tensor."""


def draw_weight_matrix(
    axes: Axes, weight: Tensor, order: Tensor | None = None, gate: str | int | None = None
) -> ScalarMappable:
    """Draw the magnitudes of a recurrent weight, with neurons in a given order.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``; of a GRU or LSTM ``(gates * n, n)``. Of a
        sparse tensor, as of a mask of `sparse_rnn`, each pixel of at most a thousand in a row is the
        largest weight of its neurons.
    order : Tensor, optional
        A permutation of the neurons, such as `order_along` returns; as they are when absent.
    gate : str or int, optional
        Which gate of a GRU or LSTM, such as ``"update"`` or ``1``, see `moduli.tasks.figures.gates.one_gate`.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar: magnitude relative to the largest between two neurons.

    Raises
    ------
    ShapeMismatch
        If the weight is not square, nor stacks gates that are, or the order is not a permutation of its
        neurons.
    InvalidParameter
        If there is no such gate, or several and none is named.
    """
    weight = one_gate(weight, gate)
    n = len(weight)
    order = torch.arange(n) if order is None else order
    if not torch.equal(order.sort().values, torch.arange(n)):
        raise ShapeMismatch(
            f"A matrix of {n} neurons is drawn in a permutation of them, got an order of {len(order)}."
        )
    relative = _pixels(weight.cpu(), order) if weight.is_sparse else _relative(weight.cpu(), order)
    # The square root, so that weights a tenth as strong as the strongest are still seen.
    image = axes.imshow(
        relative.numpy(),
        cmap="Greys",
        norm=PowerNorm(0.5, 0, 1),
        interpolation="none",
        extent=(-0.5, n - 0.5, n - 0.5, -0.5),
    )
    axes.set_xlabel("from neuron")
    axes.set_ylabel("to neuron")
    return image


def draw_weight_against_distance(
    axes: Axes,
    manifold: Manifold,
    embedding: Tensor,
    weight: Tensor,
    inhibitor: Inhibitor,
    gate: str | int | None = None,
) -> None:
    """Draw the surviving weights against the distance that they bridge, and the coefficient over it.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw; the coefficient has an axis of its own on the right.
    manifold : Manifold
        Where the neurons are.
    embedding : Tensor
        Points ``(n, *point_shape)``.
    weight : Tensor
        Recurrent weight ``(n, n)``, of a GRU or LSTM ``(gates * n, n)``; weights that are zero are not drawn.
    inhibitor : Inhibitor
        Whose curve is drawn, up to the largest distance between two neurons, or for a sparse tensor, the
        largest that a weight bridges.
    gate : str or int, optional
        Which gate of a GRU or LSTM, such as ``"update"`` or ``1``, see `moduli.tasks.figures.gates.one_gate`.

    Raises
    ------
    ShapeMismatch
        If the weight is not square, nor stacks gates that are, or the embedding places another number of
        neurons.
    InvalidParameter
        If there is no such gate, or several and none is named.
    """
    weight = one_gate(weight, gate)
    if weight.shape != (len(embedding), len(embedding)):
        raise ShapeMismatch(
            f"The weight has shape {tuple(weight.shape)}, the embedding places {len(embedding)} neurons."
        )
    points, weight = embedding.detach(), weight.detach()
    if weight.is_sparse:
        rows, columns = weight.coalesce().indices()
        strengths, lengths = weight.coalesce().values(), manifold.distance(points[rows], points[columns])
        strengths, lengths = strengths[strengths != 0], lengths[strengths != 0]
        farthest = lengths.max() if len(lengths) else 0.0
    else:
        distance, alive = manifold.pairwise(points), weight != 0
        strengths, lengths, farthest = weight[alive], distance[alive], distance.max()
    axes.scatter(
        lengths.cpu().numpy(),  # of a tensor, matplotlib reads the numbers one by one
        magnitudes_of(strengths).cpu().numpy(),
        s=4,
        color=colour(0),
        alpha=0.4,
        linewidths=0,
        rasterized=True,
    )
    axes.set_xlabel("geodesic distance")
    axes.set_ylabel("|weight|", color=colour(0))
    axes.set_ylim(bottom=0)
    curve = axes.twinx()
    line = torch.linspace(0, float(farthest), 500, dtype=torch.float64)
    curve.plot(line.numpy(), inhibitor.profile(line).numpy(), color=colour(3), linewidth=2)
    curve.set_ylabel("coefficient", color=colour(3))
    curve.set_ylim(bottom=0)
    for panel in (axes, curve):
        panel.spines["top"].set_visible(False)


def _relative(weight: Tensor, order: Tensor) -> Tensor:
    """Return relative magnitudes of a dense matrix, in an order of its neurons."""
    own = torch.eye(len(weight), dtype=torch.bool)
    return relative_magnitudes(magnitudes_of(weight)[order][:, order], own)


def _pixels(weight: Tensor, order: Tensor) -> Tensor:
    """Return a picture of relative magnitudes of a sparse matrix, in an order of its neurons."""
    places = weight.coalesce().indices()
    strengths = relative_magnitudes(magnitudes_of(weight.coalesce().values()), places[0] == places[1])
    side = min(len(order), PIXELS)
    rows, columns = order.argsort()[places] * side // len(order)
    picture = strengths.new_zeros(side * side)
    return picture.scatter_reduce(0, rows * side + columns, strengths, "amax").view(side, side)
