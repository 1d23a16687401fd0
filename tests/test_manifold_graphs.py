"""Clause M8: graphs are metric spaces without gradients."""

import networkx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import Graph, InvalidParameter, from_graph, make, verify
from tests.conftest import seeded


@given(st.integers(2, 20), st.integers(0, 2**31))
def test_distances_are_those_of_networkx(n, seed):
    graph = networkx.connected_watts_strogatz_graph(n, min(2, n - 1), 0.3, seed=seed) if n > 2 else None
    graph = graph or networkx.path_graph(n)
    lengths = torch.rand(graph.number_of_edges(), generator=seeded(seed)).tolist()
    for (start, end), length in zip(graph.edges, lengths, strict=True):
        graph.edges[start, end]["length"] = length + 0.01
    expected = dict(networkx.all_pairs_dijkstra_path_length(graph, weight="length"))
    manifold = from_graph(graph, weight="length")
    nodes = torch.arange(n, dtype=torch.float64)[:, None]
    matrix = manifold.pairwise(nodes)
    for a in range(n):
        for b in range(n):
            assert float(matrix[a, b]) == pytest.approx(expected[a][b])


def test_nodes_of_any_kind_are_numbered_in_order_and_parallel_edges_take_the_shortest():
    graph = networkx.MultiGraph()
    graph.add_edge("b", "a", length=3.0)
    graph.add_edge("a", "b", length=1.0)
    graph.add_edge("a", "a", length=9.0)
    graph.add_edge("a", "c", length=1.0)
    manifold = from_graph(graph, weight="length")
    assert manifold.pairwise(torch.tensor([[0.0], [1.0], [2.0]])).tolist() == [
        [0, 1, 2],
        [1, 0, 1],
        [2, 1, 0],
    ]
    spec = manifold.spec
    assert make(spec["name"], **spec["kwargs"]) == manifold


def test_a_tree_is_verified():
    verify(from_graph(networkx.balanced_tree(2, 4)))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: from_graph(networkx.Graph()), "nodes must be a positive integer, got 0"),
        (lambda: from_graph(networkx.empty_graph(3)), "no path leads from node 0 to node 1"),
        (lambda: from_graph(networkx.DiGraph([(0, 1)])), r"to_undirected\(\)"),
        (lambda: from_graph(networkx.path_graph(2), weight="size"), "0-1 has no attribute 'size'"),
        (lambda: Graph(2, [(0, 1, -1.0)]), "edge 0-1 must be a positive finite number, got -1.0"),
        (lambda: Graph(2, [(0, 1, 0.0)]), "edge 0-1 must be a positive finite number"),
        (lambda: Graph(2, [(0, 2, 1.0)]), "joins nodes 0 to 1, got"),
    ],
)
def test_what_is_no_metric_space_is_refused(build, message):
    with pytest.raises(InvalidParameter, match=message):
        build()
