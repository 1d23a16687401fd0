"""Neurons in another order, in which those of one block are neighbours."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from moduli.second_derivatives import transformed


class Order(NamedTuple):
    """An order of rows inside of a computation, with gaps that fill blocks up to equal size.

    Parameters
    ----------
    rows : Tensor
        For each place inside, the row outside, int64; a gap has the first number beyond all rows.
    places : Tensor
        For each row outside, its place inside, int64.
    """

    rows: Tensor
    places: Tensor

    def inside(self, x: Tensor) -> Tensor:
        """Return rows in the order inside; gaps are zero."""
        return _reordered(x, self.rows, self.places)

    def outside(self, x: Tensor) -> Tensor:
        """Return rows in the order outside, without gaps."""
        return _reordered(x, self.places, self.rows)


class Numbering(NamedTuple):
    """How the neurons of a recurrent layer are numbered inside, and the rows that stack its gates."""

    neurons: Order
    gates: Order


def _reordered(x: Tensor, there: Tensor, back: Tensor) -> Tensor:
    if x.requires_grad and torch.is_grad_enabled() and not transformed():
        ordered: Tensor = _Reorder.apply(x, there, back)  # type: ignore[no-untyped-call]
        return ordered
    return _taken(x, there)


def _taken(x: Tensor, there: Tensor) -> Tensor:
    if len(there) > len(x):
        x = torch.cat([x, x.new_zeros(1, *x.shape[1:])])
    return x.index_select(0, there)


class _Reorder(torch.autograd.Function):
    """Take rows, each once: the gradient takes them back, where PyTorch's own would add them up."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, there: Tensor, back: Tensor) -> Tensor:
        ctx.save_for_backward(back)
        return _taken(x, there)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (back,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _taken(gradient, back), None, None
