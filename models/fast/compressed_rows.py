"""Matrices in compressed rows, of weights or of square blocks: their structure, and products with them."""

import torch
from torch import Tensor
from torch.nn import functional

BLOCK_SIDES = (64, 32, 16, 8, 4)
"""Sides of the blocks that are looked for in a weight, the best first."""


def in_blocks(matrix: Tensor, side: int) -> Tensor:
    """Return a view of a matrix as blocks, ``(rows / side, columns / side, side, side)``."""
    rows, columns = matrix.shape
    return matrix.view(rows // side, side, columns // side, side).transpose(1, 2)


def block_side(weight: Tensor) -> int:
    """Return the side of the largest blocks that are zero or not as a whole; 1 if there are none.

    A tenth of the weights in living blocks may happen to be zero.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.

    Returns
    -------
    int

    Examples
    --------
    >>> block_side(torch.block_diag(torch.ones(16, 16), torch.ones(16, 16)))
    16
    """
    alive = weight.detach() != 0
    for side in BLOCK_SIDES:
        if weight.shape[0] % side == weight.shape[1] % side == 0:
            stored = side**2 * int(in_blocks(alive, side).any(-1).any(-1).sum())
            if stored <= 1.1 * int(alive.sum()):
                return side
    return 1


def gather(states: Tensor, values: Tensor, columns: Tensor, row_offsets: Tensor) -> Tensor:
    """Return the product of a sparse matrix in compressed rows with states.

    Parameters
    ----------
    states : Tensor
        States ``(n_sources, batch)``.
    values, columns, row_offsets : Tensor
        The matrix, see ``SparseKernel``.

    Returns
    -------
    Tensor
        ``(n_targets, batch)``.
    """
    return functional.embedding_bag(
        columns, states, row_offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def expanded(values: Tensor, columns: Tensor, row_offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a matrix of compressed rows of weights or blocks with its zeros, see ``SparseKernel``."""
    rows = torch.repeat_interleave(row_offsets.diff().long())
    side = shape[0] // (len(row_offsets) - 1)
    dense = values.new_zeros(shape)
    in_blocks(dense, side)[rows, columns.long()] = values.view(-1, side, side)
    return dense


def offsets_of(counts: Tensor) -> Tensor:
    """Return where each of some runs begins and where it ends, from their lengths, int32."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()


def has_sparse_products(states: Tensor) -> bool:
    """Tell whether PyTorch multiplies sparse tensors in this precision, on this device."""
    return states.dtype in (torch.float32, torch.float64) or not states.is_cpu
