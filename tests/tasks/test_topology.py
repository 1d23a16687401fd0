"""Holes that are found, against those that the manifold predicts."""

import sys

import networkx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from moduli.manifolds import (
    Circle,
    Cylinder,
    Euclidean,
    Grassmannian,
    InvalidDistance,
    InvalidParameter,
    InvalidPoints,
    KleinBottle,
    Manifold,
    MobiusBand,
    Product,
    ProjectivePlane,
    ProjectiveSpace,
    Rotations,
    Scaled,
    Sphere,
    Torus,
)
from moduli.models import MissingDependency, regular_mask
from moduli.models.analysis.topology import (
    UnknownTopology,
    betti_numbers,
    bottleneck_distance,
    cloud_topology,
    embedding_topology,
    graph_distances,
    graph_topology,
    persistent_homology,
)
from moduli.models.analysis.topology.networks import _rewired
from moduli.regularizers import ShapeMismatch
from tests.conftest import SPACES, seeded

QUICK = {"landmarks": 60}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("manifold", "prime", "betti"),
    [
        (Circle(), 2, (1, 1, 0)),
        (Sphere(), 2, (1, 0, 1)),
        (Torus(), 2, (1, 2, 1)),
        (KleinBottle(), 2, (1, 2, 1)),
        (ProjectivePlane(), 2, (1, 1, 1)),
        (MobiusBand(), 2, (1, 1, 0)),
        (Euclidean(), 2, (1, 0, 0)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Manifold) else None,
)
def test_an_embedding_has_the_holes_of_its_manifold(manifold, prime, betti, seed):
    found = embedding_topology(manifold, manifold.random_point(300, seeded(seed)), prime=prime, **QUICK)
    assert found.betti == found.predicted(manifold) == betti
    assert found.compare(manifold).endswith("as predicted.")
    assert found.compare(Cylinder(height=1.0)).endswith(
        "as predicted." if betti == (1, 1, 0) else "not as predicted."
    )


@pytest.mark.parametrize("space", [space for space in SPACES if space != Rotations(3)], ids=repr)
def test_the_euler_characteristic_is_that_of_every_field(space):
    signed = {sum((-1) ** k * b for k, b in enumerate(betti_numbers(space, prime))) for prime in (2, 3, 5)}
    assert len(signed) == 1


@pytest.mark.parametrize(
    "closed",
    [Sphere(3), Torus(4), KleinBottle(), ProjectiveSpace(4), Rotations(3), Grassmannian(6, 3)],
    ids=repr,
)
def test_closed_manifolds_have_dual_numbers_over_two(closed):
    assert betti_numbers(closed, 2) == betti_numbers(closed, 2)[::-1]


def test_known_numbers():
    assert betti_numbers(Product(Circle(), Circle(), Circle())) == betti_numbers(Torus(3)) == (1, 3, 3, 1)
    assert betti_numbers(Product(Sphere(), Circle())) == (1, 1, 1, 1)
    assert betti_numbers(Scaled(KleinBottle(), 2.0), 3) == (1, 1)
    assert betti_numbers(Grassmannian(4, 2), 2) == (1, 1, 2, 1, 1)
    assert betti_numbers(Grassmannian(4, 2), 3) == (1, 0, 0, 0, 1)
    assert betti_numbers(Grassmannian(6, 3), 3) == (1, 0, 0, 0, 1, 1, 0, 0, 0, 1)
    for prime in (2, 3):
        for n in (2, 3, 4, 5, 6):
            assert betti_numbers(Grassmannian(n, 1), prime) == betti_numbers(ProjectiveSpace(n - 1), prime)
    assert betti_numbers(Rotations(3), 3) == (1, 0, 0, 1)


def test_a_manifold_of_one_s_own_registers_its_numbers():
    class Figure(Euclidean):
        pass

    class Unheard(Manifold):
        point_shape = (1,)

        def distance(self, x, y):
            return (x - y).abs()[..., 0]

        def random_point(self, n, generator=None):
            return torch.rand(n, 1, generator=generator)

    with pytest.raises(UnknownTopology, match=r"Unheard.*betti_numbers.register"):
        betti_numbers(Unheard())
    betti_numbers.register(Unheard)(lambda manifold, prime=2: (1, 7))
    assert betti_numbers(Product(Unheard(), Circle())) == (1, 8, 7)
    assert betti_numbers(Figure(2)) == (1,)


def test_spaces_whose_bars_are_known():
    for graph, dimension in ((networkx.cycle_graph(4), 1), (networkx.octahedral_graph(), 2)):
        steps = torch.tensor(networkx.floyd_warshall_numpy(graph))
        barcode = persistent_homology(steps)
        assert barcode.bars[dimension].tolist() == [[1.0, 2.0]]
        assert barcode.prominence(dimension).tolist() == [2.0]
        assert barcode.bars[0].tolist() == [[0.0, 1.0]] * (len(graph) - 1) + [[0.0, torch.inf]]


def test_two_clusters_are_two_components():
    clusters = torch.rand(300, 2, generator=seeded())
    clusters[150:, 0] += 3
    assert cloud_topology(clusters, **QUICK).betti == (2, 0, 0)


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_cloud_without_holes_has_none(seed):
    assert cloud_topology(torch.randn(300, 4, generator=seeded(seed)), **QUICK).betti == (1, 0, 0)


def test_activity_on_a_ring_has_one_loop():
    angle = 2 * torch.pi * torch.rand(300, 1, generator=seeded())
    preferred = torch.linspace(0, 2 * torch.pi, 30)
    activity = (angle - preferred).cos().relu() + 0.02 * torch.randn(300, 30, generator=seeded(1))
    found = cloud_topology(activity, **QUICK)
    assert found.betti == (1, 1, 0)
    shuffled = activity.gather(0, torch.rand(300, 30, generator=seeded(2)).argsort(dim=0))
    assert cloud_topology(shuffled, **QUICK).betti == (1, 0, 0)


@given(st.integers(0, 99), st.floats(0.1, 50.0))
@settings(max_examples=8)
def test_bars_keep_under_isometries_and_scale_with_lengths(seed, factor):
    points = Torus().random_point(60, seeded(seed)).double()
    barcode = persistent_homology(Torus().pairwise(points), landmarks=30)
    moved = persistent_homology(Torus().pairwise(Torus().random_isometry(seeded(seed))(points)), landmarks=30)
    scaled = persistent_homology(Scaled(Torus(), factor).pairwise(points), landmarks=30)
    for k in range(3):
        assert torch.allclose(moved.bars[k].sort(0).values, barcode.bars[k].sort(0).values, atol=1e-4)
        assert torch.allclose(scaled.bars[k], factor * barcode.bars[k], rtol=1e-5, atol=1e-4)
        assert torch.allclose(scaled.prominence(k), barcode.prominence(k), rtol=1e-4)


@given(st.integers(0, 99), st.floats(0.01, 1.0))
@settings(max_examples=8)
def test_bars_move_no_further_than_distances(seed, noise):
    points = Sphere().random_point(25, seeded(seed)).double()
    moved = Sphere().project(points + noise * torch.randn(25, 3, generator=seeded(seed + 100)).double())
    distance, other = Sphere().pairwise(points), Sphere().pairwise(moved)
    barcodes = [persistent_homology(matrix) for matrix in (distance, other)]
    for k in range(2):
        apart = bottleneck_distance(*barcodes, k)
        assert apart <= float((distance - other).abs().max()) + 1e-5
    assert bottleneck_distance(barcodes[0], barcodes[0], 1) == 0
    assert bottleneck_distance(*barcodes, 0) > 0


def test_landmarks_are_spread_and_bounded():
    distance = Torus().pairwise(Torus().random_point(400, seeded()))
    barcode = persistent_homology(distance, landmarks=50)
    assert len(barcode.bars[0]) == barcode.landmarks == 50
    at_random = persistent_homology(distance[:50, :50])
    assert barcode.bars[0][:-1, 1].min() > 3 * at_random.bars[0][:-1, 1].min()
    assert persistent_homology(distance[:9, :9], landmarks=50).landmarks == 9


@pytest.mark.parametrize("seed", range(3))
def test_the_klein_bottle_loses_a_loop_and_its_cavity_over_three(seed):
    distance = KleinBottle().pairwise(KleinBottle().random_point(300, seeded(seed)))
    over_two, over_three = (persistent_homology(distance, prime=prime) for prime in (2, 3))
    assert over_two.prominence(1)[1] > 3 > 2.5 > over_three.prominence(1)[1]
    assert over_two.prominence(2)[0] > 1.6 > 1.4 > over_three.prominence(2)[0]
    assert over_three.prominence(1)[0] == over_two.prominence(1)[0]


@given(st.integers(0, 99))
def test_paths_are_networkx_s(seed):
    weight = torch.randn(12, 12, generator=seeded(seed))
    weight[torch.rand(12, 12, generator=seeded(seed)) < 0.92] = 0
    graph = networkx.Graph()
    graph.add_nodes_from(range(12))
    for i, j in weight.nonzero().tolist():
        if i != j:
            graph.add_edge(i, j, length=1 / max(abs(float(weight[i, j])), abs(float(weight[j, i]))))
    largest = max(len(component) for component in networkx.connected_components(graph))
    distance, neurons = graph_distances(weight)
    assert len(neurons) == largest
    expected = networkx.floyd_warshall_numpy(graph.subgraph(neurons.tolist()), neurons.tolist(), "length")
    assert torch.allclose(distance, torch.tensor(expected))
    assert torch.equal(distance, distance.mT)


def test_a_threshold_is_exceeded_as_often_as_the_number_of_clouds_says():
    nulls, trials, found = 4, 40, 0
    for trial in range(trials):  # points of a square, which has no loop; clouds drawn anew each time
        square = torch.rand(40, 2, generator=seeded(trial))
        found += cloud_topology(square, landmarks=20, dimension=1, nulls=nulls, seed=trial).betti[1] > 0
    assert 0 < found / trials < 0.45  # a fifth; beyond 0.45 with probability 0.0002
    thresholds = {
        cloud_topology(square, landmarks=20, dimension=1, nulls=nulls, seed=seed).thresholds[1]
        for seed in range(3)
    }
    assert len(thresholds) == 3


def test_a_ring_of_neurons_is_a_loop_and_the_same_weights_elsewhere_are_none():
    turn = torch.linspace(0, 1, 81)[:-1]
    apart = (turn[:, None] - turn).abs()
    apart = torch.minimum(apart, 1 - apart)
    weight = torch.where((apart > 0) & (apart < 0.05), 1 + torch.rand(80, 80, generator=seeded()), 0)
    assert graph_topology(weight, dimension=1, nulls=49).betti == (1, 1)
    between = ~torch.eye(80, dtype=torch.bool)
    values = weight[between]
    elsewhere = torch.zeros(80, 80)
    elsewhere[between] = values[torch.randperm(len(values), generator=seeded(5))]
    assert graph_topology(elsewhere, dimension=1, nulls=49).betti == (1, 0)


def test_graphs_without_geometry_have_no_holes_whatever_their_degrees():
    """Against single weights at random places, all eight graphs had a loop."""
    holes = 0
    for seed in range(8):
        mask = regular_mask(128, sparsity=0.97, seed=seed)
        weight = mask * torch.randn(128, 128, generator=seeded(seed))
        holes += graph_topology(weight, landmarks=60, dimension=1, nulls=19, seed=seed).betti[1] > 0
    assert holes <= 2  # one in twenty by chance; more than two of eight with probability 0.006


def test_the_same_weights_elsewhere_have_the_same_pairs_and_degrees():
    generator = seeded(1)
    weight = (torch.rand(30, 30, generator=generator) < 0.2) * torch.randn(30, 30, generator=generator)
    elsewhere, between = _rewired(weight, generator), weight.clone().fill_diagonal_(0)
    for axis in (0, 1):
        assert torch.equal((elsewhere != 0).sum(axis), (between != 0).sum(axis))
    for combine in (torch.minimum, torch.maximum):
        ranked = [combine(each.abs(), each.abs().T).flatten().sort().values for each in (elsewhere, between)]
        assert torch.equal(*ranked)


def test_what_has_no_holes_to_look_for_is_refused():
    distance = Torus().pairwise(Torus().random_point(5, seeded()))
    with pytest.raises(InvalidDistance, match="square"):
        persistent_homology(distance[:3])
    with pytest.raises(InvalidDistance, match="finite"):
        persistent_homology(distance / 0)
    with pytest.raises(InvalidDistance, match="symmetric"):
        persistent_homology(distance + torch.triu(distance))
    with pytest.raises(InvalidDistance, match="diagonal"):
        persistent_homology(distance + 1)
    with pytest.raises(InvalidDistance, match="coincide"):
        persistent_homology(0 * distance)
    with pytest.raises(InvalidParameter, match="prime number, got 4"):
        persistent_homology(distance, prime=4)
    with pytest.raises(InvalidParameter, match="landmarks must be a positive integer, got 0"):
        persistent_homology(distance, landmarks=0)
    with pytest.raises(InvalidParameter, match="at least 2, got 1"):
        persistent_homology(distance, landmarks=1)
    with pytest.raises(InvalidParameter, match="nulls must be a positive integer"):
        embedding_topology(Torus(), Torus().random_point(5, seeded()), nulls=0)
    with pytest.raises(InvalidDistance, match="coincide"):
        embedding_topology(Torus(), torch.tensor([[0.0, 0.0], [10.0, 20.0]]))
    with pytest.raises(InvalidPoints, match="flatten"):
        cloud_topology(torch.zeros(2, 3, 4))
    with pytest.raises(ShapeMismatch, match="square"):
        graph_distances(torch.ones(2, 3))
    with pytest.raises(InvalidPoints, match="connect 1 neurons"):
        graph_topology(torch.eye(4))


def test_a_missing_package_is_named(monkeypatch):
    distance = Torus().pairwise(Torus().random_point(9, seeded()))
    barcode = persistent_homology(distance)
    monkeypatch.setitem(sys.modules, "ripser", None)
    monkeypatch.setitem(sys.modules, "persim", None)
    with pytest.raises(MissingDependency, match=r"ripser.*moduli\[topology\]"):
        persistent_homology(distance)
    with pytest.raises(MissingDependency, match=r"persim.*moduli\[topology\]"):
        bottleneck_distance(barcode, barcode, 1)


def test_the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    embedding_topology(Circle(), Circle().random_point(50, seeded()), landmarks=20, nulls=3)
    graph_topology(torch.rand(30, 30, generator=seeded()), nulls=2)
    assert torch.equal(torch.get_rng_state(), before)
