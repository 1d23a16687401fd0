"""Quotients of a manifold by one involution."""

from abc import abstractmethod

import torch
from torch import Tensor

from moduli.manifolds.manifold import Manifold


class DoubleQuotient(Manifold):
    """A manifold of which ``cover`` is a double cover.

    Distance: ``min(d(x, y), d(x, τ(y)))`` with the cover's distance d and an isometry τ of the
    cover whose square is the identity. The two elements of {1, τ} are all deck transformations.
    """

    cover: Manifold

    @abstractmethod
    def deck(self, x: Tensor) -> Tensor:
        """Return the other representative, τ(x), of each point."""

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the least distance over the two representatives of ``y``."""
        return torch.minimum(self.cover.distance(x, y), self.cover.distance(x, self.deck(y)))

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether the cover holds the point: either representative will do."""
        return self.cover.contains(x)
