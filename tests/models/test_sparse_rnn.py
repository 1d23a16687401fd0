"""Recurrent modules that are block-sparse from birth."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from moduli.errors import InvalidParameter
from moduli.manifolds import Circle, InvalidPoints, Torus
from moduli.models import InvalidEmbedding, InvalidSparsity, compress, dense_state, sparse_rnn, tile_mask
from moduli.models.masks.bridges import nearest_across
from moduli.models.masks.tiles import tiles_of
from tests.conftest import seeded
from tests.models.test_block_diagonal import assert_equal

KINDS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def as_dense(sparse, **options):
    """Return PyTorch's module with the same weights."""
    kind = nn.RNN if sparse.mode.startswith("RNN") else KINDS[sparse.mode.lower()]
    dense = kind(sparse.input_size, sparse.hidden_size, sparse.num_layers, **options).double()
    dense.load_state_dict(dense_state(sparse.state_dict()))
    return dense


def flat(value):
    return [value] if isinstance(value, torch.Tensor) else [part for item in value for part in flat(item)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bias": False},
        {"batch_first": True, "bidirectional": True, "num_layers": 2},
        {"num_layers": 3, "dropout": 0.5},
        {"bridges": 0.3},
        {"bridges": 0.1, "batch_first": True, "bidirectional": True, "num_layers": 2},
    ],
)
def test_it_is_the_module_of_pytorch_with_tiles(kind, options):
    torch.manual_seed(0)
    sparse = sparse_rnn(kind, 3, 82, sparsity=0.75, dtype=torch.float64, **options).eval()
    dense = as_dense(
        sparse, **{name: value for name, value in options.items() if name not in ("num_layers", "bridges")}
    ).eval()
    assert type(dense) is KINDS[kind]
    for name in dense.__constants__:
        assert getattr(sparse, name) == getattr(dense, name)
    mask = sparse.mask.to_dense()
    gates = len(dense.weight_hh_l0) // 82
    for name, weight in dense.named_parameters():
        if weight.dim() == 2 and not name.startswith("weight_ih_l0"):
            repeats = (gates, weight.shape[1] // 82)
            assert torch.equal(weight != 0, mask.repeat(repeats))
    masks = {
        name: weight != 0
        for name, weight in dense.named_parameters()
        if weight.dim() == 2 and not name.startswith("weight_ih_l0")
    }
    x = torch.randn(4, 5, 3, dtype=torch.float64, generator=seeded(), requires_grad=True)
    assert_equal(sparse, dense, masks, x)
    layers = sparse.num_layers * (2 if sparse.bidirectional else 1)
    state = torch.randn(layers, 4 if sparse.batch_first else 5, 82, dtype=torch.float64, generator=seeded(1))
    assert_equal(sparse, dense, masks, x, (state, state.sin()) if kind == "lstm" else state)
    packed = pack_sequence([torch.randn(length, 3, dtype=torch.float64) for length in (4, 2)])
    for found, expected in zip(flat(sparse(packed)[1]), flat(dense(packed)[1]), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)
    assert_equal(copy.deepcopy(sparse), dense, masks, x)


def test_its_mask_is_that_of_tiles():
    sparse = sparse_rnn("rnn", 2, 200, manifold="circle", sparsity=0.9, seed=3)
    assert torch.equal(sparse.embedding, Circle().random_point(200, seeded(3)))
    assert torch.equal(sparse.mask.to_dense(), tile_mask(Circle(), sparse.embedding, sparsity=0.9))
    assert sparse.mask.is_sparse
    assert sparse.sparsity == pytest.approx(0.9)
    assert torch.equal(sparse.tile.bincount(), torch.full((10,), 20))
    assert "sparsity=0.9, manifold=Circle" in repr(sparse)
    given = sparse_rnn("rnn", 2, 200, manifold="circle", embedding=sparse.embedding)
    assert torch.equal(given.tile, sparse.tile)


@pytest.mark.parametrize("manifold", ["torus", "sphere", "klein"])
@pytest.mark.parametrize(("n", "sparsity", "bridges"), [(200, 0.9, 0.1), (301, 0.95, 0.5), (82, 0.75, 0.3)])
def test_its_bridges_are_those_of_tiles(manifold, n, sparsity, bridges):
    sparse = sparse_rnn("gru", 2, n, manifold=manifold, sparsity=sparsity, bridges=bridges)
    expected = tile_mask(manifold, sparse.embedding, sparsity=sparsity, bridges=bridges)
    assert torch.equal(sparse.mask.to_dense(), expected)
    assert sparse.sparsity == pytest.approx(1 - float(expected.float().mean()))
    apart = sparse.tile[:, None] != sparse.tile
    share = float(expected[apart].sum() / expected.sum())
    assert share == pytest.approx(bridges, abs=0.05)
    assert sparse.weight_hh_l0.rest.values.numel() == 3 * int(expected[apart].sum())


def test_of_equally_long_bridges_the_seed_chooses():
    grid = torch.cartesian_prod(torch.arange(10.0), torch.arange(10.0))
    options = {"manifold": "torus", "sparsity": 0.9, "bridges": 0.15, "embedding": grid}
    one, same, other = (sparse_rnn("rnn", 2, 100, seed=seed, **options).mask for seed in (1, 1, 2))
    assert torch.equal(one.to_dense(), same.to_dense())
    assert not torch.equal(one.to_dense(), other.to_dense())
    assert one.values().numel() == other.values().numel()


@pytest.mark.parametrize("far", [False, True])
def test_no_pair_that_is_left_out_is_nearer_than_a_bridge(far):
    manifold = Torus()
    points = manifold.random_point(120, seeded())
    tile = torch.randint(12, (120,), generator=seeded()) if far else tiles_of(manifold, points, 12)
    pairs = nearest_across(manifold, points, tile, 70, seed=0)
    distance = manifold.pairwise(points)
    apart = (tile[:, None] != tile).triu()
    expected = distance[apart].sort().values[:70]
    torch.testing.assert_close(distance[tuple(pairs)].sort().values, expected)
    assert len(pairs.sort(dim=0).values.unique(dim=1).T) == 70
    everything = nearest_across(manifold, points, tile, 10**6, seed=0)
    assert everything.shape[1] == apart.sum()
    assert nearest_across(manifold, points, tile, 0, seed=0).shape == (2, 0)


@pytest.mark.parametrize("bridges", [0.0, 0.5])
def test_weights_are_drawn_with_the_variance_of_a_dense_module(bridges):
    torch.manual_seed(0)
    sparse, dense = sparse_rnn("gru", 5, 400, sparsity=0.9, bridges=bridges), nn.GRU(5, 400)
    states = torch.rand(400, 50, generator=seeded())
    torch.testing.assert_close(
        sparse.weight_hh_l0(states).std(), (dense.weight_hh_l0 @ states).std(), rtol=0.05, atol=0
    )
    weight, inputs = sparse.weight_hh_l0.to_dense(), sparse.mask.to_dense().sum(dim=1).repeat(3)
    largest = weight.abs() * inputs.sqrt()[:, None]  # each row has a scale of its own, by its inputs
    assert largest.max() <= 1 + 1e-5
    assert largest.amax(dim=1).mean() > 0.9
    assert sparse.bias_hh_l0.abs().max() <= 1 / 20
    torch.testing.assert_close(sparse.weight_ih_l0.dense.std(), dense.weight_ih_l0.std(), rtol=0.05, atol=0)
    before = sparse.weight_hh_l0.to_dense().detach()
    torch.manual_seed(1)
    sparse.reset_parameters()
    after = sparse.weight_hh_l0.to_dense()
    assert torch.equal(before != 0, after != 0)
    assert not torch.equal(before, after)
    uneven = sparse_rnn("rnn", 2, 82, sparsity=0.75)
    assert (
        len(uneven.weight_hh_l0.values)
        > uneven.mask.values().numel()
        == uneven.weight_hh_l0.values.count_nonzero()
    )


def test_the_seed_places_neurons_and_the_global_one_draws_weights():
    torch.manual_seed(0)
    one = sparse_rnn("rnn", 2, 64, seed=1)
    torch.manual_seed(0)
    other = sparse_rnn("rnn", 2, 64, seed=1)
    assert torch.equal(one.weight_hh_l0.values, other.weight_hh_l0.values)
    assert not torch.equal(one.tile, sparse_rnn("rnn", 2, 64, seed=2).tile)


class Largest(TorchDispatchMode):
    """Hold the size of the largest tensor in memory."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            stored = isinstance(tensor, torch.Tensor) and not tensor.is_meta
            if stored and tensor.layout == torch.strided:  # others count their zeros
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize(("kind", "bridges"), [("rnn", 0.0), ("rnn", 0.1), ("gru", 0.1), ("lstm", 0.0)])
def test_nothing_as_large_as_the_dense_matrix_is_made(kind, bridges):
    n, planted = 1000, lambda sparse: sparse.weight_hh_l0.to_dense()
    for fault in (None, planted):
        with Largest() as largest:
            sparse = sparse_rnn(kind, 2, n, num_layers=2, sparsity=0.98, bridges=bridges)
            optimizer = torch.optim.Adam(sparse.parameters())
            sparse(torch.randn(3, 4, 2))[0].sum().backward()
            optimizer.step()
            state = sparse.state_dict()
            sparse.load_state_dict(state)
            assert sparse.mask.values().numel() == 20 * n
            assert sparse.weight_hh_l0.to_sparse().is_sparse
            compress(sparse)
            copy.deepcopy(sparse)
            if fault is not None:
                fault(sparse)
        assert (largest.elements >= n * n) == (fault is not None)
    assert sum(tensor.numel() for tensor in state.values()) < n * n / 2


def test_a_large_one_is_made_and_trained_in_little_memory():
    """16,384 neurons, whose dense matrix alone would take 1 GiB, in a process of their own."""
    program = """
import resource, torch
from moduli.models import sparse_rnn
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
before = peak()
rnn = sparse_rnn("rnn", 2, 16384, sparsity=0.998, bridges=0.1)
optimizer = torch.optim.Adam(rnn.parameters())
rnn(torch.randn(4, 8, 2))[0].square().mean().backward()
optimizer.step()
print(peak() - before)
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(process.stdout) < 0.25


@pytest.mark.parametrize("kind", KINDS)
def test_no_sequence_and_no_values_give_what_pytorch_gives(kind):
    sparse = sparse_rnn(kind, 3, 37, sparsity=0.8)
    output, state = sparse(torch.zeros(5, 0, 3))
    assert output.shape == (5, 0, 37)
    assert flat(state)[0].shape == (1, 0, 37)
    for empty in (sparse_rnn(kind, 3, 37, sparsity=0.8, device="meta"), sparse.to("meta")):
        assert "sparsity=0.7991" in repr(empty)
        assert empty(torch.zeros(5, 2, 3, device="meta"))[0].shape == (5, 2, 37)


def test_bad_arguments_are_refused():
    for kind, named in (
        ("grru", "did you mean 'gru'"),
        (nn.GRU, "Unknown kind"),
        ("cnn", "did you mean 'rnn'"),
    ):
        with pytest.raises(InvalidParameter, match=named):
            sparse_rnn(kind, 2, 64)
    for sizes in ((0, 64), (2, 0), (2, 64, 0), (2, 6.4), ("2", 64)):
        with pytest.raises(InvalidParameter, match="must be a positive integer"):
            sparse_rnn("gru", *sizes)
    with pytest.raises(InvalidSparsity, match="which takes a sparsity of a third or more"):
        sparse_rnn("gru", 2, 64, sparsity=0.2)
    with pytest.raises(InvalidSparsity, match=r"64 tiles at most, so that sparsity is at most 0\.984375"):
        sparse_rnn("gru", 2, 64, sparsity=0.99)
    with pytest.raises(InvalidParameter, match=r"bridges is a share of the weights, in \[0, 1\); got 1"):
        sparse_rnn("gru", 2, 64, bridges=1)
    with pytest.raises(InvalidParameter, match="takes 100 tiles, but there are 64 neurons"):
        sparse_rnn("gru", 2, 64, sparsity=0.9, bridges=0.9)
    for sparsity in (1.0, -0.1, float("nan"), "0.9", True):
        with pytest.raises(InvalidSparsity, match=r"in \[0, 1\)"):
            sparse_rnn("gru", 2, 64, sparsity=sparsity)
    with pytest.raises(InvalidEmbedding, match="64 neurons need as many points, got 63"):
        sparse_rnn("gru", 2, 64, embedding=Torus().random_point(63))
    with pytest.raises(InvalidPoints, match="The embedding"):
        sparse_rnn("gru", 2, 64, embedding=torch.zeros(64, 5))
    with pytest.raises(InvalidParameter, match="dropout"):
        sparse_rnn("gru", 2, 64, dropout=2.0)
    with pytest.raises(InvalidParameter, match="nonlinearity"):
        sparse_rnn("rnn", 2, 64, nonlinearity="selu")
    with pytest.raises(InvalidParameter, match="seed must be"):
        sparse_rnn("rnn", 2, 64, seed=0.5)
    with pytest.raises(InvalidParameter, match="device string: quantum"):
        sparse_rnn("rnn", 2, 64, device="quantum")
    for wrong in (torch.int32, "float32", float):
        with pytest.raises(InvalidParameter, match="floating-point, got"):
            sparse_rnn("rnn", 2, 64, dtype=wrong)
    with pytest.raises(InvalidParameter, match="Unknown nonlinearity 'relu'; available: tanh"):
        sparse_rnn("gru", 2, 64, nonlinearity="relu")
    for flag in ("bias", "batch_first", "bidirectional"):
        with pytest.raises(InvalidParameter, match=f"{flag} must be True or False, got 2"):
            sparse_rnn("gru", 2, 64, **{flag: 2})
