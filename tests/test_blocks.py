"""Neurons in order along a manifold, and weights that are kept or cut in whole blocks."""

import math

import networkx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from moduli.manifolds import Euclidean, InvalidParameter, InvalidPoints, Torus, from_graph
from moduli.models import (
    CubicSchedule,
    Regrowth,
    Sparsifier,
    StateMismatch,
    dense_state,
    geometric_mask,
    order_along,
    random_mask,
)
from moduli.models.fast import choosing, compression
from moduli.models.fast.compressed_rows import BLOCK_SIDES, block_side
from moduli.models.fast.kernels import BlocksKernel, DenseKernel, RowsKernel
from moduli.models.fast.recurrent import SparseRecurrent
from moduli.models.pruning.blocks import Blocks
from moduli.models.pruning.cuts import cut_blocks
from moduli.regularizers import Diffusion
from tests.conftest import SPACES, seeded
from tests.test_sparsifier import Reader, train

RING = from_graph(networkx.cycle_graph(64))


def slices(size, granularity, gates=1):
    """Return the rows or columns of each block, counted out one by one."""
    height = size // gates
    return [
        slice(gate + start, gate + min(start + granularity, height))
        for gate in range(0, size, height)
        for start in range(0, height, granularity)
    ]


def consists_of_blocks(mask, granularity, gates=1):
    return all(
        mask[rows, columns].all() or not mask[rows, columns].any()
        for rows in slices(mask.shape[0], granularity, gates)
        for columns in slices(mask.shape[1], granularity)
    )


@pytest.mark.parametrize("manifold", [*SPACES, RING], ids=repr)
def test_neighbouring_numbers_are_neighbours_on_the_manifold(manifold):
    n = 64
    points = manifold.random_point(n, seeded())
    order = order_along(manifold, points)
    distances = manifold.pairwise(points[order])
    parts = slices(n, 8)
    within = sum(distances[part, part].sum() for part in parts) / (n * 7)
    by_chance = distances.sum() / (n * (n - 1))
    # In six dimensions eight of 64 points are far apart, whatever the order.
    assert within < (0.9 if manifold == Torus(6) else 0.75) * by_chance


def test_groups_on_a_line_are_exactly_the_nearest():
    line = torch.randperm(100, generator=seeded()).float().unsqueeze(1)
    ordered = line[order_along(Euclidean(1), line)].flatten()
    for part in slices(100, 16)[:4]:
        assert ordered[part].max() - ordered[part].min() == 15


@given(st.integers(0, 40), st.sampled_from(SPACES))
def test_an_order_holds_every_neuron_once(n, manifold):
    order = order_along(manifold, manifold.random_point(n, seeded()))
    assert sorted(order.tolist()) == list(range(n))


def test_points_that_coincide_are_ordered():
    assert order_along(Torus(), torch.zeros(5, 2)).tolist() == list(range(5))
    with pytest.raises(InvalidPoints, match="points to be ordered"):
        order_along(Torus(), torch.zeros(5, 3))


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 12), st.integers(1, 5))
def test_means_and_spread_are_those_of_every_block(gates, height, columns, granularity):
    matrix = torch.rand(gates * height, columns, generator=seeded())
    blocks = Blocks((gates * height, columns), granularity, gates)
    means = blocks.means(matrix)
    lines = slices(len(matrix), granularity, gates)
    assert means.shape == blocks.sizes.shape == (len(lines), math.ceil(columns / granularity))
    for i, rows in enumerate(lines):
        for j, across in enumerate(slices(columns, granularity)):
            block = matrix[rows, across]
            assert block.numel() == blocks.sizes[i, j]
            torch.testing.assert_close(block.mean(), means[i, j])
            assert (blocks.spread(means)[rows, across] == means[i, j]).all()


@pytest.mark.filterwarnings("ignore::moduli.models.LayerCollapse")  # a small read-out may be emptied
@given(
    st.sampled_from([(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)]),
    st.integers(9, 20),
    st.sampled_from([2, 3, 4, 8]),
    st.floats(0.5, 0.95),
    st.sampled_from(["recurrent", "global"]),
)
def test_whole_blocks_die_and_the_target_is_reached_to_within_one(kind, size, granularity, sparsity, scope):
    module, gates = kind
    assume(granularity**2 <= int(sparsity * gates * size**2))  # fewer weights than a block holds are refused
    model = Reader(module, size)
    sparsifier = Sparsifier(
        model,
        Diffusion(),
        Torus(),
        sparsity=sparsity,
        schedule=CubicSchedule(1, 5),
        scope=scope,
        granularity=granularity,
    )
    for _ in range(7):
        before = dict(sparsifier.masks)
        train(model, sparsifier, 1)
        for name, mask in sparsifier.masks.items():
            assert not (mask & ~before[name]).any()
            assert torch.equal(model.get_parameter(name) != 0, mask)
            assert consists_of_blocks(mask, granularity, gates if name.startswith("rnn") else 1)
    wanted = sum(sparsifier.pruner.wanted.values())
    zeros = sum(int((~mask).sum()) for mask in sparsifier.masks.values())
    assert wanted - granularity**2 < zeros <= wanted


def test_the_blocks_of_the_lowest_mean_score_die_whatever_their_size():
    scores = torch.tensor([[1.0, 3.0, 3.0], [1.0, 3.0, 3.0], [4.0, 4.0, 0.1]])
    masks = cut_blocks(
        {"w": torch.ones(3, 3, dtype=torch.bool)}, {"w": scores}, {"w": Blocks((3, 3), 2)}, count=5
    )
    # The means are 2, 3, 4 and 0.1, but the sums 8, 6, 8 and 0.1.
    assert masks["w"].tolist() == [[False, False, True], [False, False, True], [True, True, False]]


def test_drawn_points_are_ordered_and_given_ones_stay_as_they_are():
    def of_blocks(**options):
        return Sparsifier(nn.RNN(2, 64), Diffusion(), Torus(), sparsity=0.5, scope="recurrent", **options)

    drawn = of_blocks(granularity=8).embeddings["weight_hh_l0"]
    plain = of_blocks().embeddings["weight_hh_l0"]
    assert torch.equal(drawn, plain[order_along(Torus(), plain)])
    given_points = Torus().random_point(64, seeded(7))
    sparsifier = of_blocks(granularity=8, embedding=given_points)
    assert torch.equal(sparsifier.embeddings["weight_hh_l0"], given_points)


@given(st.integers(1, 30), st.integers(1, 30), st.floats(0, 0.99), st.integers(1, 6))
def test_masks_made_beforehand_consist_of_blocks(n, m, sparsity, granularity):
    targets, sources = Torus().random_point(n, seeded(0)), Torus().random_point(m, seeded(1))
    options = {"sparsity": sparsity, "granularity": granularity}
    geometric = geometric_mask(Diffusion(), Torus(), targets, sources, **options)
    for mask in (geometric, random_mask(n, m, **options)):
        assert consists_of_blocks(mask, granularity)
        wanted = round(sparsity * n * m)
        assert wanted - granularity**2 < int((~mask).sum()) <= wanted
    means = Blocks((n, m), granularity).means(Diffusion()(Torus(), targets, sources))
    alive = Blocks((n, m), granularity).means(geometric.float()) > 0
    assert not alive.any() or alive.all() or means[alive].max() <= means[~alive].min()


def test_errors():
    for granularity in (0, -1, 1.5, True, "8"):
        with pytest.raises(InvalidParameter, match="granularity must be a positive integer"):
            Blocks((4, 4), granularity)
    with pytest.raises(InvalidParameter, match="granularity must be a positive integer, got 0"):
        Sparsifier(Reader(), granularity=0)
    with pytest.raises(InvalidParameter, match=r"blocks of 36 weights, but only 32 of rnn\.weight_ih_l0"):
        Sparsifier(Reader(), granularity=32)
    with pytest.raises(InvalidParameter, match="regrowth exchanges single weights, but granularity=4"):
        Sparsifier(Reader(), granularity=4, regrowth=Regrowth(end=5))
    blocks = Sparsifier(Reader(), granularity=4, scope="recurrent")
    with pytest.raises(StateMismatch, match=r"granularity 1, this one's is 4"):
        blocks.load_state_dict(Sparsifier(Reader(), scope="recurrent").state_dict())


def of_blocks(shape, side, sparsity=0.8):
    weight = torch.randn(shape, generator=seeded())
    return weight * random_mask(*shape, sparsity=sparsity, granularity=side)


@pytest.mark.parametrize("side", BLOCK_SIDES)
def test_the_side_of_blocks_is_found(side):
    assert block_side(of_blocks((192, 128), side)) == side
    assert block_side(of_blocks((192, 128), 1)) == 1
    assert block_side(of_blocks((191, 128), side)) == 1


def test_blocks_may_hold_a_few_zeros():
    weight = of_blocks((128, 128), 16)
    weight[weight.nonzero(as_tuple=True)] *= torch.rand(int(weight.count_nonzero())) > 0.05
    assert block_side(weight) == 16
    torch.testing.assert_close(BlocksKernel(weight)(torch.eye(128)), weight)


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("side", [4, 16])
def test_products_of_blocks_give_the_same_outputs(kind, batch, side):
    module = kind(3, 64)
    module.weight_hh_l0.data.copy_(of_blocks(tuple(module.weight_hh_l0.shape), side))

    def make_kernel(name, weight):
        return BlocksKernel(weight) if name == "weight_hh_l0" else DenseKernel(weight)

    fast, x = SparseRecurrent(module, make_kernel).requires_grad_(False), torch.randn(5, batch, 3)
    assert fast.weight_hh_l0.values.shape[1:] == (side, side)
    torch.testing.assert_close(fast(x)[0], module(x)[0], rtol=0, atol=1e-5)
    torch.testing.assert_close(
        fast.double()(x.double())[0], module.double()(x.double())[0], rtol=0, atol=1e-12
    )
    exported = torch.export.export(fast, (x.double(),)).module()
    torch.testing.assert_close(exported(x.double())[0], module(x.double())[0], rtol=0, atol=1e-12)
    other = kind(3, 64).double()
    other.load_state_dict(dense_state(fast.state_dict()))
    assert all(torch.equal(a, b) for a, b in zip(other.parameters(), module.parameters(), strict=True))


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="PyTorch multiplies blocks by MKL.")
def test_blocks_join_the_race_where_a_weight_consists_of_them(monkeypatch):
    def last_wins(calls, device):
        return [[float(len(calls) - place)] for place in range(len(calls))]

    monkeypatch.setattr(choosing, "timings", last_wins)
    monkeypatch.setattr(compression, "timings", last_wins)
    assert type(choosing.fastest_kernel(of_blocks((64, 64), 8), 3)) is BlocksKernel
    assert type(choosing.fastest_kernel(of_blocks((64, 64), 1), 3)) is RowsKernel
    model = nn.RNN(2, 64)
    Sparsifier(model, sparsity=0.9, scope="recurrent", granularity=16).step()
    assert type(compression.compress(model).weight_hh_l0) is BlocksKernel
