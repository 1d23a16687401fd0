"""Kernels: products of a weight matrix with columns of states, zeros included or left out."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from moduli.models.fast.compressed_rows import (
    block_side,
    expanded,
    gather,
    has_sparse_products,
    in_blocks,
    offsets_of,
)
from moduli.models.fast.kernel import Kernel, coordinates, trains
from moduli.models.fast.numbering import Order


class DenseKernel(Kernel):
    """Multiply by every weight, zeros included.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``; a parameter is shared.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight.shape)
        # A parameter stays the same one, so that what is tied to it or frozen stays so.
        same = isinstance(weight, nn.Parameter)
        self.dense: Tensor = weight if same else nn.Parameter(weight.detach().clone())

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.dense @ states

    def repeated_for(self, targets: Order) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, whose result is in the order inside."""
        weight = targets.inside(self.dense)
        return lambda states: weight @ states

    def to_dense(self) -> Tensor:
        """Return the weight, ``(n_targets, n_sources)``."""
        return self.dense

    def to_sparse(self) -> Tensor:
        """Return the weights that are not zero as a sparse tensor, ``(n_targets, n_sources)``."""
        return self.dense.to_sparse()


class SparseKernel(Kernel):
    """Store the surviving weights row by row (compressed sparse rows), one by one or in square blocks.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``; a sparse tensor of coordinates is alive where it has any.
    mask : Tensor, optional
        True where a weight is alive; by default where it is not zero.
    side : int
        Height and width of the blocks, which must divide the weight's; all weights of a block that
        holds a living one are stored.

    Attributes
    ----------
    values : Tensor
        The surviving weights, or blocks of them ``(n, side, side)``.
    columns : Tensor
        Their source neurons, or blocks of neurons, int32.
    row_offsets : Tensor
        Where each target's weights begin and end, or each block of targets', int32.
    size : Tensor
        Shape of the weight, so that a file of these tensors describes itself.
    """

    values: Tensor
    columns: Tensor
    row_offsets: Tensor
    size: Tensor

    def __init__(self, weight: Tensor, mask: Tensor | None = None, side: int = 1) -> None:
        super().__init__(weight.shape)
        if weight.is_sparse:
            weight = weight.coalesce()
            (rows, columns), values = weight.indices(), weight.values().clone()
        else:
            alive = weight.detach() != 0 if mask is None else mask.to(weight.device, torch.bool)
            blocks, alive = in_blocks(weight.detach(), side), in_blocks(alive, side).any(-1).any(-1)
            rows, columns = alive.nonzero(as_tuple=True)
            values = blocks[rows, columns]
        self.values = nn.Parameter(values.flatten() if side == 1 else values, requires_grad=trains(weight))
        self.register_buffer("columns", columns.int())
        self.register_buffer("row_offsets", offsets_of(torch.bincount(rows, minlength=len(weight) // side)))
        self.register_buffer("size", torch.tensor(weight.shape, device=weight.device))

    def to_dense(self) -> Tensor:
        """Return the weight with its zeros, ``(n_targets, n_sources)``; differentiable."""
        return expanded(self.values, self.columns, self.row_offsets, tuple(self.shape))

    def to_sparse(self) -> Tensor:
        """Return the weight as a sparse tensor of coordinates, ``(n_targets, n_sources)``; differentiable."""
        side = self.n_targets // (len(self.row_offsets) - 1)
        within = torch.arange(side, device=self.columns.device)
        rows = torch.repeat_interleave(self.row_offsets.diff().long()).view(-1, 1, 1) * side
        columns = self.columns.long().view(-1, 1, 1) * side
        shape = (-1, side, side)
        places = (rows + within.unsqueeze(1)).expand(shape), (columns + within).expand(shape)
        return coordinates(torch.stack(places).flatten(1), self.values.flatten(), self.shape)

    def extra_repr(self) -> str:
        """Return how much of the weight is alive."""
        return f"{self.n_targets} x {self.n_sources}, {self.values.numel()} weights alive"


class GatherKernel(SparseKernel):
    """For each target, add up the rows of states that its weights read.

    This is the weighted sum of an embedding bag, whose kernels PyTorch tunes for wide rows.
    """

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return gather(states, self.values, self.columns, self.row_offsets)


class RowsKernel(SparseKernel):
    """Multiply by a sparse tensor of compressed rows, which is fastest for a single column.

    Compiled or exported graphs, which cannot build sparse tensors, hold the gathering kernel, which also
    takes the place of products that PyTorch lacks.
    """

    def __init__(self, weight: Tensor, mask: Tensor | None = None) -> None:
        super().__init__(weight, mask)
        _without_announcement(self._matrix)

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        if torch.compiler.is_compiling() or not has_sparse_products(self.values):
            return lambda states: gather(states, self.values, self.columns, self.row_offsets)
        matrix = self._matrix()

        def multiply(states: Tensor) -> Tensor:
            return matrix.mv(states[:, 0]).unsqueeze(1) if states.shape[1] == 1 else matrix @ states

        return multiply

    def _matrix(self) -> Tensor:
        return torch.sparse_csr_tensor(
            self.row_offsets,
            self.columns,
            self.values,
            (self.n_targets, self.n_sources),
            check_invariants=False,
        )


class BlocksKernel(SparseKernel):
    """Multiply by a sparse tensor of compressed rows of square blocks, where a weight consists of such.

    Compiled or exported graphs, which cannot build sparse tensors, multiply block by block, and so do
    precisions for which PyTorch has no such product.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight, side=block_side(weight))
        _without_announcement(self._matrix)

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        if torch.compiler.is_compiling() or not has_sparse_products(self.values):
            return self._block_by_block
        matrix = self._matrix()
        return lambda states: matrix @ states

    def _block_by_block(self, states: Tensor) -> Tensor:
        side = self.values.shape[1]
        products = self.values @ states.view(len(states) // side, side, states.shape[1])[self.columns]
        counts = self.row_offsets.diff()
        rows = torch.arange(len(counts), device=counts.device)
        rows = rows.repeat_interleave(counts, output_size=len(products))
        result = states.new_zeros(self.n_targets // side, side, states.shape[1])
        return result.index_add(0, rows, products).flatten(0, 1)

    def _matrix(self) -> Tensor:
        return torch.sparse_bsr_tensor(
            self.row_offsets,
            self.columns,
            self.values,
            (self.n_targets, self.n_sources),
            check_invariants=False,
        )


def _without_announcement(make: Callable[[], Tensor]) -> None:
    """Make a sparse tensor, of which PyTorch says once per process that its kind is in beta state."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR|BSR) tensor support is in beta state")
        make()
