"""Training with fixed masks that touches only surviving weights."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter, suggestion
from moduli.models.arguments import as_masks, as_model
from moduli.models.errors import CannotCompress
from moduli.models.fast.block_diagonal import block_diagonal
from moduli.models.fast.compressed_rows import gather, offsets_of
from moduli.models.fast.kernel import Kernel
from moduli.models.fast.kernels import DenseKernel, SparseKernel
from moduli.models.fast.module import SparseModule
from moduli.models.fast.replacing import NAMES, gates_of, replaceable, sparse_module, with_replaced_modules
from moduli.models.matrices import names_of_parameters
from moduli.regularizers import ShapeMismatch
from moduli.second_derivatives import is_differentiated, recomputed, transformed

STRUCTURE = (None,) * 5
"""The gradients of where surviving weights are: there are none."""


class TrainableKernel(SparseKernel):
    """A sparse kernel whose backward pass touches only surviving weights.

    The gradient of the states is the product with the transposed matrix, that of a weight the inner
    product of its target's gradient and its source's state.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.
    mask : Tensor, optional
        True where a weight is alive; by default where it is not zero.
    """

    order: Tensor
    rows: Tensor
    column_offsets: Tensor

    def __init__(self, weight: Tensor, mask: Tensor | None = None) -> None:
        super().__init__(weight, mask)
        _store_transpose(self)
        self.register_load_state_dict_post_hook(_store_transpose)  # type: ignore[no-untyped-call]

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        transposed = (self.values.detach()[self.order], self.rows, self.column_offsets)

        def multiply(states: Tensor) -> Tensor:
            if transformed():
                return _plainly(states, self.values, self.columns, self.row_offsets)
            # Without the states' gradient, PyTorch's own backward pass of the product is that of the weights.
            result = gather(states.detach(), self.values, self.columns, self.row_offsets)
            if not torch.is_grad_enabled():
                return result
            structure = (self.columns, self.row_offsets, *transposed)
            attached: Tensor = _Attach.apply(result, states, self.values, *structure)  # type: ignore[no-untyped-call]
            return attached

        return multiply


def _plainly(states: Tensor, values: Tensor, columns: Tensor, row_offsets: Tensor) -> Tensor:
    """Return the product in operations that PyTorch differentiates any number of times."""
    counts = row_offsets.diff()
    targets = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    terms = values.unsqueeze(1) * states[columns]
    return states.new_zeros(len(counts), states.shape[1]).index_add(0, targets, terms)


class _Attach(torch.autograd.Function):
    """The identity of a product that has the gradient of its weights, with the gradient of its states."""

    @staticmethod
    def forward(
        ctx: Any,
        result: Tensor,
        states: Tensor,
        values: Tensor,
        columns: Tensor,
        row_offsets: Tensor,
        *transposed: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(states, values, columns, row_offsets, *transposed)
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, values, columns, row_offsets, *transposed = ctx.saved_tensors
        for_states = ctx.needs_input_grad[1]
        if is_differentiated(gradient):
            product = partial(_plainly, columns=columns, row_offsets=row_offsets)
            both = recomputed(product, (states, values), ctx.needs_input_grad[1:3], gradient)
            return None, *both, *STRUCTURE
        gradient = gradient.contiguous()
        return gradient, gather(gradient, *transposed) if for_states else None, None, *STRUCTURE


def train_survivors(model: nn.Module, masks: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy of a model that stores and trains only the weights that fixed masks leave.

    Parameters
    ----------
    model : nn.Module
        A model that holds ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, their cells or ``nn.Linear``; it is not
        changed.
    masks : mapping from str to Tensor
        By a weight matrix's name, True where a weight is alive, or 1 and elsewhere 0, such as
        ``Sparsifier.masks`` of a ticket; matrices without a mask stay dense. What is tied stays tied, and
        takes one mask, under any of its names.

    Returns
    -------
    nn.Module
        Called like the model. Its gradients equal those of the masked dense model. Attention reads the
        weight of its last layer itself, so that this one is expanded at each call and not faster.
        ``model.load_state_dict(dense_state(result.state_dict()))`` brings the trained weights back.

    Raises
    ------
    InvalidParameter
        If the model is not a module, or the masks not a mapping from such modules' weights to tensors of
        booleans or of zeros and ones, or tied weights have different masks.
    ShapeMismatch
        If a mask has another shape than its weight.
    CannotCompress
        If the model holds none of these modules, one has hooks or is on the meta device, or a masked weight
        is of a module that is sparse already, or of another one, or tied to a weight of such a one, as of
        ``nn.Embedding``.

    Examples
    --------
    >>> from moduli.models import Sparsifier, dense_state
    >>> model = nn.RNN(2, 64)
    >>> sparsifier = Sparsifier(model, sparsity=0.98, scope="recurrent")
    >>> sparsifier.step()
    >>> ticket, ticket_sparsifier = sparsifier.ticket(seed=1)
    >>> sparse = train_survivors(ticket, ticket_sparsifier.masks)
    >>> sum(values.numel() for values in sparse.weight_hh_l0.parameters())
    82
    >>> optimizer = torch.optim.Adam(sparse.parameters())
    >>> sparse(torch.randn(5, 3, 2))[0].square().mean().backward(); optimizer.step()
    >>> ticket.load_state_dict(dense_state(sparse.state_dict()))
    <All keys matched successfully>
    """
    masks = as_masks(masks)
    modules = replaceable(as_model(model))
    _check_masks(model, masks, modules)
    masks = {name: mask.to(model.get_parameter(name).device, torch.bool) for name, mask in masks.items()}
    masks = _with_ties(model, masks, modules)
    kernels: dict[Tensor, Kernel] = {}  # tied weights have one

    def make(path: str, module: nn.Module) -> nn.Module:
        def make_kernel(name: str, weight: Tensor) -> Kernel:
            mask = masks.get(_joined(path, name))
            if mask is None:
                return DenseKernel(weight)
            if weight not in kernels:
                gates = gates_of(module, name)
                blocks = block_diagonal(weight, mask, gates, make_rest=TrainableKernel)
                kernels[weight] = blocks or TrainableKernel(weight, mask)
            return kernels[weight]

        return sparse_module(module, make_kernel)

    found = {
        path: module
        for path, module in modules.items()
        if any(_joined(path, name) in masks for name in module._parameters)
    }
    return with_replaced_modules(model, found, make)


def _check_masks(model: nn.Module, masks: Mapping[str, Tensor], modules: Mapping[str, nn.Module]) -> None:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    matrices = {
        _joined(path, name): parameter
        for path, module in modules.items()
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
        if parameter.dim() == 2
    }
    for name, mask in masks.items():
        if name not in matrices:
            _check_dense(model, name)
            if name in parameters and parameters[name].dim() == 2:
                owner = type(model.get_submodule(name.rpartition(".")[0])).__name__
                raise CannotCompress(
                    f"{name} is a weight of {owner}, which is not an {NAMES} and cannot be made sparse; "
                    "leave its mask out, so that it stays dense, and let a Sparsifier keep its zeros."
                )
            raise InvalidParameter(
                f"'{name}' is not a weight matrix of an {NAMES}; {suggestion(name, matrices)}"
            )
        if mask.shape != matrices[name].shape:
            raise ShapeMismatch(
                f"{name} has shape {tuple(matrices[name].shape)}, its mask {tuple(mask.shape)}."
            )


def _check_dense(model: nn.Module, name: str) -> None:
    """Raise if a name is of a weight of which a sparse module holds the survivors alone."""
    path, _, own = name.rpartition(".")
    try:
        owner = model.get_submodule(path)
    except AttributeError:
        return
    if isinstance(owner, SparseModule) and isinstance(getattr(owner, own, None), Kernel):
        raise CannotCompress(
            f"{name} is a weight of {type(owner).__name__}, which is sparse already; leave its mask out to "
            "train the weights that it has, or give the dense model, whose state is dense_state's."
        )


def _with_ties(
    model: nn.Module, masks: Mapping[str, Tensor], modules: Mapping[str, nn.Module]
) -> dict[str, Tensor]:
    """Return the masks of masked weights under all names that these have."""
    tied: dict[str, Tensor] = {}
    for shared in names_of_parameters(model).values():
        given = [name for name in shared if name in masks]
        if not given:
            continue
        for name in shared:
            owner = model.get_submodule(name.rpartition(".")[0])
            if not any(owner is module for module in modules.values()):
                raise CannotCompress(
                    f"{given[0]} is shared as {', '.join(shared)}, and {type(owner).__name__}, which holds "
                    f"{name}, is not an {NAMES}; a sparse copy would train apart. Untie them, or leave the "
                    "mask out."
                )
        if any(not torch.equal(masks[name], masks[given[0]]) for name in given):
            raise InvalidParameter(
                f"{' and '.join(given)} are one tensor and need one mask, got different ones."
            )
        tied |= dict.fromkeys(shared, masks[given[0]])
    return tied


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _store_transpose(kernel: TrainableKernel, _: Any = None) -> None:
    """Keep where the weights that leave each source are, among those that reach each target."""
    targets = torch.arange(kernel.n_targets, dtype=torch.int32, device=kernel.columns.device)
    reached = targets.repeat_interleave(kernel.row_offsets.diff())
    order = kernel.columns.argsort(stable=True)
    offsets = offsets_of(torch.bincount(kernel.columns, minlength=kernel.n_sources))
    kernel.register_buffer("order", order, persistent=False)
    kernel.register_buffer("rows", reached[order], persistent=False)
    kernel.register_buffer("column_offsets", offsets, persistent=False)
