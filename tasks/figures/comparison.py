"""The figures that every comparison leaves in its folder."""

import math
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from moduli.manifolds import make
from moduli.models import order_along, wiring_length
from moduli.regularizers import Inhibitor, Regularizer, Uniform
from moduli.regularizers.wrappers import Permuted, WithDiagonal
from moduli.tasks.experiments.comparison import Comparison, label
from moduli.tasks.experiments.estimates import Estimate
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.metrics import read_metrics
from moduli.tasks.experiments.protocol import STAGES
from moduli.tasks.experiments.runs import read_tensors
from moduli.tasks.figures.curves import draw_training
from moduli.tasks.figures.flat import draw_neuron_on_plane
from moduli.tasks.figures.matrices import draw_weight_against_distance, draw_weight_matrix
from moduli.tasks.figures.rate_maps import draw_rate_maps
from moduli.tasks.figures.scores import draw_scores
from moduli.tasks.figures.spaces import CannotDraw, immerse
from moduli.tasks.figures.sparsity import draw_error_against_sparsity
from moduli.tasks.figures.surfaces import draw_neuron_in_space
from moduli.tasks.figures.survivors import draw_survivors
from moduli.tasks.navigation.grid_scores import grid_scores
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.seeds import stream

MOST_PANELS = 6
CAPTIONS = {
    "scores": "The score of every seed, the mean and its 95% interval, of trained networks and of tickets.",
    "training": "The validation score while training, a line for each seed.",
    "sparsity": "Scores against sparsity, with 95% intervals; tickets are dashed.",
    "survivors": "The share of each matrix that is left, a dot for each seed, where several are pruned: one "
    "that is nearly empty breaks a network, however full the others are.",
    "weights": "Surviving recurrent weights of the first seed against the distance that they bridge, and the "
    "inhibitor's coefficient before any permutation.",
    "shape": "Where the weights of one neuron come from, on the manifold itself; and the sparse matrix with "
    "neurons as numbered, and in an order along the manifold.",
    "neuron": "Where the weights of one neuron come from, seen from its place on the torus, in each method "
    "that has no other space.",
    "rate-maps": "The six rate maps of highest grid score, above each its score; 1 and more is a grid cell.",
}
"""The figures in the order of a report, and what they show."""


def draw_comparison(comparison: Comparison, summary: dict[str, Any]) -> list[Path]:
    """Draw a comparison's figures into its folder, as PNG.

    Parameters
    ----------
    comparison : Comparison
        A comparison of which every run has ended.
    summary : dict
        What ``Comparison.summarize`` returned.

    Returns
    -------
    list of Path
        The files, of those of ``CAPTIONS`` that apply.
    """
    figures: dict[str, Figure | None] = {
        "scores": _scores(comparison, summary),
        "training": _training(comparison, summary),
        "sparsity": _sparsity(comparison, summary),
        "survivors": _survivors(comparison, summary),
        "weights": _geometry(comparison),
        "shape": _shape(comparison),
        "rate-maps": _rate_maps(comparison),
        "neuron": _neuron(comparison),
    }
    paths = []
    for name, figure in figures.items():
        path = comparison.folder / "figures" / f"{name}.png"
        if figure is None:  # that of an earlier table may be left
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)
        paths.append(path)
    return paths


def _scores(comparison: Comparison, summary: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(9, 1.4 + 0.3 * len(comparison.cells)), layout="constrained")
    references = {name: mean(values) for name, values in summary["references"].items()}
    panels = list(figure.subplots(1, len(STAGES), sharey=True))
    for axes, stage in zip(panels, STAGES, strict=True):
        scores = {
            label(*cell): row[stage] for cell, row in zip(comparison.cells, summary["rows"], strict=True)
        }
        draw_scores(axes, scores, references, summary["score_name"])
        axes.set_title(stage, fontsize=9)
    lowest, highest = zip(*(axes.get_xlim() for axes in panels), strict=True)
    for axes in panels:
        axes.set_xlim(min(lowest), max(highest))
    return figure


def _training(comparison: Comparison, summary: dict[str, Any]) -> Figure:
    """Draw how all methods learned, in a panel for each sparsity; the dense one is in all."""
    sparsities = sorted({sparsity for _, sparsity in comparison.cells if sparsity}) or [0.0]
    references = {name: mean(values) for name, values in summary["references"].items()}
    figure = Figure(figsize=(4.5 * len(sparsities) + 2.5, 4), layout="constrained")
    panels = figure.subplots(1, len(sparsities), sharey=True, squeeze=False)[0]
    for panel, wanted in zip(panels, sparsities, strict=True):
        metrics = {
            name: [
                read_metrics(comparison.run(name, sparsity, seed).stage("trained"))
                for seed in comparison.seeds
            ]
            for name, sparsity in comparison.cells
            if sparsity in (0.0, wanted)
        }
        draw_training(panel, metrics, references, summary["score_name"])
        panel.set_title(f"{100 * wanted:.4g}%", fontsize=9)
        panel.label_outer()
    for panel in panels[:-1]:
        panel.get_legend().remove()
    return figure


def _neuron(comparison: Comparison) -> Figure | None:
    """Draw one neuron of the first seed at its place of the torus, in each method that has no other space."""
    torus = make("torus")
    if not any(method(name).manifold == torus for name in comparison.methods):
        return None
    seed = comparison.seeds[0]
    weights = {}
    cells = [cell for cell in _first_cells(comparison) if method(cell[0]).manifold in (None, torus)]
    for cell in cells[:MOST_PANELS]:
        folder = comparison.run(*cell, seed).stage("trained")
        weights[label(*cell)] = _recurrent_weight(read_tensors(folder / "weights.safetensors"))
    places = torus.random_point(comparison.configuration.task.units, stream(seed, "embedding"))
    neuron = _typical_neuron(weights)
    figure = Figure(figsize=(3.1 * len(weights) + 0.8, 4.0), layout="constrained")
    axes = figure.subplots(1, len(weights), squeeze=False)[0]
    for panel, (name, weight) in zip(axes, weights.items(), strict=True):
        colours = draw_neuron_on_plane(panel, torus, weight, places, neuron)
        wiring, _ = wiring_length(weight != 0, torus, places)
        title = name.replace("@", "\n@")  # longer names would run into their neighbours
        bridged = "connects no two neurons" if wiring is None else f"mean distance bridged: {wiring:.2f}"
        panel.set_title(f"{title}\n{bridged}", fontsize=9)
    bar = figure.colorbar(colours, ax=axes, shrink=0.8)
    bar.set_label("|weight| relative to the neuron's largest", fontsize=8)
    figure.suptitle(f"Incoming weights of neuron {neuron}, where the torus places the others", fontsize=10)
    return figure


def _recurrent_weight(weights: dict[str, Tensor]) -> Tensor:
    """Return the first layer's recurrent weight, of gates the sum of magnitudes."""
    weight = next(tensor for name, tensor in weights.items() if "weight_hh" in name)
    return weight.abs().reshape(-1, weight.shape[1], weight.shape[1]).sum(dim=0)


def _typical_neuron(weights: dict[str, Tensor]) -> int:
    """Return the neuron whose numbers of surviving weights are nearest to the mean in all methods."""
    counts = torch.stack([(weight != 0).sum(dim=1) for weight in weights.values()]).double()
    mean_count = counts.mean(dim=1, keepdim=True).clamp_min(1)
    return int(((counts - mean_count).abs() / mean_count).sum(dim=0).argmin())


def _sparsity(comparison: Comparison, summary: dict[str, Any]) -> Figure | None:
    """Draw the scores of all sparse methods against sparsity, where there are several."""
    if len(comparison.sparsities) < 2:
        return None
    estimates: dict[str, dict[str, list[tuple[float, float, float]]]] = {stage: {} for stage in STAGES}
    for (name, sparsity), row in zip(comparison.cells, summary["rows"], strict=True):
        if method(name).sparse:
            for stage in STAGES:
                found = Estimate.of(row[stage])
                half = math.nan if found.half_width is None else found.half_width
                estimates[stage].setdefault(name, []).append((sparsity, found.mean, half))
    figure = Figure(figsize=(7, 4), layout="constrained")
    draw_error_against_sparsity(
        figure.subplots(), estimates["trained"], estimates["ticket"], summary["score_name"]
    )
    return figure


def _survivors(comparison: Comparison, summary: dict[str, Any]) -> Figure | None:
    """Draw what is left of each matrix, of methods that prune several."""
    rows = {
        label(*cell): row["matrices"]
        for cell, row in zip(comparison.cells, summary["rows"], strict=True)
        if len(row["matrices"]) > 1
    }
    if not rows:
        return None
    figure = Figure(figsize=(7, 1.8 + 0.3 * len(rows)), layout="constrained")
    draw_survivors(figure.subplots(), rows)
    return figure


def _geometry(comparison: Comparison) -> Figure | None:
    """Draw the first seed's weights against distance, of each method that has one inhibitor."""
    panels = []
    for name, sparsity in _first_cells(comparison):
        regularizer = _off_diagonal(name)
        inner = regularizer.regularizer if isinstance(regularizer, Permuted) else regularizer
        if isinstance(inner, Inhibitor) and not isinstance(inner, Uniform):
            panels.append((name, sparsity, inner))
    panels = panels[:MOST_PANELS]
    if not panels:
        return None
    figure = Figure(figsize=(4.2 * len(panels), 3.2), layout="constrained")
    for axes, (name, sparsity, inhibitor) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        folder = comparison.run(name, sparsity, comparison.seeds[0]).stage("trained")
        state = read_tensors(folder / "sparsifier.safetensors")
        places = next(value for key, value in state.items() if key.startswith("embedding."))
        weight = _recurrent_weight(read_tensors(folder / "weights.safetensors"))
        manifold = method(name).manifold
        assert manifold is not None
        draw_weight_against_distance(axes, manifold, places, weight, inhibitor)
        axes.set_title(label(name, sparsity), fontsize=9)
    return figure


def _shape(comparison: Comparison) -> Figure | None:
    """Draw the first geometric network on its manifold, and its matrix along the manifold."""
    cells = [cell for cell in _first_cells(comparison) if _is_geometric(cell[0])]
    if not cells:
        return None
    folder = comparison.run(*cells[0], comparison.seeds[0]).stage("trained")
    manifold = method(cells[0][0]).manifold
    assert manifold is not None
    state = read_tensors(folder / "sparsifier.safetensors")
    places = next(value for key, value in state.items() if key.startswith("embedding."))
    try:
        immerse(manifold, places[:1])
    except CannotDraw:
        return None
    shown = [cell for cell in _first_cells(comparison) if not method(cell[0]).sparse] + cells[:1]
    weights = {}
    for cell in shown:
        path = comparison.run(*cell, comparison.seeds[0]).stage("trained") / "weights.safetensors"
        weights[label(*cell)] = _recurrent_weight(read_tensors(path))
    neuron = _typical_neuron(weights)
    figure = Figure(figsize=(3.4 * (len(weights) + 2), 3.4), layout="constrained")
    for index, (name, weight) in enumerate(weights.items(), start=1):
        axes = figure.add_subplot(1, len(weights) + 2, index, projection="3d")
        draw_neuron_in_space(axes, manifold, weight, places, neuron)
        axes.set_title(f"{name}:\nto neuron {neuron}", fontsize=9)
    orders = {"as numbered": None, "along the manifold": order_along(manifold, places)}
    for index, (name, order) in enumerate(orders.items(), start=len(weights) + 1):
        axes = figure.add_subplot(1, len(weights) + 2, index)
        draw_weight_matrix(axes, weights[label(*cells[0])], order)
        axes.set_title(f"{label(*cells[0])},\n{name}", fontsize=9)
    return figure


def _rate_maps(comparison: Comparison) -> Figure | None:
    """Draw the rate maps of highest grid score, of the last network that navigates."""
    settings = comparison.configuration.task
    if not isinstance(settings, NavigationSettings):
        return None
    cells = _first_cells(comparison)[-1:]
    task = Navigation(settings, comparison.configuration.training.batch, comparison.seeds[0])
    model = task.model()
    folder = comparison.run(*cells[0], comparison.seeds[0]).stage("trained")
    model.load_state_dict(read_tensors(folder / "weights.safetensors"))
    maps = task.rate_maps(model)
    scores = grid_scores(maps)
    best = scores.nan_to_num(-math.inf).argsort(descending=True)[:MOST_PANELS]
    figure = Figure(figsize=(1.6 * len(best), 1.9), layout="constrained")
    panels = list(figure.subplots(1, len(best), squeeze=False)[0])
    draw_rate_maps(panels, maps[best], scores[best].tolist())
    figure.suptitle(label(*cells[0]), fontsize=9)
    return figure


def _is_geometric(name: str) -> bool:
    regularizer = _off_diagonal(name)
    return regularizer is not None and not isinstance(regularizer, Permuted | Uniform)


def _off_diagonal(name: str) -> Regularizer | None:
    """Return a method's regularizer as it was before self-connections got a price of their own."""
    regularizer = method(name, matched=False).regularizer
    return regularizer.regularizer if isinstance(regularizer, WithDiagonal) else regularizer


def _first_cells(comparison: Comparison) -> list[tuple[str, float]]:
    """Return each method with its first sparsity."""
    return [
        (name, next(cell[1] for cell in comparison.cells if cell[0] == name)) for name in comparison.methods
    ]
