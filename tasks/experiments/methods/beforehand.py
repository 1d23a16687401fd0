"""Masks known beforehand: the rules by which methods make them that are never dense.

All hold equally many weights. Families and tiles keep every self-connection, as the smallest coefficients do
where these cost nothing, so that mean degrees are equal as well.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.models import geometric_mask, rewired_mask, tile_mask
from moduli.models.masks.registry import MaskFamily
from moduli.regularizers import Regularizer


class MaskRule(Protocol):
    """How a method makes the mask of a recurrent matrix before training."""

    def mask(self, n: int, points: Tensor | None, *, sparsity: float, seed: int) -> Tensor:
        """Return a mask, booleans ``(n, n)``, True where a weight is alive.

        Parameters
        ----------
        n : int
            Number of neurons.
        points : Tensor or None
            Where they are, ``(n, *point_shape)``; None where the method has no manifold.
        sparsity : float
            Fraction of weights to cut.
        seed : int
            Seed of all choices.
        """


@dataclass(frozen=True)
class SmallestCoefficients:
    """The places of the smallest coefficients.

    Parameters
    ----------
    regularizer : Regularizer
        Whose coefficients they are.
    manifold : Manifold
        Where the neurons are.
    make : callable
        `moduli.models.geometric_mask`, or a function like it that leaves out some of the pairs.
    """

    regularizer: Regularizer
    manifold: Manifold
    make: Callable[..., Tensor] = geometric_mask

    def mask(self, n: int, points: Tensor | None, *, sparsity: float, seed: int) -> Tensor:
        """Return the mask of the smallest coefficients."""
        assert points is not None
        return self.make(self.regularizer, self.manifold, points, sparsity=sparsity, seed=seed)


@dataclass(frozen=True)
class Tiles:
    """The tiles of a manifold; see `moduli.models.tile_mask`."""

    manifold: Manifold
    bridges: float = 0.0

    def mask(self, n: int, points: Tensor | None, *, sparsity: float, seed: int) -> Tensor:
        """Return the mask of the tiles."""
        assert points is not None
        return tile_mask(self.manifold, points, sparsity=sparsity, bridges=self.bridges, seed=seed)


@dataclass(frozen=True)
class Family:
    """A family of masks that needs nothing but a size."""

    name: str
    make: MaskFamily

    def mask(self, n: int, points: Tensor | None, *, sparsity: float, seed: int) -> Tensor:
        """Return the family's mask.

        Raises
        ------
        InvalidParameter
            If the family returns something else than a mask.
        """
        mask: object = self.make(n, sparsity=sparsity, seed=seed)
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (n, n):
            given = f"{tuple(mask.shape)} {mask.dtype}" if isinstance(mask, Tensor) else type(mask).__name__
            raise InvalidParameter(f"The masks of {self.name} must be {(n, n)} torch.bool, got {given}.")
        return mask


@dataclass(frozen=True)
class Rewired:
    """The masks of another rule with their connections elsewhere, at equal degrees."""

    rule: MaskRule

    def mask(self, n: int, points: Tensor | None, *, sparsity: float, seed: int) -> Tensor:
        """Return the rewired mask; see `moduli.models.rewired_mask`."""
        return rewired_mask(self.rule.mask(n, points, sparsity=sparsity, seed=seed), seed)
