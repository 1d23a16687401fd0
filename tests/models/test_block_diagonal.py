"""Masks of dense communities: batched dense products equal the masked dense network."""

import copy

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from moduli.manifolds import Torus
from moduli.models import (
    clique_mask,
    compress,
    dense_state,
    geometric_mask,
    random_mask,
    tile_mask,
    train_survivors,
)
from moduli.models.fast import block_diagonal, choosing, compression
from moduli.models.fast.block_diagonal import BlockDiagonalKernel
from moduli.models.fast.communities import communities_of
from moduli.models.fast.sparse_training import TrainableKernel
from moduli.regularizers import Diffusion
from tests.conftest import seeded

KINDS = [nn.RNN, nn.GRU, nn.LSTM]
CELLS = [nn.RNNCell, nn.GRUCell, nn.LSTMCell]


def blocks_of(*sizes):
    """Return the mask of blocks of given sizes, its neurons in random order."""
    mask = torch.block_diag(*(torch.ones(size, size) for size in sizes)).bool()
    order = torch.randperm(len(mask), generator=seeded())
    return mask[order][:, order]


def exact():
    return blocks_of(20, 20, 20)


def nearly_equal():
    return blocks_of(21, 20, 21, 20)


def unequal():
    return blocks_of(40, 17, 16, 1, 1)


def with_strays():
    mask = nearly_equal()
    mask[torch.randint(82, (40,), generator=seeded(1)), torch.randint(82, (40,), generator=seeded(2))] = True
    return mask


def with_zeros():
    mask = nearly_equal()
    return mask & (torch.rand(mask.shape, generator=seeded(1)) < 0.8)


def with_both():
    return with_strays() & (with_zeros() | ~nearly_equal())


def with_a_silent_neuron():
    mask = blocks_of(20, 20, 21)
    mask[7] = mask[:, 7] = False
    return mask


MASKS = [exact, nearly_equal, unequal, with_strays, with_zeros, with_both, with_a_silent_neuron]


def flat(value):
    return [value] if isinstance(value, torch.Tensor) else [part for item in value for part in flat(item)]


def name_of(kind):
    return "weight" if kind is nn.Linear else "weight_hh" if kind in CELLS else "weight_hh_l0"


def masked(kind, mask, **options):
    """Return a module cut by a mask in every gate, that mask by name, and the module of its survivors."""
    torch.manual_seed(0)
    module = kind(len(mask) if kind is nn.Linear else 3, len(mask), **options).double()
    name = name_of(kind)
    masks = {name: mask.repeat(len(module.get_parameter(name)) // len(mask), 1)}
    with torch.no_grad():
        module.get_parameter(name).mul_(masks[name])
    return module, masks, train_survivors(module, masks)


def inputs(kind, n, batch=4):
    shape = (batch, n) if kind is nn.Linear else (batch, 3) if kind in CELLS else (5, batch, 3)
    return torch.randn(shape, dtype=torch.float64, generator=seeded(3), requires_grad=True)


def dense_gradient(kernel):
    """Return a kernel's gradient as a dense matrix."""
    state = {f"weight.{name}": tensor for name, tensor in kernel.state_dict().items()}
    state |= {f"weight.{name}": parameter.grad for name, parameter in kernel.named_parameters()}
    return dense_state(state)["weight"]


def assert_equal(sparse, dense, masks, *arguments, tolerance=1e-11):
    """Hold that outputs and all gradients of both are equal."""
    for found, expected in zip(flat(sparse(*arguments)), flat(dense(*arguments)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    leaves = [leaf for leaf in flat(arguments) if leaf.requires_grad]
    gradients = []
    for each in (sparse, dense):
        each.zero_grad()
        loss = sum((part * part.cos()).sum() for part in flat(each(*arguments)))
        gradients.append(torch.autograd.grad(loss, leaves, retain_graph=True))
        loss.backward()
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    for name, parameter in dense.named_parameters():
        if name in masks:
            found = dense_gradient(sparse.get_submodule(name))
            torch.testing.assert_close(found, parameter.grad * masks[name], rtol=0, atol=tolerance)
        else:
            known = dict(sparse.named_parameters())
            found = known.get(name, known.get(f"{name}.dense")).grad
            torch.testing.assert_close(found, parameter.grad, rtol=0, atol=tolerance)


@pytest.mark.parametrize("make", MASKS)
@pytest.mark.parametrize("kind", [*KINDS, *CELLS, nn.Linear])
def test_outputs_and_gradients_equal_those_of_the_masked_dense_module(kind, make):
    mask = make()
    module, masks, sparse = masked(kind, mask)
    kernel = sparse.get_submodule(name_of(kind))
    assert type(kernel) is BlockDiagonalKernel
    assert (kernel.rest is None) == (make not in (with_strays, with_both))
    assert (len(kernel.dead) > 4) == (make in (with_zeros, with_both))
    assert_equal(sparse, module, masks, inputs(kind, len(mask)))
    expected = module.get_parameter(name_of(kind)).detach()
    assert torch.equal(kernel.to_dense().detach(), expected)
    assert torch.equal(dense_state(sparse.state_dict())[name_of(kind)], expected)
    assert module.load_state_dict(dense_state(sparse.state_dict()))
    copied = copy.deepcopy(sparse)
    assert_equal(copied, module, masks, inputs(kind, len(mask)))


@pytest.mark.parametrize("kind", KINDS)
def test_layers_directions_states_and_packed_sequences_are_numbered_alike(kind):
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True}
    module, masks, sparse = masked(kind, with_both(), **options)
    n = module.hidden_size
    state = torch.randn(4, 3, n, dtype=torch.float64, generator=seeded(4), requires_grad=True)
    state = (state, state.detach().sin().requires_grad_()) if kind is nn.LSTM else state
    x = torch.randn(3, 5, 3, dtype=torch.float64, generator=seeded(5), requires_grad=True)
    assert_equal(sparse, module, masks, x, state)
    steps = [torch.randn(length, 3, dtype=torch.float64) for length in (2, 5, 1)]
    packed = pack_sequence(steps, enforce_sorted=False)
    for found, expected in zip(sparse(packed, state), module(packed, state), strict=True):
        for one, other in zip(flat(tuple(found)), flat(tuple(expected)), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-11)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_projected_states_are_not_renumbered():
    module = nn.LSTM(3, 64, proj_size=32).double()
    both = torch.block_diag(torch.ones(16, 16), torch.ones(16, 16)).bool().repeat(8, 1)
    for mask in (both, both[torch.randperm(256, generator=seeded())]):
        with torch.no_grad():
            module.weight_hh_l0.normal_(generator=seeded()).mul_(mask)
        sparse = train_survivors(module, {"weight_hh_l0": mask})
        assert type(sparse.weight_hh_l0) is BlockDiagonalKernel
        assert_equal(sparse, module, {"weight_hh_l0": mask}, inputs(nn.LSTM, 64))


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.Linear])
def test_blocks_between_different_neurons_are_found_too(kind):
    """Here each community sends to the next one, so that no numbering serves both ends."""
    mask = torch.block_diag(*[torch.ones(16, 16)] * 4).bool().roll(16, 1)
    module, masks, sparse = masked(kind, mask)
    kernel = sparse.get_submodule(name_of(kind))
    assert type(kernel) is BlockDiagonalKernel
    assert kernel.numbering is None
    assert_equal(sparse, module, masks, inputs(kind, 64))


def test_rectangular_weights_are_blocks_of_any_shape():
    mask = torch.block_diag(torch.ones(30, 20), torch.ones(5, 40), torch.ones(30, 18))
    mask = mask[torch.randperm(65, generator=seeded())][:, torch.randperm(78, generator=seeded(1))].bool()
    mask[0, 0] = mask[3, 7] = mask[60, 70] = True
    module = nn.Linear(78, 65).double()
    with torch.no_grad():
        module.weight.mul_(mask)
    sparse = train_survivors(module, {"weight": mask})
    assert type(sparse.weight) is BlockDiagonalKernel
    assert_equal(sparse, module, {"weight": mask}, inputs(nn.Linear, 78))


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("kind", KINDS)
def test_after_a_hundred_steps_the_weights_are_those_of_the_masked_dense_module(kind, optimizer):
    module, masks, sparse = masked(kind, with_both())
    options = {"lr": 0.5, "momentum": 0.9} if optimizer is torch.optim.SGD else {"lr": 0.002}
    both = [(each, optimizer(each.parameters(), **options)) for each in (sparse, module)]
    kernel, before = sparse.weight_hh_l0, module.weight_hh_l0.detach().clone()
    generator = seeded(6)
    for _ in range(100):
        x = torch.randn(3, 2, 3, dtype=torch.float64, generator=generator)
        for each, its_optimizer in both:
            its_optimizer.zero_grad()
            (each(x)[0] - 1).square().mean().backward()
            its_optimizer.step()
        with torch.no_grad():
            module.weight_hh_l0.mul_(masks["weight_hh_l0"])
    assert (module.weight_hh_l0 - before).abs().max() > 0.01
    for name, tensor in dense_state(sparse.state_dict()).items():
        torch.testing.assert_close(tensor, module.state_dict()[name], rtol=0, atol=1e-9)
    assert not kernel.values[kernel.dead].any()
    assert not (kernel.to_dense() != 0)[~masks["weight_hh_l0"]].any()


def test_what_fills_blocks_up_is_never_trained():
    _, masks, sparse = masked(nn.GRU, nearly_equal())
    kernel = sparse.weight_hh_l0
    living = int(masks["weight_hh_l0"].sum())
    assert len(kernel.values) > living
    sparse(inputs(nn.GRU, 82))[0].sum().backward()
    assert int((kernel.values.grad != 0).sum()) == living


class Calls(TorchDispatchMode):
    """Count the calls of one operator, and the largest result."""

    def __init__(self, name):
        super().__init__()
        self.name, self.count, self.elements = name, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.count += function.__name__.startswith(self.name)
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return result


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_renumbers_nothing_but_its_output(kind):
    counts = []
    _, _, sparse = masked(kind, nearly_equal())
    for steps in (3, 10):
        with Calls("index_select") as calls, torch.no_grad():
            sparse(torch.zeros(steps, 2, 3, dtype=torch.float64))
        counts.append(calls.count)
    assert counts[1] - counts[0] == 7


def test_a_training_step_makes_no_tensor_as_large_as_the_weight():
    n = 160
    module, _, sparse = masked(nn.RNN, blocks_of(*[16] * 10))
    for each, touches_all in ((sparse, False), (module, True)):
        optimizer = torch.optim.Adam(each.parameters())
        with Calls("") as calls:
            each(inputs(nn.RNN, n))[0].sum().backward()
            optimizer.step()
        assert (calls.elements >= n * n) == touches_all


def test_communities_are_found_and_only_where_there_are_any():
    points = Torus().random_point(500, seeded())
    for mask, count in (
        (tile_mask(Torus(), points, sparsity=0.9), 10),
        (clique_mask(500, sparsity=0.93), 14),
    ):
        found = communities_of(csr_array(mask.numpy()), gates=1)
        assert len(found) == count
        for numbers in zip(*found, strict=True):
            assert sorted(numpy.concatenate(numbers)) == list(range(500))
    for mask in (
        geometric_mask(Diffusion(), Torus(), points, sparsity=0.9),
        random_mask(500, 500, sparsity=0.9),
        tile_mask(Torus(), points, sparsity=0.98),  # tiles of ten neurons
        torch.zeros(500, 500, dtype=torch.bool),
        torch.ones(500, 500, dtype=torch.bool),
    ):
        assert communities_of(csr_array(mask.numpy()), gates=1) is None
        assert communities_of(csr_array(mask.numpy())) is None


@given(st.lists(st.integers(16, 40), min_size=2, max_size=6), st.integers(0, 60), st.floats(0.85, 1.0))
def test_any_communities_with_a_few_strays_and_zeros_expand_to_the_weight(sizes, strays, filling):
    mask = blocks_of(*sizes)
    n, generator = len(mask), seeded(len(mask))
    mask &= torch.rand(n, n, generator=generator) < filling
    mask[tuple(torch.randint(n, (2, strays), generator=generator))] = True
    module, _, sparse = masked(nn.RNN, mask)
    assert type(sparse.weight_hh_l0) is BlockDiagonalKernel
    assert torch.equal(sparse.weight_hh_l0.to_dense().detach(), module.weight_hh_l0.detach())
    x = inputs(nn.RNN, n)
    torch.testing.assert_close(sparse(x)[0], module(x)[0], rtol=0, atol=1e-11)


@pytest.fixture
def blocks_win(monkeypatch):
    monkeypatch.setattr(
        choosing, "timings", lambda calls, device: [[1.0 + abs(i - 1)] for i in range(len(calls))]
    )
    monkeypatch.setattr(compression, "timings", lambda calls, device: [[2.0], [1.0]])


@pytest.mark.parametrize("kind", [*KINDS, *CELLS, nn.Linear])
def test_compressed_modules_multiply_blocks_where_these_are_fastest(kind, blocks_win):
    module, _, _ = masked(kind, with_both())
    fast, x = compress(module.float(), batch_size=4), inputs(kind, 82).float()
    assert type(fast.get_submodule(name_of(kind))) is BlockDiagonalKernel
    for found, expected in zip(flat(fast(x)), flat(module(x)), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in fast.parameters())
    for dtype in (torch.bfloat16, torch.float16):
        half = copy.deepcopy(fast).to(dtype)
        torch.testing.assert_close(flat(half(x.to(dtype)))[0].float(), flat(module(x))[0], rtol=0, atol=0.1)
    again = type(module)(*((82, 82) if kind is nn.Linear else (3, 82)))
    again.load_state_dict(dense_state(fast.state_dict()))
    assert torch.equal(again.get_parameter(name_of(kind)), module.get_parameter(name_of(kind)))


@pytest.mark.parametrize("make", [exact, unequal, with_both])
@pytest.mark.parametrize("few", [0, 16])
@pytest.mark.parametrize("kind", [*KINDS, nn.Linear])
def test_single_sequences_give_the_same_outputs(kind, few, make, monkeypatch):
    monkeypatch.setattr(block_diagonal, "FEW", few)
    mask = make()
    module, _, sparse = masked(kind, mask)
    x = inputs(kind, len(mask), batch=1)
    with torch.no_grad():
        for found, expected in zip(flat(sparse(x)), flat(module(x)), strict=True):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_the_race_is_run_where_there_are_communities_and_ends_with_equal_outputs():
    module, _, _ = masked(nn.RNN, blocks_of(*[64] * 8))
    module.float()
    for batch in (1, 32):
        x = torch.randn(6, batch, 3)
        torch.testing.assert_close(compress(module, batch)(x)[0], module(x)[0].detach(), rtol=0, atol=1e-5)


def test_a_loaded_state_brings_its_own_blocks():
    first, second = (
        blocks_of(20, 20, 20)[order][:, order] for order in (torch.arange(60), torch.arange(60).flip(0))
    )
    _, _, one = masked(nn.GRU, first)
    module, masks, other = masked(nn.GRU, second)
    assert not torch.equal(one.weight_hh_l0.targets, other.weight_hh_l0.targets)
    one.load_state_dict(other.state_dict())
    assert_equal(one, module, masks, inputs(nn.GRU, 60))


# PyTorch 2.13 makes objects of autograd functions while it traces them, and then deprecates that.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("kind", [nn.GRU, nn.Linear])
def test_compiled_and_exported_modules_give_the_same_outputs(kind):
    torch.compiler.reset()
    module, masks, sparse = masked(kind, with_both())
    x = inputs(kind, 82).detach()
    compiled = torch.compile(sparse, backend="aot_eager")
    for each in (compiled, module):
        each.zero_grad()
        flat(each(x))[0].square().sum().backward()
    found = dense_gradient(sparse.get_submodule(name_of(kind)))
    torch.testing.assert_close(found, module.get_parameter(name_of(kind)).grad * masks[name_of(kind)])
    exported = torch.export.export(sparse.requires_grad_(False), (x,)).module()
    torch.testing.assert_close(flat(exported(x))[0], flat(module(x))[0].detach())


def test_frozen_and_tied_weights_stay_so():
    module = nn.Sequential(nn.Linear(60, 60), nn.Tanh(), nn.Linear(60, 60)).double()
    module[2].weight = module[0].weight
    masks = {"0.weight": exact()}
    module[0].weight.data.mul_(exact())
    sparse = train_survivors(module, masks)
    assert sparse[0].weight is sparse[2].weight
    assert type(sparse[0].weight) is BlockDiagonalKernel
    module[0].weight.requires_grad_(False)
    assert not train_survivors(module, masks)[0].weight.values.requires_grad


def test_small_or_scattered_masks_keep_their_kernel():
    _, _, sparse = masked(nn.RNN, blocks_of(*[8] * 8))
    assert type(sparse.weight_hh_l0) is TrainableKernel
