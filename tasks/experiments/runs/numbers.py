"""Single numbers of what was measured, by name: the columns of a table with a line for each network."""

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from moduli.models import Sparsifier, graph_statistics
from moduli.models.analysis.graphs import connections_of
from moduli.models.matrices import MOST_GATES

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


def graph_numbers(sparsifier: Sparsifier, recurrent: Collection[str]) -> dict[str, dict[str, float | None]]:
    """Return the statistics of the graph of each recurrent mask that is not too large.

    Parameters
    ----------
    sparsifier : Sparsifier
        Whose masks they are.
    recurrent : collection of str
        Names of the recurrent matrices.
    """
    return {
        f"graph of {name}": dataclasses.asdict(
            graph_statistics(
                connections_of(mask),
                sparsifier.manifold if name in sparsifier.embeddings else None,
                sparsifier.embeddings.get(name),
            )
        )
        for name, mask in sparsifier.masks.items()
        if name in recurrent and has_graph(mask)
    }


def has_graph(mask: Tensor) -> bool:
    """Tell whether a recurrent mask leads from neurons to the same neurons, of which there are not too many.

    The state of a projected LSTM is smaller than its gates, of which it seems to have more than any cell has.
    """
    gates, rest = divmod(mask.shape[0], mask.shape[1])
    return rest == 0 and gates <= MOST_GATES and mask.shape[1] <= MOST_NEURONS
