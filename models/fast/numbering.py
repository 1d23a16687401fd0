"""Neurons in another order, in which those of one block are neighbours."""

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional


class Order(NamedTuple):
    """An order of rows inside of a computation, with gaps that fill blocks up to equal size.

    Parameters
    ----------
    rows : Tensor
        For each place inside, the row outside, int64; a gap has the first number that is no row.
    places : Tensor
        For each row outside, its place inside, int64.
    """

    rows: Tensor
    places: Tensor

    def inside(self, x: Tensor) -> Tensor:
        """Return rows in the order inside; gaps are zero."""
        if len(self.rows) > len(self.places):
            x = functional.pad(x, (0,) * (2 * x.dim() - 1) + (1,))
        return x.index_select(0, self.rows)

    def outside(self, x: Tensor) -> Tensor:
        """Return rows in the order outside, without gaps."""
        return x.index_select(0, self.places)


class Numbering(NamedTuple):
    """How the neurons of a recurrent layer are numbered inside, and the rows that stack its gates."""

    neurons: Order
    gates: Order
