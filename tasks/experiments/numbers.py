"""Single numbers of what was measured, by name: the columns of a table with a line for each network."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from moduli.models import graph_statistics
from moduli.tasks.experiments.networks import StoredNetwork
from moduli.tasks.experiments.stages import recurrent_among

MOST_NEURONS = 1024
"""Graphs of more neurons take minutes, and are left out."""


def single_numbers(measurements: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested measurements by their names; lists are left out.

    Examples
    --------
    >>> single_numbers({"error by step": [1.0, 2.0], "long walks": {"steps": 100, "error": 7.5}})
    {'long walks: steps': 100, 'long walks: error': 7.5}
    """
    found: dict[str, float] = {}
    for name, value in measurements.items():
        if isinstance(value, Mapping):
            found |= single_numbers(value, f"{prefix}{name}: ")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = value
    return found


def graph_numbers(network: StoredNetwork) -> dict[str, float]:
    """Return the statistics of the graph of each recurrent matrix, without gates and not too large."""
    found: dict[str, float] = {}
    for layer in recurrent_among(network.masks, network.result.recurrent):
        mask, points = network.masks[layer], network.embeddings.get(layer)
        if mask.shape[0] == mask.shape[1] <= MOST_NEURONS:
            manifold = network.manifold if points is not None else None
            statistics = dataclasses.asdict(graph_statistics(mask, manifold, points))
            found |= {f"graph of {layer}: {name}": value for name, value in statistics.items()}
    return found
