"""The figures of trained networks on their manifolds, from what they left on disk."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.models import order_along, wiring_length
from moduli.regularizers import Inhibitor, Regularizer, Uniform
from moduli.regularizers.wrappers import Permuted, WithDiagonal
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.methods.beforehand import Rewired
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.figures.flat import draw_neuron_on_plane
from moduli.tasks.figures.matrices import draw_weight_against_distance, draw_weight_matrix
from moduli.tasks.figures.spaces import CannotDraw, immerse, offsets
from moduli.tasks.figures.surfaces import draw_neuron_in_space

MOST_PANELS = 6


def weights_figure(networks: Sequence[StoredNetwork]) -> Figure | None:
    """Draw surviving weights against distance, of each network whose method has one inhibitor."""
    panels = []
    for network in networks:
        regularizer = _off_diagonal(network)
        inner = regularizer.regularizer if isinstance(regularizer, Permuted) else regularizer
        if isinstance(inner, Inhibitor) and not isinstance(inner, Uniform):
            panels.append((network, inner))
    panels = panels[:MOST_PANELS]
    if not panels:
        return None
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axes, (network, inhibitor) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        manifold, weight = network.manifold, network.recurrent_weight()
        assert manifold is not None
        draw_weight_against_distance(axes, manifold, network.points(), weight, inhibitor)
        axes.set_title(network.label, fontsize=9)
    return figure


def shape_figure(networks: Sequence[StoredNetwork]) -> Figure | None:
    """Draw the first geometric network on its manifold, beside dense ones, and its matrix in that order."""
    chosen = next((network for network in networks if _is_geometric(network) and _has_shape(network)), None)
    if chosen is None:
        return None
    manifold, places = chosen.manifold, chosen.points()
    assert manifold is not None
    shown = [network for network in networks if network.result.pruning is None] + [chosen]
    weights = {network.label: network.recurrent_weight() for network in shown}
    neuron = typical_neuron(list(weights.values()))
    figure = Figure(figsize=(3.4 * (len(weights) + 2), 3.4), layout="constrained")
    for index, (name, weight) in enumerate(weights.items(), start=1):
        axes = figure.add_subplot(1, len(weights) + 2, index, projection="3d")
        draw_neuron_in_space(axes, manifold, weight, places, neuron)
        axes.set_title(f"{name}:\nto neuron {neuron}", fontsize=9)
    orders = {"as numbered": None, "along the manifold": order_along(manifold, places)}
    for index, (name, order) in enumerate(orders.items(), start=len(weights) + 1):
        axes = figure.add_subplot(1, len(weights) + 2, index)
        draw_weight_matrix(axes, weights[chosen.label], order)
        axes.set_title(f"{chosen.label},\n{name}", fontsize=9)
    return figure


def neuron_figure(networks: Sequence[StoredNetwork]) -> Figure | None:
    """Draw one neuron of each network on its own space; without one, where another network places it.

    That other one is the first on a flat space, where distances from the neuron are true, or else the first
    that can be drawn.
    """
    homes = [network for network in networks if _is_flat(network)]
    homes += [network for network in networks if _has_shape(network) and network not in homes]
    if not homes:
        return None
    panels = [
        (network, homes[0] if network.manifold is None else network)
        for network in networks
        if network.manifold is None or network in homes
    ][:MOST_PANELS]
    panels.sort(key=lambda panel: not _is_flat(panel[1]))  # those of one kind share a scale of colours
    weights = [network.recurrent_weight() for network, _ in panels]
    neuron = typical_neuron(weights)
    figure = Figure(figsize=(3.1 * len(panels) + 0.8, 4.0), layout="constrained")
    kinds: dict[bool, tuple[list[Any], Any]] = {}
    for index, ((network, home), weight) in enumerate(zip(panels, weights, strict=True), start=1):
        manifold, places, flat = home.manifold, home.points(), _is_flat(home)
        assert manifold is not None
        axes = figure.add_subplot(1, len(panels), index, projection=None if flat else "3d")
        draw = draw_neuron_on_plane if flat else draw_neuron_in_space
        colours = draw(axes, manifold, weight, places, neuron)
        title = f"{_neuron_title(network, home, weight, manifold, places)}\nto neuron {neuron}"
        axes.set_title(title, fontsize=9)
        kinds.setdefault(flat, ([], colours))[0].append(axes)
    for axes_of_kind, colours in kinds.values():
        bar = figure.colorbar(colours, ax=axes_of_kind, shrink=0.8)
        bar.set_label("|weight| relative to the largest from another neuron", fontsize=8)
    return figure


def typical_neuron(weights: Sequence[Tensor]) -> int:
    """Return the neuron whose numbers of surviving weights are nearest to the mean in all networks."""
    counts = torch.stack([(weight != 0).sum(dim=1) for weight in weights]).double()
    mean_count = counts.mean(dim=1, keepdim=True).clamp_min(1)
    return int(((counts - mean_count).abs() / mean_count).sum(dim=0).argmin())


def _neuron_title(
    network: StoredNetwork, home: StoredNetwork, weight: Tensor, manifold: Manifold, places: Tensor
) -> str:
    wiring, _ = wiring_length(weight != 0, manifold, places)
    lines = [network.label.replace("@", "\n@")]  # longer names would run into their neighbours
    if home != network:
        lines.append(f"placed as in {home.label}")
    lines.append("connects no two neurons" if wiring is None else f"mean distance bridged: {wiring:.2f}")
    return "\n".join(lines)


def _is_flat(network: StoredNetwork) -> bool:
    """Return whether a network's neurons are on a space that is drawn flat around any of its points."""
    return _can_draw(network, lambda manifold, points: offsets(manifold, points, points))


def _has_shape(network: StoredNetwork) -> bool:
    """Return whether a network's neurons are on a space that is drawn in space."""
    return _can_draw(network, immerse)


def _can_draw(network: StoredNetwork, kind: Callable[[Manifold, Tensor], Tensor]) -> bool:
    if network.manifold is None:
        return False
    try:
        kind(network.manifold, network.points()[:1])
    except CannotDraw:
        return False
    return True


def _is_geometric(network: StoredNetwork) -> bool:
    """Tell whether a network's connections follow its manifold: it is not one of the controls."""
    regularizer = _off_diagonal(network)
    rewired = isinstance(method(network.result.method).masks, Rewired)
    return regularizer is not None and not rewired and not isinstance(regularizer, Permuted | Uniform)


def _off_diagonal(network: StoredNetwork) -> Regularizer | None:
    """Return a method's regularizer as it was before self-connections got a price of their own."""
    regularizer = method(network.result.method, matched=False).regularizer
    return regularizer.regularizer if isinstance(regularizer, WithDiagonal) else regularizer
