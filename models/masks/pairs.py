"""Symmetric masks as lists of pairs: what the families of random graphs are made of.

A symmetric mask that keeps every self-connection is n self-connections and a number of pairs, each of which
is two weights: one from i to j and one back.
"""

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.models.arguments import as_sparsity
from moduli.models.errors import InvalidSparsity
from moduli.requirements import require_dimension, require_seed

MOST_NEURONS = 2**17
"""The most neurons that a mask may connect: its booleans alone take 16 GiB."""

Pairs = NDArray[numpy.int64]
"""Pairs of different neurons, ``(m, 2)``."""


def pairs_wanted(n: int, sparsity: float) -> int:
    """Return how many pairs a symmetric mask with all self-connections holds at a sparsity.

    The number of weights is exact to within one, since pairs come in twos.

    Raises
    ------
    InvalidParameter
        If n is not a positive integer.
    InvalidSparsity
        If the sparsity is not a number in [0, 1), or would cut self-connections as well.

    Examples
    --------
    >>> pairs_wanted(256, 0.9)
    3149
    """
    return round((living_wanted(n, sparsity) - n) / 2)


def living_wanted(n: int, sparsity: float) -> int:
    """Return how many weights a mask with all self-connections holds at a sparsity.

    Raises
    ------
    InvalidParameter
        If n is not a positive integer.
    InvalidSparsity
        If the sparsity is not a number in [0, 1), or would cut self-connections as well.
    """
    if require_dimension("A mask", n, "n") > MOST_NEURONS:
        raise InvalidParameter(f"A mask: n must be at most {MOST_NEURONS:,}, got {n:,}.")
    sparsity = as_sparsity(sparsity)
    living = n * n - round(sparsity * n * n)
    if living < n:
        raise InvalidSparsity(
            f"{n} neurons keep all their self-connections, so that sparsity is at most {1 - 1 / n:.6g}; "
            f"got {sparsity!r}."
        )
    return living


def mask_of(n: int, pairs: Pairs) -> Tensor:
    """Return the symmetric mask of some pairs and of all self-connections, booleans ``(n, n)``."""
    mask = torch.eye(n, dtype=torch.bool)
    low, high = torch.from_numpy(pairs).unbind(dim=1)
    mask[low, high] = mask[high, low] = True
    return mask


def sole_claims(rows: Pairs, columns: Pairs, n: int) -> NDArray[numpy.bool_]:
    """Tell which claims get the pair of neurons that they want: of several claims to one pair, one.

    Parameters
    ----------
    rows, columns : array of int64
        The pair of each claim, as a place in an ``(n, n)`` matrix: ``(i, j)`` and ``(j, i)`` are one pair;
        any shape.
    n : int
        Number of neurons.

    Returns
    -------
    array of bool
        Of the claims' shape.
    """
    places = numpy.minimum(rows, columns) * n + numpy.maximum(rows, columns)
    owner = numpy.empty(n * n, dtype=numpy.int32)
    numbers = numpy.arange(places.size, dtype=numpy.int32).reshape(places.shape)
    owner[places] = numbers  # of several, one is written last
    claims: NDArray[numpy.bool_] = owner[places] == numbers
    return claims


def generator_of(seed: int) -> numpy.random.Generator:
    """Return a generator of random numbers for a seed, which PyTorch's generators would take as well.

    Raises
    ------
    InvalidParameter
        If the seed is not an integer of at most 64 bits.
    """
    return numpy.random.default_rng(require_seed(seed) % 2**64)  # NumPy takes none below 0
