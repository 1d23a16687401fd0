"""Masks: which weights are alive, by the names of their matrices."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moduli.models.table import Table, Tabular


class Masks(dict[str, Tensor], Tabular):
    """Which weights are alive: for each matrix a tensor of booleans, True where a weight is.

    Examples
    --------
    >>> Masks(weight_hh_l0=torch.eye(4) > 0, weight_ih_l0=torch.ones(4, 2) > 0)
    Masks
      matrix        shape  alive  zeros
      weight_hh_l0  4 x 4  4      75.00%
      weight_ih_l0  4 x 2  8      0.00%
      total         24     12     50.00%
    """

    __repr__ = Tabular.__repr__

    def __reduce__(self) -> tuple[Any, ...]:
        # Stored as a plain mapping, which torch.load reads with weights_only=True.
        return OrderedDict, (tuple(self.items()),)

    def sparsity(self) -> float:
        """Return the fraction of dead weights in all masks together."""
        return sum(map(zeros_in, self.values())) / sum(mask.numel() for mask in self.values())

    def table(self) -> Table:
        """Return shape, living weights and zeros of each matrix."""
        rows = [
            (name, shape_of(mask), str(mask.numel() - zeros_in(mask)), f"{zeros_in(mask) / mask.numel():.2%}")
            for name, mask in self.items()
        ]
        sizes = sum(mask.numel() for mask in self.values())
        alive = sum(mask.numel() - zeros_in(mask) for mask in self.values())
        total = ("total", str(sizes), str(alive), f"{1 - alive / sizes if sizes else 0:.2%}")
        return Table("Masks", ("matrix", "shape", "alive", "zeros"), (*rows, total))


def all_alive(weights: Mapping[str, Tensor]) -> Masks:
    """Return masks in which every weight is alive, where the weights are."""
    return Masks({name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()})


def emptied(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    """Return the names of matrices that lost their last living weight.

    Examples
    --------
    >>> emptied({"w": torch.tensor([[True, False]])}, {"w": torch.tensor([[False, False]])})
    ['w']
    """
    return [name for name, mask in after.items() if before[name].any() and not mask.any()]


def zeros_in(tensor: Tensor) -> int:
    """Return how many elements are zero."""
    return tensor.numel() - int(tensor.count_nonzero())


def shape_of(tensor: Tensor) -> str:
    """Return a shape as people write it: ``12 x 4``."""
    return " x ".join(map(str, tensor.shape))
