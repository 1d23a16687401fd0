"""Statistics of a graph without directions: powers, distances and eigenvalues of its adjacency matrix."""

import math
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor


def undirected_statistics(adjacency: Tensor) -> dict[str, Any]:
    """Return what `GraphStatistics` holds of a graph without directions.

    Parameters
    ----------
    adjacency : Tensor
        Float64 ``(n, n)``, symmetric, 1 where two neurons are connected, with a zero diagonal.

    Returns
    -------
    dict of str to number
        The fields from ``clustering`` to ``small_worldness``.

    Examples
    --------
    >>> triangle = torch.ones(3, 3).double() - torch.eye(3)
    >>> undirected_statistics(triangle)["triangles"]
    1
    """
    if len(adjacency) == 0:
        zero = dict.fromkeys(
            ("clustering", "transitivity", "degree_deviation", "two_step_reach", "spectral_gap"), 0.0
        )
        return zero | {"triangles": 0, "four_cycles": 0, "mean_path": None, "small_worldness": None}
    degree = adjacency.sum(dim=1)
    squared = adjacency @ adjacency
    closed = (squared * adjacency).sum(dim=1)  # twice the triangles at each neuron
    pairs = degree * (degree - 1)  # twice the pairs of neighbours
    clustering = torch.where(pairs > 0, closed / pairs.clamp_min(1), 0.0)
    four = float(squared.square().sum() - 2 * pairs.sum() - degree.sum())
    reached = (squared + adjacency + torch.eye(len(adjacency))) > 0
    steps = _steps(adjacency)
    between = steps[steps > 0]
    return {
        "clustering": float(clustering.mean()),
        "transitivity": float(closed.sum() / pairs.sum()) if pairs.any() else 0.0,
        "triangles": round(float(closed.sum()) / 6),
        "four_cycles": round(four / 8),
        "degree_deviation": float(degree.std(correction=0)),
        "two_step_reach": float(reached.sum(dim=1).double().mean()),
        "mean_path": float(between.mean()) if between.size else None,
        "spectral_gap": _spectral_gap(adjacency, degree),
        "small_worldness": _small_worldness(adjacency, clustering, steps),
    }


def _steps(adjacency: Tensor) -> NDArray[Any]:
    """Return how many steps it takes from each neuron to each other one; 0 where no path leads there.

    All neurons search at once: every pair is reached, and goes on, exactly once.
    """
    edges = csr_array(adjacency.numpy())
    reached = numpy.eye(len(adjacency), dtype=bool)
    steps, taken, frontier = (
        numpy.zeros(reached.shape, dtype=numpy.int64),
        0,
        csr_array(reached.astype(float)),
    )
    while frontier.nnz:
        taken += 1
        new = ((frontier @ edges).toarray() > 0) & ~reached
        steps[new] = taken
        reached |= new
        frontier = csr_array(new.astype(float))
    return steps


def _spectral_gap(adjacency: Tensor, degree: Tensor) -> float:
    if len(adjacency) < 2:
        return 0.0
    walk = adjacency + torch.diag((degree == 0).double())
    scale = degree.clamp_min(1).rsqrt()
    values = torch.linalg.eigvalsh(scale[:, None] * walk * scale)
    return max(0.0, 1 - float(values[-2]))


def _small_worldness(adjacency: Tensor, clustering: Tensor, steps: NDArray[Any]) -> float | None:
    """Return the small-worldness of the largest component, which no path leaves."""
    _, labels = connected_components(csr_array(adjacency.numpy()), directed=False)
    members = numpy.flatnonzero(labels == numpy.bincount(labels).argmax())
    size, edges = len(members), int(adjacency[members][:, members].sum()) // 2
    degree = 2 * edges / size
    if degree <= 1 or 2 * edges == size * (size - 1):
        return None
    length = steps[numpy.ix_(members, members)].sum() / (size * (size - 1))
    relative = float(clustering[members].mean()) / (degree / size)
    return float(relative / (length / (math.log(size) / math.log(degree))))
