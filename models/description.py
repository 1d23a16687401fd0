"""A sparsifier in words: what is pruned, how far, and what the graph of the survivors is like."""

from typing import TYPE_CHECKING

from moduli.models.analysis.graphs import GraphStatistics, graph_statistics

if TYPE_CHECKING:
    from moduli.models.sparsifier import Sparsifier


def describe(sparsifier: "Sparsifier") -> str:
    """Return a text about every pruned matrix: its sparsity, and the graph of a recurrent one.

    Parameters
    ----------
    sparsifier : Sparsifier
        What is described.

    Returns
    -------
    str
        One line a matrix, and a few more for a recurrent one without gates.
    """
    lines = []
    fractions = sparsifier.sparsity()
    for name, mask in sparsifier.masks.items():
        shape = " x ".join(map(str, mask.shape))
        lines.append(f"{name}: {shape}, {fractions[name]:.2%} zeros, {int(mask.sum())} weights alive")
        points = sparsifier.embeddings.get(name)
        square = mask.shape[0] == mask.shape[1]
        if square and "weight_hh" in name:
            manifold = sparsifier.manifold if points is not None else None
            lines += [f"  {line}" for line in _graph_lines(graph_statistics(mask, manifold, points))]
    lines.append(f"total: {fractions['total']:.2%} zeros after {sparsifier.steps_taken} steps")
    return "\n".join(lines)


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
