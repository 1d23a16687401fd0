"""The figures that every comparison leaves in its folder."""

from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from moduli.manifolds import make
from moduli.models import wiring_length
from moduli.regularizers import DifferenceOfGaussians, Diffusion
from moduli.tasks.comparison import Comparison
from moduli.tasks.display import label
from moduli.tasks.figures.curves import draw_inhibitor, draw_training
from moduli.tasks.figures.torus import draw_neuron_on_torus
from moduli.tasks.methods import method
from moduli.tasks.metrics import read_metrics
from moduli.tasks.runs import read_tensors
from moduli.tasks.seeds import stream

MOST_PANELS = 6
INHIBITORS = (Diffusion(), DifferenceOfGaussians())


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
        The files: training curves, one neuron's weights on the torus, and inhibitors.
    """
    figures = {
        "training": _training(comparison, summary),
        "inhibitors": _inhibitors(),
    }
    if any(method(name).manifold == make("torus") for name in comparison.methods):
        figures["neuron"] = _neuron(comparison)
    paths = []
    for name, figure in figures.items():
        path = comparison.folder / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=150)
        paths.append(path)
    return paths


def _training(comparison: Comparison, summary: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(7, 4), layout="constrained")
    metrics = {
        label(*cell): [
            read_metrics(comparison.run(*cell, seed).stage("trained")) for seed in comparison.seeds
        ]
        for cell in comparison.cells
    }
    references = {name: mean(values) for name, values in summary["references"].items()}
    draw_training(figure.subplots(), metrics, references, summary["score_name"])
    return figure


def _neuron(comparison: Comparison) -> Figure:
    """Draw one neuron of the first seed, at its place of the torus, in each method at its first sparsity."""
    seed = comparison.seeds[0]
    weights = {}
    for cell in {name: (name, sparsity) for name, sparsity in reversed(comparison.cells)}.values():
        folder = comparison.run(*cell, seed).stage("trained")
        weights[label(*cell)] = _recurrent_weight(read_tensors(folder / "weights.safetensors"))
    weights = dict(list(reversed(weights.items()))[:MOST_PANELS])
    places = make("torus").random_point(comparison.configuration.task.units, stream(seed, "embedding"))
    neuron = _typical_neuron(weights)
    figure = Figure(figsize=(3.1 * len(weights) + 0.8, 3.6), layout="constrained")
    axes = figure.subplots(1, len(weights), squeeze=False)[0]
    for panel, (name, weight) in zip(axes, weights.items(), strict=True):
        colours = draw_neuron_on_torus(panel, weight, places, neuron)
        wiring, _ = wiring_length(weight != 0, make("torus"), places)
        panel.set_title(f"{name}\nmean distance bridged: {wiring or 0:.2f}", fontsize=9)
    bar = figure.colorbar(colours, ax=axes, shrink=0.8)
    bar.set_label("|weight| relative to the neuron's largest", fontsize=8)
    figure.suptitle(f"Incoming weights of neuron {neuron}, where the torus places the others", fontsize=10)
    return figure


def _recurrent_weight(weights: dict[str, Tensor]) -> Tensor:
    """Return the first layer's recurrent weight, of gates the sum of magnitudes."""
    weight = next(tensor for name, tensor in weights.items() if "weight_hh" in name)
    return weight.abs().reshape(-1, weight.shape[1], weight.shape[1]).sum(dim=0)


def _typical_neuron(weights: dict[str, Tensor]) -> int:
    """Return the neuron whose number of surviving weights, in its sparsest method, is the median.

    Among the neurons alive in every method; a neuron without weights would show nothing.
    """
    counts = [(weight != 0).sum(dim=1) for weight in weights.values()]
    fewest = counts[0]
    for count in counts[1:]:
        fewest = fewest.minimum(count)
    order = fewest.argsort(stable=True)
    alive = order[fewest[order] > 0]
    chosen = alive if len(alive) else order
    return int(chosen[len(chosen) // 2])


def _inhibitors() -> Figure:
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    for panel, inhibitor in zip(figure.subplots(1, len(INHIBITORS)), INHIBITORS, strict=True):
        draw_inhibitor(panel, inhibitor, largest_distance=7.0)  # the torus of period 10 ends at 7.07
    return figure
