"""Lengths of vectors, coordinate by coordinate.

A matrix of distances reduces few coordinates for many pairs. PyTorch's reductions over a short last
dimension do not vectorise; sums over whole matrices, one for each coordinate, do, and never hold
more than one difference for each pair (less than half the time on the sphere, on one core).
"""

from collections.abc import Iterable

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
