"""Masks made beforehand, and the graphs of networks."""

import math
from statistics import mean, pstdev

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.errors import InvalidParameter
from moduli.manifolds import Circle, Torus
from moduli.models import (
    InvalidSparsity,
    clique_mask,
    geometric_mask,
    graph_statistics,
    mask_graph,
    mask_overlap,
    random_mask,
    rewired_mask,
    ring_mask,
    small_world_mask,
    spectral_radius,
    wiring_length,
)
from moduli.regularizers import DifferenceOfGaussians, Diffusion, ShapeMismatch, Uniform
from tests.conftest import seeded, uniform

sizes = st.integers(1, 15)
sparsities = st.floats(0, 0.999)


@given(sizes, sizes, sparsities, st.sampled_from([Diffusion(), DifferenceOfGaussians(), Uniform()]))
def test_geometric_masks_keep_the_smallest_coefficients_in_exact_number(n, m, sparsity, regularizer):
    targets, sources = Torus().random_point(n, seeded(0)), Torus().random_point(m, seeded(1))
    mask = geometric_mask(regularizer, Torus(), targets, sources, sparsity=sparsity)
    coefficients = regularizer(Torus(), targets, sources)
    assert mask.shape == (n, m)
    assert abs(int((~mask).sum()) - sparsity * n * m) <= 0.5 + 1e-9
    if mask.any() and not mask.all():
        assert coefficients[mask].max() <= coefficients[~mask].min()


@given(sizes, sizes, sparsities, st.integers(0, 9))
def test_random_masks_have_the_exact_number_and_repeat(n, m, sparsity, seed):
    mask = random_mask(n, m, sparsity=sparsity, seed=seed)
    assert abs(int((~mask).sum()) - sparsity * n * m) <= 0.5 + 1e-9
    assert torch.equal(mask, random_mask(n, m, sparsity=sparsity, seed=seed))


def test_random_masks_choose_every_weight_equally_often():
    share = torch.stack([random_mask(5, 6, sparsity=0.7, seed=seed) for seed in range(2000)]).float().mean(0)
    assert (share - 0.3).abs().max() < 5 * math.sqrt(0.3 * 0.7 / 2000)


def test_equal_coefficients_are_cut_at_random_and_not_in_reading_order():
    mask = geometric_mask(Uniform(), Torus(), Torus().random_point(40, seeded()), sparsity=0.5)
    assert 0.3 < mask[:20].float().mean() < 0.7


def test_permuted_masks_are_the_control():
    places = Torus().random_point(60, seeded())
    geometric, permuted = (
        geometric_mask(regularizer, Torus(), places, sparsity=0.9)
        for regularizer in (Diffusion(), Diffusion().permuted(1))
    )
    assert geometric.sum() == permuted.sum()
    wiring = [graph_statistics(mask, Torus(), places) for mask in (geometric, permuted)]
    assert wiring[0].wiring < 0.5 * wiring[0].wiring_by_chance
    # A permuted mask keeps the 60 self-connections, too; counted in, they would make it 17% too short.
    assert wiring[1].wiring == pytest.approx(wiring[1].wiring_by_chance, rel=0.1)


def test_edges_run_from_sender_to_receiver():
    mask = torch.zeros(4, 4, dtype=torch.bool)
    mask[2, 0] = mask[0, 2] = mask[3, 2] = mask[1, 1] = True
    assert set(mask_graph(mask).edges) == {(0, 2), (2, 0), (2, 3), (1, 1)}
    statistics = graph_statistics(mask)
    assert statistics.connections == 4
    assert statistics.largest_out_degree == 2
    assert statistics.isolated == 1  # neuron 1 has only itself
    assert statistics.reciprocity == pytest.approx(2 / 3)
    assert (statistics.weak_components, statistics.strong_components) == (2, 3)
    assert statistics.wiring is None


def test_a_ring_with_short_cuts_is_a_small_world_and_a_random_graph_is_none():
    ring = networkx.connected_watts_strogatz_graph(200, 8, 0.1, seed=0)
    adjacency = torch.from_numpy(networkx.to_numpy_array(ring)) > 0
    assert graph_statistics(adjacency).small_worldness > 3
    chance = graph_statistics(random_mask(200, 200, sparsity=0.96)).small_worldness
    assert chance == pytest.approx(1, abs=0.3)


def test_wiring_is_measured_over_all_gates_of_a_mask():
    places = Torus().random_point(5, seeded())
    gates = [uniform(5, 5, seed=seed) < 0.5 for seed in range(4)]
    distance = Torus().pairwise(places)
    between = [gate & ~torch.eye(5, dtype=torch.bool) for gate in gates]
    expected = sum(float(distance[gate].sum()) for gate in gates) / sum(int(gate.sum()) for gate in between)
    wiring, by_chance = wiring_length(torch.cat(gates), Torus(), places)
    assert wiring == pytest.approx(expected)
    assert by_chance == wiring_length(gates[0], Torus(), places)[1]
    with pytest.raises(ShapeMismatch, match=r"\(7, 5\) is not a whole number of gates"):
        wiring_length(torch.cat(gates)[:7], Torus(), places)


@given(st.integers(0, 6), st.floats(0, 1))
def test_statistics_of_tiny_graphs_are_defined(n, density):
    mask = uniform(n, n) < density
    statistics = graph_statistics(mask, Circle(), Circle().random_point(n, seeded()))
    assert statistics.connections == int(mask.sum())
    assert statistics.weak_components <= n


def test_overlap_by_chance_is_that_of_random_masks():
    first = random_mask(20, 20, sparsity=0.9, seed=0)
    shared = [
        mask_overlap(first, random_mask(20, 20, sparsity=0.8, seed=seed)).shared for seed in range(1, 2001)
    ]
    overlap = mask_overlap(first, random_mask(20, 20, sparsity=0.8, seed=1))
    counts = torch.tensor(shared, dtype=torch.float64)
    assert float(counts.mean()) == pytest.approx(
        overlap.expected, abs=5 * overlap.deviation / math.sqrt(2000)
    )
    assert float(counts.std()) == pytest.approx(overlap.deviation, rel=0.1)
    assert mask_overlap(first, first).z > 10


def test_errors():
    with pytest.raises(ShapeMismatch, match=r"square mask, got shape \(2, 3\)"):
        mask_graph(torch.ones(2, 3))
    with pytest.raises(ShapeMismatch, match=r"one shape, got \(2, 3\) and \(3, 2\)"):
        mask_overlap(torch.ones(2, 3), torch.ones(3, 2))
    with pytest.raises(ShapeMismatch, match="has 3 neurons, the embedding places 4"):
        graph_statistics(torch.ones(3, 3), Torus(), torch.zeros(4, 2))
    with pytest.raises(InvalidSparsity, match=r"got 1\.0"):
        random_mask(3, 3, sparsity=1.0)


@pytest.mark.parametrize(
    "mask",
    [
        ring_mask(48, sparsity=0.9),
        small_world_mask(48, sparsity=0.9, rewiring=0.3, seed=1),
        clique_mask(48, sparsity=0.9),
        random_mask(40, 40, sparsity=0.97, seed=2),
        torch.zeros(5, 5, dtype=torch.bool),
        torch.eye(1, dtype=torch.bool),
    ],
)
def test_statistics_without_directions_agree_with_networkx(mask):
    statistics = graph_statistics(mask)
    graph = mask_graph(mask).to_undirected()
    graph.remove_edges_from([(node, node) for node in graph])
    lengths = [
        steps
        for _, reached in networkx.all_pairs_shortest_path_length(graph)
        for steps in reached.values()
        if steps
    ]
    cycles = [cycle for cycle in networkx.simple_cycles(graph, length_bound=4) if len(cycle) == 4]
    degrees = [degree for _, degree in graph.degree]
    assert statistics.triangles == sum(networkx.triangles(graph).values()) / 3
    assert statistics.four_cycles == len(cycles)
    assert statistics.transitivity == pytest.approx(networkx.transitivity(graph))
    assert statistics.clustering == pytest.approx(networkx.average_clustering(graph))
    assert statistics.mean_path == (pytest.approx(mean(lengths)) if lengths else None)
    assert statistics.degree_deviation == pytest.approx(pstdev(degrees))
    reached = [len(networkx.single_source_shortest_path_length(graph, node, cutoff=2)) for node in graph]
    assert statistics.two_step_reach == pytest.approx(mean(reached))
    if len(graph) > 1 and min(degrees) > 0:
        spectrum = sorted(1 - networkx.normalized_laplacian_spectrum(graph))
        assert statistics.spectral_gap == pytest.approx(1 - spectrum[-2], abs=1e-9)
    connected = networkx.is_connected(graph)
    assert (statistics.spectral_gap > 1e-9) == (connected and len(graph) > 1)


def test_small_worldness_agrees_with_networkx():
    mask = small_world_mask(60, sparsity=0.9, rewiring=0.1, seed=0)
    graph = mask_graph(mask).to_undirected()
    graph.remove_edges_from([(node, node) for node in graph])
    degree = 2 * graph.number_of_edges() / len(graph)
    clustering = networkx.average_clustering(graph) / (degree / len(graph))
    length = networkx.average_shortest_path_length(graph) / (math.log(len(graph)) / math.log(degree))
    assert graph_statistics(mask).small_worldness == pytest.approx(clustering / length)


def test_the_spectral_radius_of_a_weight():
    weight = torch.randn(20, 20, generator=seeded())
    expected = max(abs(value) for value in np.linalg.eigvals(weight.double().numpy()))
    assert spectral_radius(weight) == pytest.approx(expected)
    with pytest.raises(ShapeMismatch, match="square weight"):
        spectral_radius(torch.zeros(2, 3))


@pytest.mark.parametrize(
    "reads",
    [
        graph_statistics,
        mask_graph,
        rewired_mask,
        lambda mask: mask_overlap(mask, mask),
        lambda mask: wiring_length(mask, Torus(), Torus().random_point(6, seeded())),
    ],
)
def test_a_weight_is_not_taken_for_a_mask_and_numbers_0_and_1_are(reads):
    weight = torch.randn(6, 6, generator=seeded())
    with pytest.raises(
        InvalidParameter, match=r"mask must be booleans, or numbers that are 0 or 1.*weight != 0"
    ):
        reads(weight)
    alive = weight > 0
    first, second = reads(alive), reads(alive.float())
    if isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, networkx.DiGraph):
        assert first.edges == second.edges
    else:
        assert first == second
