"""Graphs as finite metric spaces, with the lengths of shortest paths."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.finite import FiniteSpace
from moduli.requirements import require_dimension, require_positive

if TYPE_CHECKING:
    import networkx


@register("graph")
class Graph(FiniteSpace):
    """The nodes of a connected graph; a point is the number of a node, in a vector of length 1.

    Distance: the length of the shortest path, from a table that Dijkstra's algorithm fills once.

    Parameters
    ----------
    nodes : int
        Number of nodes n; they are numbered from 0.
    edges : sequence of (int, int, float)
        Two nodes and the positive length of the edge between them. The shortest of parallel edges
        counts.

    Examples
    --------
    >>> path = Graph(3, [(0, 1, 1.0), (1, 2, 0.5)])
    >>> path.distance(torch.tensor([0.0]), torch.tensor([2.0]))
    tensor(1.5000)
    """

    def __init__(self, nodes: int, edges: Sequence[tuple[int, int, float]]) -> None:
        self.nodes = require_dimension("Graph", nodes, "nodes")
        self.edges = tuple(_checked_edge(edge, self.nodes) for edge in edges)
        self.table = _shortest_paths(self.nodes, self.edges)
        if not self.table.isfinite().all():
            apart = int((~self.table[0].isfinite()).nonzero()[0])
            raise InvalidParameter(
                f"Graph: no path leads from node 0 to node {apart}, so that they have no distance; "
                "connect the graph or take its largest component."
            )

    @property
    def count(self) -> int:
        """How many nodes there are."""
        return self.nodes

    def lookup(self, i: Tensor, j: Tensor) -> Tensor:
        """Return lengths of shortest paths from the table."""
        return self.table.to(i.device)[i, j]

    def __repr__(self) -> str:
        return f"<Graph of {self.nodes} nodes and {len(self.edges)} edges>"


def from_graph(graph: "networkx.Graph[Any]", weight: str | None = None) -> Graph:
    """Return the metric space of a networkx graph's nodes.

    Parameters
    ----------
    graph : networkx.Graph
        An undirected, connected graph or multigraph. Its nodes are numbered in the order of
        ``graph.nodes``.
    weight : str, optional
        The edge attribute that holds its length; every edge has length 1 when absent.

    Returns
    -------
    Graph

    Raises
    ------
    InvalidParameter
        If the graph is directed, empty or disconnected, an edge lacks the attribute, or a length
        is not positive.

    Examples
    --------
    >>> import networkx
    >>> ring = from_graph(networkx.cycle_graph(6))
    >>> ring.pairwise(torch.tensor([[0.0], [1.0], [5.0]]))
    tensor([[0., 1., 1.],
            [1., 0., 2.],
            [1., 2., 0.]])
    """
    if graph.is_directed():
        raise InvalidParameter(
            "from_graph: paths in a directed graph differ by direction; pass graph.to_undirected()."
        )
    number = {node: index for index, node in enumerate(graph.nodes)}
    _require_connected(graph)
    edges = []
    for start, end, attributes in graph.edges(data=True):
        if weight is not None and weight not in attributes:
            raise InvalidParameter(f"from_graph: the edge {start!r}-{end!r} has no attribute '{weight}'.")
        length = 1.0 if weight is None else attributes[weight]
        require_positive("from_graph", f"the length of edge {start!r}-{end!r}", length)
        edges.append((number[start], number[end], length))
    return Graph(len(number), edges)


def _require_connected(graph: "networkx.Graph[Any]") -> None:
    """Raise unless every node is reached from the first; the error speaks of the graph's own nodes."""
    first = next(iter(graph), None)
    reached, waiting = {first}, [first]
    while waiting and len(graph):
        fresh = set(graph[waiting.pop()]) - reached
        reached |= fresh
        waiting.extend(fresh)
    for node in graph:
        if node not in reached:
            raise InvalidParameter(
                f"from_graph: no path leads from node {first!r} to node {node!r}, so that they have no "
                "distance; connect the graph or take its largest component."
            )


def _checked_edge(edge: tuple[int, int, float], nodes: int) -> tuple[int, int, float]:
    start, end, length = edge
    if not (0 <= start < nodes and 0 <= end < nodes):
        raise InvalidParameter(f"Graph: an edge joins nodes 0 to {nodes - 1}, got {edge!r}.")
    return start, end, require_positive("Graph", f"the length of edge {start}-{end}", length)


def _shortest_paths(nodes: int, edges: Sequence[tuple[int, int, float]]) -> Tensor:
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    shortest: dict[tuple[int, int], float] = {}
    for start, end, length in edges:
        ends = (min(start, end), max(start, end))
        shortest[ends] = min(length, shortest.get(ends, length))
    rows, columns = [low for low, _ in shortest], [high for _, high in shortest]
    lengths = csr_array((list(shortest.values()), (rows, columns)), shape=(nodes, nodes), dtype=float)
    table = torch.from_numpy(dijkstra(lengths, directed=False))
    # Paths found from either end may differ in their last digit.
    return torch.minimum(table, table.mT)
