"""Lengths of vectors, coordinate by coordinate.

A matrix of distances reduces few coordinates for many pairs. PyTorch's reductions over a short last
dimension do not vectorise; sums over whole matrices, one for each coordinate, do, and never hold
more than one difference for each pair (less than half the time on the sphere, on one core).
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

# Coordinates beyond which one reduction costs less than so many sums.
MANY = 16


def sum_of_squares(terms: Iterable[Tensor]) -> Tensor:
    """Return the sum of the squares of one or more tensors."""
    terms = iter(terms)
    first = next(terms)
    total = first * first
    for term in terms:
        total = torch.addcmul(total, term, term)
    return total


def root(x: Tensor) -> Tensor:
    """Return the square root, with gradient zero where it is zero."""
    if not x.requires_grad:
        return x.sqrt()
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1).sqrt(), 0)


def squared_chord(x: Tensor, y: Tensor) -> Tensor:
    """Return ``|x - y|²``."""
    if x.shape[-1] > MANY:
        return (x - y).square().sum(dim=-1)
    return sum_of_squares(a - b for a, b in zip(x.unbind(-1), y.unbind(-1), strict=True))


def squared_cochord(x: Tensor, y: Tensor) -> Tensor:
    """Return ``|x + y|²``."""
    if x.shape[-1] > MANY:
        return (x + y).square().sum(dim=-1)
    return sum_of_squares(a + b for a, b in zip(x.unbind(-1), y.unbind(-1), strict=True))


def gaps(x: Tensor, y: Tensor) -> Iterator[Tensor]:
    """Yield the differences of all pairs: of ``(h, d)`` and ``(m, d)`` points, d matrices ``(h, m)``."""
    for a, b in zip(x.mT, y.mT.contiguous(), strict=True):
        yield a[:, None] - b


def squared_length(steps: Iterable[Tensor]) -> Tensor:
    """Return the sum of the squares of one or more tensors, where no gradient is recorded."""
    steps = iter(steps)
    total = next(steps).square()
    for step in steps:
        total.addcmul_(step, step)
    return total


def inverse(length: Tensor) -> Tensor:
    """Return the inverse of lengths, zero at zero: an infinite weight there still shows, as NaN."""
    return length.reciprocal().masked_fill_(length == 0, 0)


def pulled_along(steps: Iterable[Tensor], weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return what differences pull on both ends, times weights: shapes ``(h, d)`` and ``(m, d)``.

    The differences are overwritten.
    """
    first, second = [], []
    for step in steps:
        pull = step.mul_(weights)
        first.append(pull.sum(1))
        second.append(pull.sum(0).neg_())
    return torch.stack(first, 1), torch.stack(second, 1)
