"""Clause S12: what sparse modules refuse or take: states, scripts, masks, and a second `compress`."""

import copy

import pytest
import torch
from torch import nn

from moduli.errors import InvalidParameter
from moduli.models import (
    CannotCompress,
    CannotScript,
    NothingToPrune,
    Sparsifier,
    StateMismatch,
    compress,
    dense_state,
    random_mask,
    sparse_rnn,
    sparse_state,
    train_survivors,
)
from moduli.models.fast import choosing, compression
from moduli.models.fast.block_diagonal import BlockDiagonalKernel
from moduli.models.fast.kernel import Kernel
from moduli.models.fast.kernels import BlocksKernel, GatherKernel, RowsKernel
from moduli.models.fast.sparse_training import TrainableKernel
from tests.conftest import seeded
from tests.models.test_block_diagonal import with_both
from tests.models.test_fast_modules import flat
from tests.models.test_fast_modules import sparse_wins as sparse_wins


class Reader(nn.Module):
    """A recurrent module and a dense read-out."""

    def __init__(self, rnn):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(82, 3)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def single_weights():
    module = Reader(nn.GRU(2, 82))
    return train_survivors(module, {"rnn.weight_hh_l0": random_mask(246, 82, sparsity=0.9)})


def blocks():
    return train_survivors(nn.GRU(2, 82), {"weight_hh_l0": with_both().repeat(3, 1)})


def linear():
    return train_survivors(nn.Linear(82, 82), {"weight": with_both()})


def cell():
    return train_survivors(nn.LSTMCell(2, 82), {"weight_hh": with_both().repeat(4, 1)})


def tied():
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    return train_survivors(module, {"0.weight": random_mask(4, 4, sparsity=0.5)})


def tiled():
    return Reader(sparse_rnn("lstm", 2, 82, num_layers=2, bidirectional=False, sparsity=0.75))


def bridged():
    return sparse_rnn("gru", 2, 82, sparsity=0.75, bridges=0.2)


def squares():
    module = nn.RNN(2, 64)
    mask = torch.kron(random_mask(8, 8, sparsity=0.8), torch.ones(8, 8)) > 0
    Sparsifier(module, masks={"weight_hh_l0": mask})
    return compress(module)


SPARSE = [single_weights, blocks, linear, cell, tied, tiled, bridged]


def input_of(model):
    width = {nn.Sequential: 4}.get(type(model)) or getattr(model, "in_features", 2)
    return torch.randn(3, width, generator=seeded())


def values_of(model):
    return flat(model(input_of(model)))


@pytest.fixture
def last_wins(sparse_wins):
    """Let the last kernel win its race."""


@pytest.mark.parametrize("make", [*SPARSE, squares])
def test_s12_a_dense_state_comes_back(make, sparse_wins):
    torch.manual_seed(0)
    model = make()
    if make is squares:
        assert type(model.weight_hh_l0) is BlocksKernel
    other = copy.deepcopy(model)
    dense = dense_state(model.state_dict())
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(sparse_state(dense, other))
    for found, expected in zip(values_of(other), values_of(model), strict=True):
        assert torch.equal(found, expected)
    back = dense_state(other.state_dict())
    assert all(torch.equal(back[name], tensor) for name, tensor in dense.items())


@pytest.mark.parametrize("make", [*SPARSE, squares])
def test_s12_a_sparse_tensor_holds_what_the_dense_matrix_does(make, sparse_wins):
    torch.manual_seed(0)
    for kernel in (module for module in make().modules() if isinstance(module, Kernel)):
        found = kernel.to_sparse()
        assert found.is_sparse
        assert torch.equal(found.to_dense(), kernel.to_dense())
        if not isinstance(kernel, BlocksKernel):  # which stores the zeros of its blocks
            assert found.values().numel() == kernel.to_dense().count_nonzero()


@pytest.mark.parametrize("make", SPARSE)
@pytest.mark.parametrize("strict", [True, False])
def test_s12_a_dense_state_is_refused_by_name(make, strict):
    torch.manual_seed(0)
    model = make()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(StateMismatch, match=r"weight\S* as a dense matrix.*sparse_state\(state, model\)"):
        model.load_state_dict(dense_state(model.state_dict()), strict=strict)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("there", "here"),
    [(single_weights, lambda: Reader(sparse_rnn("gru", 2, 82))), (blocks, bridged), (bridged, blocks)],
)
def test_s12_a_state_of_another_mask_or_kernel_is_refused_by_name(there, here):
    with pytest.raises(StateMismatch, match=r"weight_hh_l0 by another mask, or for another kernel.* there, "):
        here().load_state_dict(there().state_dict())


def test_s12_a_state_of_other_tiles_is_refused():
    one, other = (sparse_rnn("gru", 2, 80, sparsity=0.75, seed=seed) for seed in (0, 1))
    with pytest.raises(
        StateMismatch, match=r"connects other neurons.* same manifold, sparsity, bridges, seed"
    ):
        one.load_state_dict(other.state_dict())
    with pytest.raises(StateMismatch, match="weights of weight_hh_l0 are not zero where the model has none"):
        sparse_state(dense_state(other.state_dict()), one)
    assert one.load_state_dict(sparse_rnn("gru", 2, 80, sparsity=0.75).state_dict())
    assert one.to("meta").load_state_dict(other.state_dict(), assign=True)


def test_s12_weights_that_a_sparse_model_lacks_are_not_dropped():
    model = blocks()
    dense = dense_state(model.state_dict())
    in_blocks = torch.zeros(247, 83, dtype=torch.bool)  # there, a value is stored for a dead weight as well
    for targets, sources in model.weight_hh_l0.ends():
        in_blocks[targets.unsqueeze(2), sources.unsqueeze(1)] = True
    dead, in_blocks = dense["weight_hh_l0"] == 0, in_blocks[:-1, :-1]
    within, beyond = dead & in_blocks, dead & ~in_blocks
    for place in (within.nonzero()[0], within.nonzero()[-1], beyond.nonzero()[0], beyond.nonzero()[-1]):
        planted = dense["weight_hh_l0"].clone()
        planted[tuple(place)] = float("nan")
        with pytest.raises(StateMismatch, match="1 weights of weight_hh_l0 are not zero"):
            sparse_state(dense | {"weight_hh_l0": planted}, model)
    with pytest.raises(
        StateMismatch, match=r"'weight_hh_l1', which the model lacks; did you mean 'weight_hh_l0'"
    ):
        sparse_state(dense | {"weight_hh_l1": planted}, model)
    with pytest.raises(StateMismatch, match="The state lacks bias_hh_l0, which the model has"):
        sparse_state({name: tensor for name, tensor in dense.items() if name != "bias_hh_l0"}, model)
    with pytest.raises(StateMismatch, match=r"has shape \(82, 82\) in the state, \(246, 82\) in the model"):
        sparse_state(dense | {"weight_hh_l0": torch.zeros(82, 82)}, model)
    with pytest.raises(StateMismatch, match="must be a tensor, got int"):
        sparse_state(dense | {"weight_hh_l0": 3}, model)
    for call in (dense_state, lambda state: sparse_state(state, model)):
        with pytest.raises(InvalidParameter, match="state must be a mapping"):
            call(model)


def test_s12_a_state_that_describes_no_matrix_is_refused():
    for make, name in ((blocks, "weight_hh_l0"), (single_weights, "rnn.weight_hh_l0")):
        state = make().state_dict()
        for key in list(state):
            known_without = (".dead", ".heights", ".row_offsets", ".rest.size")
            if key.startswith(f"{name}.") and (".rest.row" in key or not key.endswith(known_without)):
                broken = {other: tensor for other, tensor in state.items() if other != key}
                with pytest.raises(StateMismatch, match=f"The state lacks {key}, without which"):
                    dense_state(broken)
        with pytest.raises(StateMismatch, match=f"The tensors of {name} do not describe a matrix"):
            dense_state({**state, f"{name}.values": torch.zeros(3)})


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # Dynamo does so
@pytest.mark.parametrize("make", SPARSE)
def test_s12_scripting_is_refused_with_what_works_instead(make):
    model = make()
    with pytest.raises(
        CannotScript, match=r"torch\.jit\.script; use torch\.export\.export or torch\.compile"
    ):
        torch.jit.script(nn.Sequential(model))
    x = input_of(model)
    exported = torch.export.export(model, (x,)).module()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for call in (exported, compiled):
        for found, expected in zip(flat(call(x)), flat(model(x)), strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("winner", [GatherKernel, RowsKernel])
@pytest.mark.parametrize("make", SPARSE)
def test_s12_compress_takes_what_is_sparse_already(make, winner, monkeypatch):
    torch.manual_seed(0)
    place = [GatherKernel, RowsKernel].index(winner)
    monkeypatch.setattr(
        choosing, "timings", lambda calls, device: [[float(k != place)] for k in range(len(calls))]
    )
    monkeypatch.setattr(compression, "timings", lambda calls, device: [[1.0], [2.0]])
    model = make().train()
    before = copy.deepcopy(model.state_dict())
    fast = compress(model)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not fast.training
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    assert not any(isinstance(module, TrainableKernel) for module in fast.modules())
    found = {type(module) for module in fast.modules()} & {GatherKernel, RowsKernel}
    assert found == (set() if make is tiled else {winner})
    model.eval()
    twice = compress(fast)
    assert [type(module) for module in twice.modules()] == [type(module) for module in fast.modules()]
    for each in (fast, twice):
        for ours, theirs in zip(values_of(each), values_of(model), strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-5)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    dense = dense_state(fast.state_dict())
    assert all(torch.equal(dense[name], tensor) for name, tensor in dense_state(before).items())


def test_s12_compress_keeps_what_a_tiled_module_answers():
    model = bridged()
    fast = compress(model)
    assert torch.equal(fast.mask.to_dense(), model.mask.to_dense())
    assert torch.equal(fast.embedding, model.embedding)
    assert fast.sparsity == model.sparsity
    assert type(fast.weight_hh_l0) is BlockDiagonalKernel
    tie = compress(tied())
    assert tie[0].weight is tie[1].weight


def test_s12_a_module_that_is_sparse_is_not_made_sparse_again():
    for make, name in ((blocks, "weight_hh_l0"), (tiled, "rnn.weight_hh_l1"), (cell, "weight_hh")):
        model = make()
        mask = torch.ones(*model.get_submodule(name).shape)
        with pytest.raises(CannotCompress, match=f"{name} is a weight of .*, which is sparse already"):
            train_survivors(model, {name: mask})
        same = train_survivors(model, {})
        for found, expected in zip(values_of(same), values_of(model), strict=True):
            assert torch.equal(found, expected)
    with pytest.raises(NothingToPrune, match="sparse already stay so in training"):
        Sparsifier(bridged(), sparsity=0.9)
    half = train_survivors(tiled(), {"out.weight": random_mask(3, 82, sparsity=0.5)})
    assert type(half.out.weight) is TrainableKernel


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64, torch.uint8])
def test_s12_masks_of_zeros_and_ones_are_booleans(dtype):
    module, mask = nn.Linear(6, 4), random_mask(4, 6, sparsity=0.5)
    expected = train_survivors(module, {"weight": mask}).weight
    found = train_survivors(module, {"weight": mask.to(dtype)}).weight
    assert torch.equal(found.to_dense(), expected.to_dense())
    assert torch.equal(found.columns, expected.columns)
    Sparsifier(module, masks={"weight": mask.to(dtype)})
    assert torch.equal(module.weight != 0, mask)


@pytest.mark.parametrize("value", [0.5, -1.0, 2.0, float("nan"), float("inf"), 1 + 1e-6])
def test_s12_masks_of_other_numbers_are_refused(value):
    mask = torch.ones(4, 6)
    mask[2, 3] = value
    for call in (
        lambda: train_survivors(nn.Linear(6, 4), {"weight": mask}),
        lambda: Sparsifier(nn.Linear(6, 4), masks={"weight": mask}),
    ):
        with pytest.raises(
            InvalidParameter, match=r"mask of weight must be booleans, or numbers that are 0 or 1"
        ):
            call()


def test_s12_a_model_without_numbers_is_refused():
    for call in (compress, lambda model: train_survivors(model, {"weight": torch.ones(4, 6)})):
        with pytest.raises(CannotCompress, match="Linear is on the meta device, which holds no numbers"):
            call(nn.Linear(6, 4, device="meta"))
    with pytest.raises(CannotCompress, match="TiledRecurrent is on the meta device"):
        compress(sparse_rnn("gru", 2, 64, device="meta"))
    with pytest.raises(InvalidParameter, match="which the meta device lacks"):
        train_survivors(nn.Linear(6, 4), {"weight": torch.ones(4, 6, device="meta")})


def test_s12_a_state_that_is_sparse_already_is_said_to_be():
    rnn = sparse_rnn("gru", 3, 64)
    with pytest.raises(StateMismatch, match="as a sparse model's does: load it as it is"):
        sparse_state(rnn.state_dict(), rnn)


class Named(nn.Module):
    """Parameters that are called as parts of a kernel are."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("dense", "heights", "row_offsets", "values"):
            self.register_parameter(name, nn.Parameter(torch.ones(2)))


def test_s12_parameters_that_are_called_as_parts_of_a_kernel_stay_what_they_are():
    model = nn.ModuleDict({"rnn": nn.GRU(3, 64), "head": Named()})
    sparsifier = Sparsifier(model, scope="recurrent")
    sparsifier.step()
    for sparse in (train_survivors(model, sparsifier.masks), compress(model)):
        assert model.load_state_dict(dense_state(sparse.state_dict()))


def test_s12_what_somebody_gave_a_module_stays_with_its_replacement():
    model = nn.Sequential(nn.Linear(64, 64))
    model[0].register_buffer("scale", torch.tensor(2.0))
    model[0].register_buffer("passing", torch.tensor(3.0), persistent=False)
    model[0].gain = 3
    mask = torch.rand(64, 64, generator=seeded(0)) < 0.1
    sparse = train_survivors(model, {"0.weight": mask})
    assert (sparse[0].scale, sparse[0].passing, sparse[0].gain) == (2, 3, 3)
    assert model.load_state_dict(dense_state(sparse.state_dict()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.register_full_backward_pre_hook(lambda *_: None), "has hooks"),
        (lambda m: m.register_state_dict_pre_hook(lambda *_: None), "has hooks"),
        (lambda m: m.add_module("own", nn.Linear(2, 2)), "holds own, which its replacement would lose"),
        (lambda m: setattr(m, "forward", lambda x: x), "has a forward of its own"),
    ],
)
def test_s12_what_a_replacement_would_lose_is_refused(change, message):
    model = nn.Sequential(nn.Linear(64, 64))
    change(model[0])
    with pytest.raises(CannotCompress, match=message):
        train_survivors(model, {"0.weight": torch.ones(64, 64, dtype=torch.bool)})
