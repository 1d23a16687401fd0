"""Neurons in places at which regularizers tend to fail."""

import torch
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.manifolds.verification.cases import Families

FAMILIES = ("random", "coincident", "near", "axis", "neighbours", "cut", "antipodal", "boundary", "far")
"""Those of the search for broken metrics, and points far beyond the random ones."""

FAR = 100.0


class Embeddings:
    """Deterministic draws of neurons on one manifold.

    Parameters
    ----------
    manifold : Manifold
        The space.
    """

    def __init__(self, manifold: Manifold) -> None:
        self.manifold = manifold
        self._families = Families(manifold)

    def draw(self, family: str, n: int, seed: int, digits: int | None, dtype: torch.dtype) -> Tensor:
        """Return up to n neurons; none if their distances are not finite.

        Parameters
        ----------
        family : str
            One of ``FAMILIES``.
        n : int
            Number of neurons, before those are left out that are not points of the manifold.
        seed : int
            Seed of all random choices.
        digits : int or None
            Decimals to which coordinates are rounded, if that leaves them on the manifold: distances are
            often equal then.
        dtype : torch.dtype
            Of the points.

        Returns
        -------
        Tensor
            Shape ``(m, *point_shape)`` with ``m <= n``.
        """
        drawn = "random" if family == "far" else family
        cases = self._families.draw(drawn, -(-n // 2), seed, digits, dtype)
        points = torch.stack([cases.x, cases.y], dim=1).flatten(0, 1)[:n]
        if family == "far":
            moved = FAR * points
            points = torch.where(_column(self.manifold.contains(moved), points), moved, points)
        if not self.manifold.pairwise(points).isfinite().all():
            return points[:0]
        return points


def reaches_far(manifold: Manifold) -> bool:
    """Tell whether a manifold has points far beyond its random ones."""
    points = manifold.random_point(8, torch.Generator().manual_seed(0)).double()
    return bool(manifold.contains(FAR * points).any())


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.dim() - 1))
