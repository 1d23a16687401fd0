"""Square blocks of a weight matrix."""

import math

import torch
from torch import Tensor

from moduli.requirements import require_dimension


class Blocks:
    """The square blocks into which a weight matrix is divided.

    Blocks at the right and lower edges may be smaller, and none reaches from one gate into the next.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight matrix.
    granularity : int
        Height and width of a block.
    gates : int
        Number of gates that the rows stack.

    Raises
    ------
    InvalidParameter
        If the granularity is not a positive integer.

    Examples
    --------
    >>> blocks = Blocks((4, 3), 2)
    >>> blocks.sizes
    tensor([[4, 2],
            [4, 2]])
    >>> blocks.spread(torch.tensor([[True, False], [False, True]]))
    tensor([[ True,  True, False],
            [ True,  True, False],
            [False, False,  True],
            [False, False,  True]])
    """

    def __init__(self, shape: tuple[int, int], granularity: int, gates: int = 1) -> None:
        granularity = require_dimension("Blocks", granularity, "granularity")
        height = shape[0] // gates
        rows = torch.arange(shape[0])
        self._rows = rows // height * math.ceil(height / granularity) + rows % height // granularity
        self._columns = torch.arange(shape[1]) // granularity
        self.sizes = torch.outer(self._rows.bincount(), self._columns.bincount())

    def means(self, values: Tensor) -> Tensor:
        """Return the mean of each block of a matrix, one number a block."""
        rows, columns, sizes = (each.to(values.device) for each in (self._rows, self._columns, self.sizes))
        sums = values.new_zeros(len(sizes), values.shape[1]).index_add_(0, rows, values)
        return sums.new_zeros(sizes.shape).index_add_(1, columns, sums) / sizes

    def spread(self, values: Tensor) -> Tensor:
        """Return the matrix whose every block holds one value, that of the block."""
        return values[self._rows.to(values.device)][:, self._columns.to(values.device)]
