"""Weight matrices: ordered along a manifold, and against distance."""

import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import PowerNorm
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.regularizers import Inhibitor, ShapeMismatch
from moduli.tasks.figures.colours import colour
from moduli.tasks.figures.gates import one_gate, relative_magnitudes


def draw_weight_matrix(
    axes: Axes, weight: Tensor, order: Tensor | None = None, gate: str | int | None = None
) -> ScalarMappable:
    """Draw the magnitudes of a recurrent weight, with neurons in a given order.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``; of a GRU or LSTM ``(gates * n, n)``.
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
    magnitude = weight.detach().cpu().abs()[order][:, order]
    relative = relative_magnitudes(magnitude, torch.eye(n, dtype=torch.bool))
    # The square root, so that weights a tenth as strong as the strongest are still seen.
    image = axes.imshow(relative.numpy(), cmap="Greys", norm=PowerNorm(0.5, 0, 1), interpolation="none")
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
        Whose curve is drawn, up to the largest distance between two neurons.
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
    distance = manifold.pairwise(embedding.detach())
    alive = weight != 0
    axes.scatter(
        distance[alive].cpu(),
        weight.detach()[alive].abs().cpu(),
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
    line = torch.linspace(0, float(distance.max()), 500, dtype=torch.float64)
    curve.plot(line.numpy(), inhibitor.profile(line).numpy(), color=colour(3), linewidth=2)
    curve.set_ylabel("coefficient", color=colour(3))
    curve.set_ylim(bottom=0)
    for panel in (axes, curve):
        panel.spines["top"].set_visible(False)
