"""Families of masks: exact counts, equal degrees, seeds, and rewiring that changes nothing but places."""

import networkx
import numpy
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from moduli.errors import InvalidParameter, RegistrationError
from moduli.manifolds import Circle, Euclidean, InvalidPoints, Sphere, Torus
from moduli.models import (
    InvalidSparsity,
    clique_mask,
    community_mask,
    geometric_mask,
    graph_statistics,
    mask_families,
    one_way_mask,
    random_mask,
    register_mask_family,
    regular_mask,
    rewired_mask,
    ring_mask,
    small_world_mask,
    tile_mask,
    twin_mask,
    two_coloured_mask,
)
from moduli.models.masks.registry import MASK_FAMILIES, UnknownMaskFamily
from moduli.models.masks.tiles import tiles_of, tiles_wanted
from moduli.regularizers import Diffusion, ShapeMismatch

SYMMETRIC = (ring_mask, small_world_mask, regular_mask, clique_mask, community_mask, twin_mask)
families = st.sampled_from(SYMMETRIC)
sizes, sparsities, seeds = st.integers(1, 40), st.floats(0, 0.99), st.integers(0, 2**31)


def graph(mask):
    """Return the undirected graph without self-connections."""
    return networkx.from_numpy_array((mask & ~torch.eye(len(mask), dtype=torch.bool)).numpy())


@given(families, sizes, sparsities, seeds)
def test_families_are_symmetric_and_exact_and_keep_self_connections(family, n, sparsity, seed):
    try:
        mask = family(n, sparsity=sparsity, seed=seed)
    except InvalidSparsity:
        assume(False)
    assert mask.shape == (n, n)
    assert mask.dtype == torch.bool
    assert torch.equal(mask, mask.T)
    assert mask.diagonal().all()
    assert abs(int(mask.sum()) - (n * n - round(sparsity * n * n))) <= 1


@given(sizes, sparsities, seeds)
def test_all_neurons_of_a_regular_mask_have_as_many_connections(n, sparsity, seed):
    assume(n * n - round(sparsity * n * n) >= n)
    degrees = regular_mask(n, sparsity=sparsity, seed=seed).sum(dim=0)
    assert degrees.max() - degrees.min() <= 1


@pytest.mark.parametrize("family", SYMMETRIC)
def test_the_seed_alone_decides(family):
    state = torch.get_rng_state()
    first, again, other = (family(50, sparsity=0.87, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


def test_families_are_the_graphs_that_they_are_called_after():
    cliques = graph(clique_mask(200, sparsity=0.9))
    assert sorted(map(len, networkx.connected_components(cliques))) == [20] * 10
    assert networkx.transitivity(cliques) == 1
    ring = graph(ring_mask(101, sparsity=1 - 11 / 101))
    assert networkx.is_isomorphic(ring, networkx.circulant_graph(101, range(1, 6)))
    chance = networkx.transitivity(graph(regular_mask(200, sparsity=0.9)))
    assert chance == pytest.approx(0.1, abs=0.03)
    small = [graph(small_world_mask(200, sparsity=0.9, rewiring=share)) for share in (0.0, 0.1, 1.0)]
    transitivities = [networkx.transitivity(each) for each in small]
    assert transitivities[0] > transitivities[1] > 2 * transitivities[2]
    lengths = [networkx.average_shortest_path_length(each) for each in small]
    assert lengths[0] > 1.5 * lengths[1]


masks = st.builds(
    lambda n, density, seed: torch.rand(n, n, generator=torch.Generator().manual_seed(seed)) < density,
    st.integers(1, 30),
    st.floats(0, 1),
    seeds,
)


def parts(mask):
    """Return the connections that have one back, and those that have none, self-connections left out."""
    others = mask & ~torch.eye(len(mask), dtype=torch.bool)
    return others & others.T, others & ~others.T


@given(masks, seeds, st.floats(0, 1))
def test_rewiring_keeps_degrees_pairs_and_self_connections(mask, seed, share):
    rewired = rewired_mask(mask, seed, share)
    for own, other in zip(parts(rewired), parts(mask), strict=True):
        for dimension in (0, 1):
            assert torch.equal(own.sum(dim=dimension), other.sum(dim=dimension))
        assert int((own & ~other).sum()) <= share * int(other.sum()) + 1  # half a pair, rounded up
    assert torch.equal(rewired.diagonal(), mask.diagonal())


def test_an_odd_number_of_connections_leaves_pairs_together():
    """A mask by distance may lack one connection of being symmetric: 1,055 are between neurons here."""
    torus = Torus(2)
    points = torus.random_point(256, generator=torch.Generator().manual_seed(0))
    mask = geometric_mask(Diffusion(), torus, points, sparsity=0.98)
    rewired = rewired_mask(mask)
    assert int(parts(mask)[1].sum()) == int(parts(rewired)[1].sum()) == 1
    assert int((parts(rewired)[0] & mask).sum()) < 60


def test_rewiring_leaves_in_place_what_chance_would():
    ring = ring_mask(256)
    others = ring & ~torch.eye(256, dtype=torch.bool)
    shares = [int((rewired_mask(ring, seed) & others).sum()) / int(others.sum()) for seed in range(5)]
    assert sum(shares) / 5 == pytest.approx(int(others.sum()) / (256 * 255), abs=0.01)
    tenth = int((rewired_mask(ring, share=0.1) & ~ring).sum()) / int(others.sum())
    assert 0.08 < tenth <= 0.1


@pytest.mark.parametrize(("dimension", "sparsity"), [(1, 0.97), (2, 0.95), (2, 0.9)])
@given(seed=seeds)
def test_among_equal_distances_pairs_stay_together(dimension, sparsity, seed):
    """Of a grid many distances are equal, and a choice among them is left to chance."""
    grid = torch.cartesian_prod(*[torch.arange(100.0 ** (1 / dimension))] * dimension).view(-1, dimension)
    mask = geometric_mask(Diffusion(), Euclidean(dimension), grid, sparsity=sparsity, seed=seed)
    assert int(parts(mask)[1].sum()) <= 1


@pytest.mark.parametrize("sparsity", [0.2, 0.4, 0.6])
def test_rewiring_leaves_no_distance_where_few_places_are_free(sparsity):
    torus = Torus(2)
    points = torus.random_point(128, generator=torch.Generator().manual_seed(0))
    others = ~torch.eye(128, dtype=torch.bool)
    distance = torus.pairwise(points)[others]
    mask = geometric_mask(Diffusion(), torus, points, sparsity=sparsity)
    assert numpy.corrcoef(mask[others], distance)[0, 1] < -0.6
    assert abs(numpy.corrcoef(rewired_mask(mask)[others], distance)[0, 1]) < 0.04


@pytest.mark.parametrize("sparsity", [0.4, 0.7, 0.9])
def test_pairs_come_where_single_connections_were(sparsity):
    mask = torch.rand(150, 150, generator=torch.Generator().manual_seed(0)) > sparsity
    singles = parts(mask)[1]
    moved = parts(rewired_mask(mask))[0]
    found = int((moved & singles).sum()) / int(moved.sum())
    assert found == pytest.approx(int(singles.sum()) / (150 * 149), rel=0.3)


@given(st.sampled_from([2, 4]), st.sampled_from([0.5, 0.8]), seeds)
def test_pairs_of_blocks_stay_together(granularity, sparsity, seed):
    grid = torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0)) / 3
    mask = geometric_mask(
        Diffusion(), Euclidean(2), grid, sparsity=sparsity, granularity=granularity, seed=seed
    )
    blocks = mask[::granularity, ::granularity]
    assert int((blocks & ~blocks.T).sum()) <= 1


def test_masks_of_all_kinds_take_the_same_numbers_and_seeds():
    points = Torus(2).random_point(10, generator=torch.Generator().manual_seed(0))
    kinds = [
        *SYMMETRIC,
        lambda n, **options: random_mask(n, n, **options),
        lambda n, **options: geometric_mask("diffusion", "torus", points, **options),
        lambda n, **options: tile_mask("torus", points, **options),
    ]
    for kind in kinds:
        for seed in (-1, numpy.int64(7), 2**64 - 1):
            made = kind(10, sparsity=numpy.float32(0.8125), seed=seed)
            assert torch.equal(made, kind(10, sparsity=0.8125, seed=int(seed)))
        for wrong in ("a", 0.5, True, 2**64):
            with pytest.raises(InvalidParameter, match="seed must be an integer of at most 64 bits"):
                kind(10, sparsity=0.8125, seed=wrong)


def test_arguments_outside_their_domain_are_refused():
    for family in SYMMETRIC:
        for wrong in (1.0, -0.1, float("nan"), "0.9", True):
            with pytest.raises(InvalidSparsity):
                family(10, sparsity=wrong)
        with pytest.raises(InvalidSparsity, match=r"so that sparsity is at most 0\.9"):
            family(10, sparsity=0.95)
        with pytest.raises(InvalidParameter, match="n must be a positive integer"):
            family(0)
        for wrong in ("a", 0.5, True, 2**64, -(2**63) - 1):
            with pytest.raises(InvalidParameter, match="seed must be an integer of at most 64 bits"):
                family(10, sparsity=0.5, seed=wrong)
    with pytest.raises(InvalidSparsity, match="a third or more"):
        clique_mask(10, sparsity=0.1)
    with pytest.raises(
        InvalidSparsity, match=r"20 communities of 100 neurons hold 200 pairs, .* 0\.95 at least"
    ):
        community_mask(100, sparsity=0.9, communities=20)
    with pytest.raises(InvalidSparsity, match="Groups of 60 twins leave 0 pairs of 100 neurons"):
        twin_mask(100, sparsity=0.9, twins=60)
    for family, argument in ((community_mask, "communities"), (twin_mask, "twins")):
        for wrong in (0, 2.5, True, "3"):
            with pytest.raises(InvalidParameter, match=argument):
                family(10, sparsity=0.5, **{argument: wrong})
    with pytest.raises(InvalidParameter, match="rewiring"):
        small_world_mask(10, rewiring=2)
    with pytest.raises(ShapeMismatch, match=r"square mask.*\(2, 3\)"):
        rewired_mask(torch.ones(2, 3))
    with pytest.raises(InvalidParameter, match="share"):
        rewired_mask(torch.eye(3) > 0, share=1.5)


@given(
    st.sampled_from([Torus(2), Circle(), Sphere(2), Euclidean(1)]),
    st.integers(3, 40),
    st.floats(0.34, 0.99),
    seeds,
)
def test_tiles_are_equal_and_exact(manifold, n, sparsity, seed):
    assume(n * n - round(sparsity * n * n) >= n)
    points = manifold.random_point(n, torch.Generator().manual_seed(seed))
    mask = tile_mask(manifold, points, sparsity=sparsity, seed=seed)
    assert torch.equal(mask, mask.T)
    assert mask.diagonal().all()
    assert abs(int(mask.sum()) - (n * n - round(sparsity * n * n))) <= 1
    assert torch.equal(mask, tile_mask(manifold, points, sparsity=sparsity, seed=seed))


def test_tiles_are_pieces_of_the_manifold():
    circle = Circle()
    points = circle.random_point(200, torch.Generator().manual_seed(0))
    mask = tile_mask("circle", points, sparsity=0.9)
    pieces = list(networkx.connected_components(graph(mask)))
    assert sorted(map(len, pieces)) == [20] * 10
    turn = torch.atan2(points[:, 1], points[:, 0]).argsort()
    place = torch.empty_like(turn).scatter_(0, turn, torch.arange(200))
    for piece in pieces:  # twenty neighbours on the circle, wherever it is cut open
        places = place[list(piece)].sort().values
        gaps = (places.roll(-1) - places) % 200
        assert gaps.max() == 181
    with pytest.raises(InvalidSparsity, match="Tiles are two at least"):
        tile_mask(circle, points, sparsity=0.2)


def test_communities_are_as_many_as_asked_for_and_twins_share_their_neighbours():
    communities = graph(community_mask(200, sparsity=0.9, communities=4, seed=3))
    assert sorted(map(len, networkx.connected_components(communities))) == [50] * 4
    within = networkx.transitivity(communities)
    assert within == pytest.approx(1900 / 4900, abs=0.03)  # the density of a group: its share of pairs
    twins = twin_mask(200, sparsity=0.9, twins=5, seed=3)
    statistics, chance = graph_statistics(twins), graph_statistics(regular_mask(200, sparsity=0.9, seed=3))
    neighbours = {frozenset(row.nonzero().flatten().tolist()) for row in twins & ~torch.eye(200).bool()}
    assert len(neighbours) <= 40 + 2 * 5  # forty groups; a few twins lack the edge that was cut to be exact
    assert statistics.four_cycles > 2 * chance.four_cycles
    assert statistics.spectral_gap > 0.2


@pytest.mark.parametrize("make", [two_coloured_mask, one_way_mask])
@given(n=st.integers(2, 30), sparsity=st.floats(0.6, 0.95), seed=seeds)
def test_masks_that_lack_a_property_are_exact_and_local(make, n, sparsity, seed):
    assume(n * n - round(sparsity * n * n) >= n)
    torus = Torus(2)
    points = torus.random_point(n, torch.Generator().manual_seed(seed))
    try:
        mask = make("diffusion", torus, points, sparsity=sparsity, seed=seed)
    except InvalidSparsity:
        assume(False)
    assert abs(int(mask.sum()) - (n * n - round(sparsity * n * n))) <= 1
    assert mask.diagonal().all()
    others = mask & ~torch.eye(n, dtype=torch.bool)
    statistics = graph_statistics(mask)
    if make is one_way_mask:
        assert not (others & others.T).any()
        distances, pairs = torus.pairwise(points), others | others.T
        apart = ~pairs & ~torch.eye(n, dtype=torch.bool)
        if pairs.any() and apart.any():
            assert distances[pairs].max() <= distances[apart].min() + 1e-5
    else:
        assert torch.equal(mask, mask.T)
        assert statistics.triangles == 0
        assert networkx.is_bipartite(graph(mask))


@pytest.mark.parametrize("make", [two_coloured_mask, one_way_mask])
def test_masks_that_lack_a_property_need_points(make):
    for wrong in (None, torch.zeros(4, 3), [[0.0, 0.0]], "torus"):
        with pytest.raises(InvalidPoints):
            make("diffusion", "torus", wrong)


def test_masks_that_lack_a_property_say_what_there_is():
    points = Torus(2).random_point(20, torch.Generator().manual_seed(0))
    with pytest.raises(InvalidSparsity, match="150 pairs of different colour, and there are 100"):
        two_coloured_mask("diffusion", "torus", points, sparsity=0.2)
    with pytest.raises(InvalidSparsity, match="300 pairs, and there are 190"):
        one_way_mask("diffusion", "torus", points, sparsity=0.2)


def test_families_have_names():
    before = MASK_FAMILIES.snapshot()
    assert {"cliques", "random", "regular", "ring", "small-world"} <= mask_families().keys()
    with pytest.raises(UnknownMaskFamily, match="'smallworld'; did you mean 'small-world'"):
        MASK_FAMILIES.get("smallworld")
    with pytest.raises(RegistrationError, match="is taken by"):
        register_mask_family("ring")(lambda n, *, sparsity, seed: torch.eye(n) > 0)
    with pytest.raises(RegistrationError, match="must be a function"):
        register_mask_family("number")(3)
    MASK_FAMILIES.restore(before)


@pytest.mark.parametrize("bridges", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("manifold", [Torus(), Sphere()], ids=repr)
def test_bridges_are_the_wanted_share_and_connect_neighbouring_tiles(manifold, bridges):
    n, sparsity = 600, 0.9
    points = manifold.random_point(n, torch.Generator().manual_seed(0))
    mask = tile_mask(manifold, points, sparsity=sparsity, bridges=bridges)
    assert abs(int(mask.sum()) - (n * n - round(sparsity * n * n))) <= 1
    assert torch.equal(mask, mask.T)
    assert mask.diagonal().all()
    count = tiles_wanted(n, sparsity, bridges)
    tile = tiles_of(manifold, points, count)
    between = mask & (tile[:, None] != tile)
    assert int(between.sum()) / int(mask.sum()) == pytest.approx(bridges, abs=0.05)
    assert (mask | (tile[:, None] != tile)).all()
    distance = manifold.pairwise(points)
    others = tile[:, None] != tile
    assert distance[between].max() <= distance[others & ~mask].min()


def test_without_bridges_the_masks_are_those_of_before():
    points = Torus().random_point(300, torch.Generator().manual_seed(0))
    plain = tile_mask("torus", points, sparsity=0.87, seed=5)
    assert torch.equal(plain, tile_mask("torus", points, sparsity=0.87, bridges=0.0, seed=5))


def test_tiles_that_cannot_be_had_are_refused():
    points = Torus().random_point(20, torch.Generator().manual_seed(0))
    for wrong in (-0.1, 1.0, "0.1", True, float("nan")):
        with pytest.raises(InvalidParameter, match="bridges is a share of the weights"):
            tile_mask("torus", points, bridges=wrong)
    with pytest.raises(
        InvalidParameter, match=r"takes 33 tiles, but there are 20 neurons; bridges of at most 0\.5"
    ):
        tile_mask("torus", points, sparsity=0.9, bridges=0.7)
    with pytest.raises(InvalidSparsity, match="sparsity is at most"):
        tile_mask("torus", points, sparsity=0.96)


def test_a_space_without_finite_distances_cannot_be_bisected():
    class Torn(Euclidean):
        """A line on which what is far apart is at no distance."""

        def distance(self, x, y):
            return super().distance(x, y).where((x[..., 0] > 5) == (y[..., 0] > 5), torch.nan)

    points = torch.arange(10.0).unsqueeze(1)
    with pytest.raises(InvalidPoints, match=r"cannot be bisected along .*: neuron \d is at a distance"):
        tiles_of(Torn(1), points, 3)
