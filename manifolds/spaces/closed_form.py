"""Matrices of distances whose gradient has a closed form, computed a strip of rows at a time.

Autograd keeps or computes again each step of a formula, and a matrix of distances pays for it five times
over. A space of this kind says how the distances of a strip pull a gradient back, which costs about as much
as they do. The gradient of the gradient, and the transforms of `torch.func`, go through ``distance`` as
elsewhere.
"""

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from moduli.manifolds.manifold import Manifold
from moduli.manifolds.pairwise import pairwise_distances
from moduli.second_derivatives import is_differentiated, recomputed, transformed

# Entries of a strip, so that a few fit the processor's cache; a graphics processor is kept busy by more.
ENTRIES, ENTRIES_ELSEWHERE = 2**17, 2**24


class ClosedForm(Manifold):
    """A manifold with vectors as points that knows the distances of a strip, and their gradient.

    A subclass that overrides ``distance`` alone has the matrices that follow from its own distance.
    """

    @abstractmethod
    def strip(self, x: Tensor, y: Tensor) -> Tensor:
        """Return all distances between two lists of points.

        Parameters
        ----------
        x, y : Tensor
            Some rows of what ``prepared`` returned, h and m of them.

        Returns
        -------
        Tensor
            Shape ``(h, m)``.
        """

    @abstractmethod
    def pull(self, x: Tensor, y: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of a weighted sum of the distances that ``strip`` returns.

        Parameters
        ----------
        x, y : Tensor
            Some rows of what ``prepared`` returned, h and m of them.
        upstream : Tensor
            Weights of shape ``(h, m)``; may be overwritten.

        Returns
        -------
        tuple of Tensor
            Gradients with respect to the points, of shape ``(h, d)`` and ``(m, d)``.
        """

    def prepared(self, x: Tensor) -> Tensor:
        """Return what ``strip`` and ``pull`` work on, a row for each point: the points, by default."""
        return x

    def pairwise(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the matrix of distances between two lists of points, as `Manifold.pairwise` does."""
        self.check_pairs(x, y)
        if transformed() or x.is_meta or x.dtype.itemsize < 4 or not self._own_distance():
            return super().pairwise(x, y)
        matrix: Tensor = _Matrix.apply(self, x, y)  # type: ignore[no-untyped-call]
        return matrix

    def _own_distance(self) -> bool:
        """Tell whether ``distance`` comes from the class that ``strip`` comes from."""
        owners = [
            next(cls for cls in type(self).__mro__ if name in cls.__dict__) for name in ("distance", "strip")
        ]
        return owners[0] is owners[1]


class _Matrix(torch.autograd.Function):
    """The matrix of a `ClosedForm` and its gradient."""

    @staticmethod
    def forward(ctx: Any, manifold: ClosedForm, x: Tensor, y: Tensor | None) -> Tensor:
        ctx.manifold = manifold
        ctx.save_for_backward(x, y)
        return _filled(manifold, x, y)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        manifold, (x, y) = ctx.manifold, ctx.saved_tensors
        if not is_differentiated(upstream[0]):
            return None, *_pulled(manifold, x, y, upstream[0])
        matrix = partial(pairwise_distances, manifold.distance, name=repr(manifold))
        return None, *recomputed(matrix, (x, y), ctx.needs_input_grad[1:], upstream[0])


def _strips(x: Tensor, y: Tensor) -> Iterator[slice]:
    entries = ENTRIES if x.device.type == "cpu" else ENTRIES_ELSEWHERE
    # Of many coordinates a strip holds each one's differences.
    height = max(1, entries // max(1, len(y) * max(1, x.shape[1] // 16)))
    for start in range(0, len(x), height):
        yield slice(start, min(start + height, len(x)))


def _filled(manifold: ClosedForm, x: Tensor, y: Tensor | None) -> Tensor:
    """Return the matrix; of a symmetric one the upper triangle is computed."""
    rows_of = manifold.prepared(x)
    columns_of = rows_of if y is None else manifold.prepared(y)
    out = x.new_empty(len(rows_of), len(columns_of))
    for rows in _strips(rows_of, columns_of):
        if y is not None:
            out[rows] = manifold.strip(rows_of[rows], columns_of)
            continue
        lengths = manifold.strip(rows_of[rows], rows_of[rows.start :])
        corner = lengths[:, : len(lengths)].triu(1)
        out[rows, rows] = corner + corner.T
        later = lengths[:, len(lengths) :]
        out[rows, rows.stop :] = later
        out[rows.stop :, rows] = later.T
    return out


def _pulled(
    manifold: ClosedForm, x: Tensor, y: Tensor | None, upstream: Tensor
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients with respect to x and y, each strip's distances computed again."""
    rows_of = manifold.prepared(x)
    columns_of = rows_of if y is None else manifold.prepared(y)
    first, second = torch.zeros_like(x), None if y is None else torch.zeros_like(y)
    for rows in _strips(rows_of, columns_of):
        if second is not None:
            one, other = manifold.pull(rows_of[rows], columns_of, upstream[rows].clone())
            first[rows] = one
            second += other
            continue
        weights = upstream[rows, rows.start :] + upstream[rows.start :, rows].T
        height = len(weights)
        weights[:, :height] = weights[:, :height].triu(1)
        one, other = manifold.pull(rows_of[rows], rows_of[rows.start :], weights)
        first[rows] += one
        first[rows.start :] += other
    return first, second
