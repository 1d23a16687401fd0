"""Inference modules that are really faster than the dense modules that they replace."""

import functools
import logging
from numbers import Integral

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter
from moduli.models.arguments import as_model, given
from moduli.models.fast.block_diagonal import block_diagonal
from moduli.models.fast.choosing import fastest_kernel, fastest_of, noise, timings
from moduli.models.fast.compressed_rows import has_sparse_products
from moduli.models.fast.kernel import Kernel
from moduli.models.fast.kernels import GatherKernel, RowsKernel, SparseKernel
from moduli.models.fast.recurrent import COLUMNS
from moduli.models.fast.replacing import KINDS, gates_of, replaceable, sparse_module, with_replaced_modules
from moduli.models.fast.sparse_training import TrainableKernel
from moduli.requirements import LARGEST_COUNT

# Time steps of the sequences on which recurrent modules are timed.
LENGTH = 5

# A gain smaller than this is within the noise of the clock and not worth another module.
GAIN = 1.05


_LOG = logging.getLogger(__name__)


def compress(model: nn.Module, batch_size: int = 1) -> nn.Module:
    """Return a model for inference that multiplies only by surviving weights, where that is faster.

    Every ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, cell of these and ``nn.Linear`` is timed here and now, on the
    model's device, with the current number of threads: each of its weight matrices as a dense and as a sparse
    product, then the whole module against the one of PyTorch, which is kept unless it is slower. Python's
    logging tells both times at level INFO.
    Subclasses of these modules are left as they are. What takes their place has their attributes; where code
    reads a weight instead of calling the module, ``weight.to_dense()`` is that tensor.

    Modules that are sparse already, from `sparse_rnn`, `train_survivors` or an earlier call, keep their kind:
    their single weights are timed row by row and gathered, their blocks stay blocks, and no dense matrix is
    ever made.

    Parameters
    ----------
    model : nn.Module
        A trained and pruned model; it is not changed.
    batch_size : int
        Number of sequences that the result will be given at once, at least 1; any other number
        works, but another kernel may be faster for it.

    Returns
    -------
    nn.Module
        A copy of the model in evaluation mode whose parameters ask for no gradient. Its
        ``state_dict()`` holds surviving weights only; ``dense_state`` expands it.

    Raises
    ------
    InvalidParameter
        If the model is not a module, or the batch size not a positive integer.
    CannotCompress
        If the model holds none of these modules, or one of them has hooks, or is on the meta device.

    Examples
    --------
    >>> from moduli.models import Sparsifier
    >>> model = nn.RNN(2, 256)
    >>> Sparsifier(model, sparsity=0.98).step()
    >>> x = torch.randn(5, 1, 2)
    >>> torch.allclose(compress(model)(x)[0], model(x)[0], atol=1e-5)
    True
    """
    whole = isinstance(batch_size, Integral) and not isinstance(batch_size, bool)
    if not whole or not 1 <= batch_size <= LARGEST_COUNT:
        raise InvalidParameter(
            f"batch_size must be at least 1, got {given(batch_size)}: it is a number of sequences, at most "
            f"{LARGEST_COUNT:,}."
        )
    # Attention reads the weight of its last layer itself, which a sparse one would have to expand.
    found = {path: module for path, module in replaceable(as_model(model)).items() if type(module) in KINDS}
    fast = with_replaced_modules(model, found, functools.partial(_faster, batch_size))
    _replace_trainable_kernels(fast, batch_size)
    return fast.eval().requires_grad_(False)


def _faster(batch_size: int, path: str, module: nn.Module) -> nn.Module:
    """Return a sparse module in place of a plain one, or the plain one where that is as fast."""

    def make_kernel(name: str, weight: Tensor) -> Kernel:
        columns = max(batch_size, COLUMNS) if name.startswith("weight_ih") else batch_size
        blocks = block_diagonal(weight, weight != 0, gates_of(module, name), make_rest=GatherKernel)
        return fastest_kernel(weight, columns, *([] if blocks is None else [blocks]))

    module.eval()  # dropout between layers costs time
    weight = next(module.parameters())
    sparse = sparse_module(module, make_kernel)
    shape: tuple[int, ...]
    if isinstance(module, nn.RNNBase):
        sequence = (batch_size, LENGTH) if module.batch_first else (LENGTH, batch_size)
        shape = (*sequence, module.input_size)
    elif isinstance(module, nn.RNNCellBase):
        shape = (batch_size, module.input_size)
    else:
        assert isinstance(module, nn.Linear)
        shape = (batch_size, module.in_features)
    x = noise(shape, weight)
    with torch.no_grad():
        plain_seconds, sparse_seconds = timings(
            [functools.partial(module, x), functools.partial(sparse, x)], weight.device
        )
    worth_it = GAIN * min(sparse_seconds) < min(plain_seconds)
    _LOG.info(
        "%s is %s: %.3g ms a call without its zeros, %.3g ms as PyTorch has it, at batch size %d.",
        path or type(module).__name__,
        "replaced" if worth_it else "kept",
        1e3 * min(sparse_seconds),
        1e3 * min(plain_seconds),
        batch_size,
    )
    return sparse if worth_it else module


def _replace_trainable_kernels(model: nn.Module, batch_size: int) -> None:
    """Put the fastest kernel for inference in the place of each that is made for training."""
    fastest: dict[nn.Module, Kernel] = {}  # tied weights have one
    for module in list(model.modules()):
        for name, kernel in module.named_children():
            if isinstance(kernel, TrainableKernel):
                if kernel not in fastest:
                    columns = max(batch_size, COLUMNS) if name.startswith("weight_ih") else batch_size
                    fastest[kernel] = _fastest_sparse(kernel, columns)
                setattr(module, name, fastest[kernel])


def _fastest_sparse(kernel: SparseKernel, columns: int) -> Kernel:
    weight = kernel.to_sparse().detach()
    kernels: list[Kernel] = [GatherKernel(weight)]
    if has_sparse_products(kernel.values):
        kernels.append(RowsKernel(weight))
    return fastest_of(kernels, kernel.values, columns)
