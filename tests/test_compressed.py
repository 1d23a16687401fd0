"""Clause S7: compressed modules give the same outputs, and sparse training the same gradients."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import nn
from torch.nn.utils import prune
from torch.nn.utils.rnn import pack_sequence
from torch.utils._python_dispatch import TorchDispatchMode

from moduli.manifolds import InvalidParameter
from moduli.models import (
    CannotCompress,
    Sparsifier,
    compress,
    dense_state,
    random_mask,
    train_survivors,
)
from moduli.models.fast import choosing, compression
from moduli.models.fast.kernels import DenseKernel, GatherKernel, RowsKernel
from moduli.models.fast.linear import SparseLinear
from moduli.models.fast.recurrent import SparseRecurrent
from moduli.models.fast.sparse_training import TrainableKernel
from moduli.regularizers import ShapeMismatch
from tests.conftest import seeded

KERNELS = [DenseKernel, GatherKernel, RowsKernel]

# What PyTorch says of the module that is compared with.
without_onednn = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Reader(nn.Module):
    """A recurrent network with a linear read-out, and something else."""

    def __init__(self, kind=nn.RNN, size=24, **options):
        super().__init__()
        self.rnn = kind(3, size, **options)
        self.rest = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 5), nn.Dropout(0.5))

    def forward(self, x):
        return self.rest(self.rnn(x)[0])


def pruned(model, sparsity=0.8):
    Sparsifier(model, sparsity=sparsity).step()
    return model


def with_every(kernel, module):
    def make_kernel(name, weight):
        return kernel(weight)

    kind = SparseRecurrent if isinstance(module, nn.RNNBase) else SparseLinear
    return kind(module, make_kernel)


def prefer(monkeypatch, kernel):
    """Let one kernel, and the sparse module over the plain one, win every race."""
    monkeypatch.setattr(
        choosing, "timings", lambda calls, device: [[float(KERNELS[i] != kernel)] for i in range(3)]
    )
    monkeypatch.setattr(compression, "timings", lambda calls, device: [[2.0], [1.0]])


def assert_same(found, expected, tolerance=1e-5):
    if isinstance(expected, tuple):
        assert isinstance(found, tuple)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, tolerance)
    else:
        assert found.is_contiguous()
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@st.composite
def recurrent_modules(draw, biggest=9):
    kind = draw(st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]))
    size = draw(st.integers(2, biggest))
    options = {
        "num_layers": draw(st.integers(1, 2)),
        "bidirectional": draw(st.booleans()),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }
    if kind is nn.RNN:
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    if kind is nn.LSTM:
        options["proj_size"] = draw(st.integers(0, size - 1))
    torch.manual_seed(draw(st.integers(0, 99)))
    module = kind(draw(st.integers(1, 4)), size, **options)
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(torch.rand_like(weight) < draw(st.sampled_from([0.0, 0.2, 1.0])))
    return module


def arguments(module, batch, steps, *, with_state, dtype=torch.float32):
    generator = seeded(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=dtype)  # noqa: E731
    shape = {True: (batch, steps), False: (steps, batch)}[module.batch_first] if batch else (steps,)
    x = draw(*shape, module.input_size)
    if not with_state:
        return (x,)
    count = module.num_layers * (2 if module.bidirectional else 1)
    lead = (count, batch) if batch else (count,)
    hidden = draw(*lead, module.proj_size or module.hidden_size)
    return (x, (hidden, draw(*lead, module.hidden_size)) if module.mode == "LSTM" else hidden)


@without_onednn
@pytest.mark.parametrize("kernel", KERNELS)
@given(module=recurrent_modules(), batch=st.integers(0, 3), steps=st.integers(1, 4), with_state=st.booleans())
def test_recurrent_modules_give_the_same_outputs(kernel, module, batch, steps, with_state):
    given_to_both = arguments(module, batch, steps, with_state=with_state)
    with torch.no_grad():
        assert_same(with_every(kernel, module)(*given_to_both), module(*given_to_both))


def test_long_sequences_and_empty_batches_give_the_same_outputs():
    module = pruned(nn.LSTM(3, 8, bidirectional=True)).requires_grad_(False)
    fast = with_every(DenseKernel, module)
    for shape in ((150, 1, 3), (150, 3), (7, 30, 3), (5, 0, 3)):
        x = torch.randn(shape)
        assert_same(fast(x), module(x))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_linear_modules_give_the_same_outputs(kernel, bias, shape):
    module = pruned(nn.Linear(7, 5, bias=bias))
    x = torch.randn(*shape, 7)
    found, expected = with_every(kernel, module)(x), module(x)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_compress_returns_an_equal_model_and_leaves_the_given_one_alone(monkeypatch, kernel, kind):
    prefer(monkeypatch, kernel)
    model = pruned(Reader(kind, num_layers=2, dropout=0.5))
    before, random_state = copy.deepcopy(model), torch.get_rng_state()
    fast = compress(model, batch_size=2)
    assert torch.equal(random_state, torch.get_rng_state())
    assert model.training
    assert type(model.rnn) is kind
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), before.parameters(), strict=True))
    assert all(weight.requires_grad for weight in model.parameters())

    assert type(fast.rnn.weight_hh_l0) is kernel
    assert type(fast.rest[1].weight) is kernel
    x = torch.randn(4, 2, 3)
    assert_same(fast(x), model.eval()(x).detach())
    assert not fast(x).requires_grad
    assert_same(copy.deepcopy(fast)(x), fast(x))
    double = copy.deepcopy(fast).double()
    assert_same(double(x.double()), model.double()(x.double()).detach(), 1e-12)
    assert {buffer.dtype for name, buffer in double.named_buffers() if "size" not in name} <= {torch.int32}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_the_real_race_ends_with_equal_outputs(dtype, tolerance):
    model = pruned(Reader(size=64), 0.98).eval().to(dtype)
    x = torch.randn(4, 2, 3, dtype=dtype)
    for batch_size in (1, 5):
        assert_same(compress(model, batch_size)(x), model(x).detach(), tolerance)


@pytest.mark.parametrize("winner", range(3))
def test_the_fastest_kernel_is_chosen_and_a_full_weight_stays_dense(monkeypatch, winner):
    seconds = [[2.0, 3.0], [2.0, 3.0], [2.0, 3.0]]
    seconds[winner] = [9.0, 1.0]
    monkeypatch.setattr(choosing, "timings", lambda calls, device: seconds)
    weight = torch.eye(6)
    assert type(choosing.fastest_kernel(weight, 3)) is KERNELS[winner]
    assert type(choosing.fastest_kernel(weight + 1, 3)) is DenseKernel


def test_the_plain_module_stays_where_it_is_as_fast(monkeypatch):
    prefer(monkeypatch, GatherKernel)
    monkeypatch.setattr(compression, "timings", lambda calls, device: [[1.0, 2.0], [3.0, 1.0]])
    fast = compress(pruned(Reader()))
    assert type(fast.rnn) is nn.RNN
    assert not any(weight.requires_grad for weight in fast.parameters())
    assert not fast.training


def test_every_call_after_the_first_is_timed():
    calls = [0, 0]

    def count(which):
        calls[which] += 1

    seconds = choosing.timings([lambda: count(0), lambda: count(1)], torch.device("cpu"))
    assert calls == [choosing.ROUNDS + 1] * 2
    assert [len(times) for times in seconds] == [choosing.ROUNDS] * 2


@pytest.mark.parametrize("kernel", [GatherKernel, RowsKernel])
def test_files_are_smaller_and_bring_the_dense_model_back(monkeypatch, kernel):
    prefer(monkeypatch, kernel)
    model = pruned(nn.RNN(2, 256), 0.98)
    dense, small = save(model.state_dict()), save(compress(model).state_dict())
    assert len(small) < len(dense) / 10
    other = nn.RNN(2, 256)
    other.load_state_dict(dense_state(load(small)))
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_compressed_models_can_be_exported(monkeypatch, kernel, kind):
    prefer(monkeypatch, kernel)
    model, x = pruned(Reader(kind)), torch.randn(3, 1, 3)
    exported = torch.export.export(compress(model), (x,))
    assert_same(exported.module()(x).detach(), model.eval()(x).detach())


def test_modules_used_twice_are_compressed_once_and_subclasses_not_at_all(monkeypatch):
    class Doubling(nn.Linear):
        def forward(self, x):
            return 2 * super().forward(x)

    prefer(monkeypatch, GatherKernel)
    layer = nn.Linear(4, 4)
    model = pruned(nn.Sequential(layer, layer, Doubling(4, 4)))
    fast, x = compress(model), torch.randn(2, 4)
    assert fast[0] is fast[1]
    assert type(fast[0]) is SparseLinear
    assert type(fast[2]) is Doubling
    torch.testing.assert_close(fast(x), model(x).detach())


def test_bad_input_is_refused(monkeypatch):
    with pytest.raises(InvalidParameter, match="batch_size must be at least 1, got 0"):
        compress(Reader(), batch_size=0)
    with pytest.raises(CannotCompress, match="consists of ReLU"):
        compress(nn.ReLU())
    hooked = Reader()
    prune.l1_unstructured(hooked.rest[1], "weight", amount=0.5)
    with pytest.raises(CannotCompress, match=r"rest\.1 \(Linear\) has hooks"):
        compress(hooked)
    module = with_every(GatherKernel, nn.LSTM(3, 4))
    with pytest.raises(ShapeMismatch, match=r"\(1, 2, 4\), \(1, 2, 4\), got \(1, 1, 4\), \(1, 1, 4\)"):
        module(pack_sequence([torch.zeros(2, 3), torch.zeros(1, 3)]), (torch.zeros(1, 1, 4),) * 2)
    for x in (torch.zeros(5, 2, 4), torch.zeros(3), torch.zeros(1, 1, 1, 3)):
        with pytest.raises(ShapeMismatch, match="the last of size 3"):
            module(x)
    with pytest.raises(ShapeMismatch, match=r"at least one time step, got shape \(0, 2, 3\)"):
        module(torch.zeros(0, 2, 3))
    with pytest.raises(ShapeMismatch, match=r"\(1, 2, 4\), \(1, 2, 4\), got \(1, 2, 4\), \(1, 2, 5\)"):
        module(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4), torch.zeros(1, 2, 5)))


def masks_of(module, sparsity=0.7):
    return {
        name: random_mask(*weight.shape, sparsity=sparsity, seed=seed)
        for seed, (name, weight) in enumerate(module.named_parameters())
        if weight.dim() == 2
    }


def apply_masks(module, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            module.get_parameter(name).mul_(mask)


@without_onednn
@given(module=recurrent_modules(biggest=5), batch=st.integers(0, 3), with_state=st.booleans())
def test_gradients_equal_those_of_the_masked_dense_module(module, batch, with_state):
    module.double()
    masks = masks_of(module)
    apply_masks(module, masks)
    sparse = train_survivors(module, masks)

    def leaves(value):
        return (leaves(value[0]), leaves(value[1])) if isinstance(value, tuple) else value.requires_grad_()

    def flat(value):
        return [part for item in value for part in flat(item)] if isinstance(value, tuple) else [value]

    given_to_both = leaves_of = tuple(
        leaves(value) for value in arguments(module, batch, 3, with_state=with_state, dtype=torch.float64)
    )
    losses = [
        sum((part * part.cos()).sum() for part in flat(each(*given_to_both))) for each in (module, sparse)
    ]
    torch.testing.assert_close(losses[0], losses[1])
    for ours, theirs in zip(
        torch.autograd.grad(losses[1], flat(leaves_of), retain_graph=True),
        torch.autograd.grad(losses[0], flat(leaves_of), retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    for loss in losses:
        loss.backward()
    for name, weight in module.named_parameters():
        if name in masks:
            torch.testing.assert_close(sparse.get_parameter(f"{name}.values").grad, weight.grad[masks[name]])
        else:
            torch.testing.assert_close(sparse.get_parameter(name).grad, weight.grad)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 4), st.sampled_from([0.0, 0.5, 0.95]))
def test_the_product_passes_gradcheck(targets, sources, batch, sparsity):
    weight = torch.randn(targets, sources, dtype=torch.float64, generator=seeded())
    product = TrainableKernel(weight, random_mask(targets, sources, sparsity=sparsity))
    states = torch.randn(sources, batch, dtype=torch.float64, generator=seeded(1), requires_grad=True)

    def multiply(values, states):
        return torch.func.functional_call(product, {"values": values}, (states,))

    values = product.values.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(multiply, (values, states))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_training_survivors_is_training_the_masked_model(optimizer):
    model = Reader(nn.GRU, size=8).double()
    model.rest[2].p = 0.0
    sparsifier = Sparsifier(model, sparsity=0.7)
    sparsifier.step()
    sparse = train_survivors(model, sparsifier.masks)
    ours, theirs = optimizer(sparse.parameters(), lr=0.1), optimizer(model.parameters(), lr=0.1)
    for _ in range(5):
        x = torch.randn(4, 2, 3, dtype=torch.float64)
        for each, its_optimizer in ((sparse, ours), (model, theirs)):
            its_optimizer.zero_grad()
            each(x).square().mean().backward()
            its_optimizer.step()
        sparsifier.step()
    for name, tensor in dense_state(sparse.state_dict()).items():
        torch.testing.assert_close(tensor, model.state_dict()[name])


def test_a_step_makes_no_tensor_as_large_as_the_weight():
    size = 64

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, torch.Tensor):
                    self.elements = max(self.elements, tensor.numel())
            return result

    module = nn.RNN(2, size)
    sparse = train_survivors(module, {"weight_hh_l0": random_mask(size, size, sparsity=0.98)})
    for each, touches_all in ((sparse, False), (module, True)):
        optimizer = torch.optim.SGD(each.parameters(), lr=0.1)
        with Largest() as largest:
            each(torch.randn(3, 4, 2))[0].sum().backward()
            optimizer.step()
        assert (largest.elements >= size * size) == touches_all


def test_a_zero_that_its_mask_keeps_is_trained():
    module = nn.Linear(3, 2)
    nn.init.zeros_(module.weight)
    sparse = train_survivors(module, {"weight": torch.tensor([[True, False, True], [False, False, True]])})
    sparse(torch.ones(1, 3)).sum().backward()
    assert torch.equal(sparse.weight.values.grad, torch.ones(3))


def test_a_loaded_state_brings_its_own_mask():
    module = nn.RNN(3, 4).double()
    first, second = (
        train_survivors(module, {"weight_hh_l0": random_mask(4, 4, sparsity=0.5, seed=seed)})
        for seed in (0, 1)
    )
    assert not torch.equal(first.weight_hh_l0.columns, second.weight_hh_l0.columns)
    first.load_state_dict(second.state_dict())
    x = torch.randn(5, 2, 3, dtype=torch.float64)
    for each in (second, first, copy.deepcopy(second)):
        each.zero_grad()
        each(x)[0].square().sum().backward()
        torch.testing.assert_close(each.weight_ih_l0.dense.grad, second.weight_ih_l0.dense.grad)


def test_dropout_between_layers_acts_in_training_only():
    module = nn.RNN(3, 16, num_layers=2, dropout=0.5)
    sparse, x = train_survivors(module, masks_of(module)), torch.randn(4, 2, 3)
    assert not torch.equal(sparse(x)[0], sparse(x)[0])
    assert torch.equal(sparse.eval()(x)[0], sparse(x)[0])


def test_masks_that_fit_nothing_are_refused():
    model = Reader(size=8)
    with pytest.raises(InvalidParameter, match=r"did you mean 'rnn\.weight_hh_l0'"):
        train_survivors(model, {"rnn.weight_hh_l1": torch.ones(8, 8)})
    with pytest.raises(ShapeMismatch, match=r"shape \(8, 8\), its mask \(4, 4\)"):
        train_survivors(model, {"rnn.weight_hh_l0": torch.ones(4, 4)})
    tied = nn.Sequential(nn.Linear(4, 4), nn.Embedding(4, 4))
    tied[1].weight = tied[0].weight
    with pytest.raises(CannotCompress, match=r"0\.weight is shared as 0\.weight, 1\.weight, and Embedding"):
        train_survivors(tied, {"0.weight": torch.ones(4, 4)})
    tied[1] = nn.Linear(4, 4)
    tied[1].weight = tied[0].weight
    with pytest.raises(InvalidParameter, match=r"0\.weight and 1\.weight are one tensor and need one mask"):
        train_survivors(tied, {"0.weight": torch.ones(4, 4), "1.weight": torch.eye(4)})
