"""A mask family: a function of a size, a sparsity and a seed, and what it claims of its masks."""

import torch
from torch import Tensor

from moduli.models import InvalidSparsity, register_mask_family


@register_mask_family("banded", claims=("symmetric", "self-connected", "nested"))
def banded_mask(n: int, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return the mask of neurons in a row, each connected to its nearest ones.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut; exact to within one pair.
    seed : int
        Seed of the choice among the pairs of the largest distance, of which not all fit.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidSparsity
        If it would cut self-connections as well.

    Examples
    --------
    >>> banded_mask(4, sparsity=0.375).int()
    tensor([[1, 1, 0, 0],
            [1, 1, 1, 0],
            [0, 1, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    living = n * n - round(sparsity * n * n)
    if not n <= living <= n * n:
        raise InvalidSparsity(f"sparsity must be in [0, {1 - 1 / n:.6g}] for {n} neurons; got {sparsity!r}.")
    low, high = torch.triu_indices(n, n, offset=1)
    ties = torch.rand(len(low), generator=torch.Generator().manual_seed(seed))
    nearest = (high - low + ties).argsort()[: round((living - n) / 2)]
    mask = torch.eye(n, dtype=torch.bool)
    mask[low[nearest], high[nearest]] = True
    return mask | mask.T
