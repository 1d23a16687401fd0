"""A sparsifier in words: what is pruned, how far, and what the graph of the survivors is like."""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from moduli.manifolds import Manifold
from moduli.models.analysis.graphs import GraphStatistics, connections_of, graph_statistics
from moduli.models.matrices import WeightMatrix
from moduli.models.pruning.masks import zeros_in
from moduli.models.table import Table


def describe(
    matrices: Iterable[WeightMatrix],
    masks: Mapping[str, Tensor],
    fractions: Mapping[str, float],
    manifold: Manifold | None,
    points: Mapping[str, Tensor],
) -> str:
    """Return a text about pruned matrices: their sparsity, and the graph of a recurrent one.

    Parameters
    ----------
    matrices : iterable of WeightMatrix
        What is described.
    masks : mapping from str to Tensor
        Their masks.
    fractions : mapping from str to float
        Their zeros, counted.
    manifold : Manifold or None
        Where the neurons are.
    points : mapping from str to Tensor
        The places of the neurons of recurrent matrices.

    Returns
    -------
    str
        One line a matrix, and a few more for the graph of a recurrent one.

    Examples
    --------
    >>> import torch
    >>> print(describe([WeightMatrix("w", (2, 3))], {"w": torch.eye(2, 3) > 0}, {"w": 2 / 3}, None, {}))
    w: 2 x 3, 66.67% zeros, 2 weights alive
    """
    lines = []
    for matrix in matrices:
        name, mask = matrix.name, masks[matrix.name]
        shape = " x ".join(map(str, matrix.shape))
        lines.append(
            f"{name}: {shape}, {fractions[name]:.2%} zeros, {mask.numel() - zeros_in(mask)} weights alive"
        )
        if matrix.recurrent and matrix.neurons == matrix.shape[1]:
            places = points.get(name)
            statistics = graph_statistics(connections_of(mask), None if places is None else manifold, places)
            lines += [f"  {line}" for line in _graph_lines(statistics)]
    return "\n".join(lines)


def disagreements(masks: Mapping[str, Tensor], weight: Callable[[str], Tensor]) -> list[str]:
    """Return a line for each way in which weights are not as their masks say.

    Parameters
    ----------
    masks : mapping from str to Tensor
        Where each weight is alive.
    weight : callable
        From a weight's name to the weight.
    """
    zero = {name: (weight(name) == 0).to(mask.device) for name, mask in masks.items()}
    alive = {name: int((mask & zero[name]).sum()) for name, mask in masks.items()}
    dead = {name: int((~mask & ~zero[name]).sum()) for name, mask in masks.items()}
    return [
        *(f"{name}: {count} living weights are zero besides" for name, count in alive.items() if count),
        *(
            f"{name}: {count} dead weights are not zero now; settle() sets them to zero"
            for name, count in dead.items()
            if count
        ),
    ]


def summary(
    title: str,
    matrices: Iterable[WeightMatrix],
    fractions: Mapping[str, float],
    wanted: Mapping[tuple[str, ...], int],
) -> Table:
    """Return a table of pruned matrices: shape, zeros, target, and whether a matrix is recurrent.

    Parameters
    ----------
    title : str
        What it is a table of.
    matrices : iterable of WeightMatrix
        Its rows.
    fractions : mapping from str to float
        Zeros of each matrix, counted, and in ``"total"``.
    wanted : mapping
        From the names of matrices that share a target to their zeros in the end. A matrix that shares its
        target with others has none of its own.

    Returns
    -------
    Table
    """
    rows, sizes = [], {}
    for matrix in matrices:
        sizes[matrix.name] = matrix.shape[0] * matrix.shape[1]
        own = wanted.get((matrix.name,))
        rows.append(
            (
                matrix.name,
                " x ".join(map(str, matrix.shape)),
                f"{fractions[matrix.name]:.2%}",
                "" if own is None else f"{own / sizes[matrix.name]:.2%}",
                "recurrent" if matrix.recurrent else "",
            )
        )
    size = sum(sizes.values())
    target = f"{sum(wanted.values()) / size:.2%}" if wanted else ""
    total = ("total", str(size), f"{fractions['total']:.2%}", target, "")
    return Table(title, ("matrix", "shape", "zeros", "target", ""), (*rows, total))


def _graph_lines(statistics: GraphStatistics) -> list[str]:
    lines = [
        f"connections a neuron: {statistics.connections / statistics.neurons:.1f} on average, at most "
        f"{statistics.largest_in_degree} in and {statistics.largest_out_degree} out; "
        f"{statistics.isolated} neurons isolated",
        f"reciprocity {statistics.reciprocity:.2f}, clustering {statistics.clustering:.2f}, "
        f"{statistics.weak_components} weak and {statistics.strong_components} strong components",
    ]
    if statistics.small_worldness is not None:
        lines.append(f"small-worldness {statistics.small_worldness:.2f} (1 is a random graph's)")
    if statistics.wiring is not None:
        lines.append(
            f"distance bridged: {statistics.wiring:.2f} on average, "
            f"{statistics.wiring_by_chance:.2f} by chance"
        )
    return lines
