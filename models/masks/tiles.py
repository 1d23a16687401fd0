"""Tiles of a manifold as masks: the neurons of one tile connect, which makes dense blocks."""

import numpy
import torch
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_manifold
from moduli.models.errors import InvalidSparsity
from moduli.models.masks.pairs import generator_of, mask_of, pairs_wanted
from moduli.models.placement.ordering import parted


def tile_mask(manifold: Manifold | str, points: Tensor, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return the mask in which the neurons of one tile of a manifold are connected.

    The manifold is cut into tiles of equally many neurons, to within one, by bisection along it; there are as
    many tiles as come nearest to the sparsity. What is left over goes to the nearest pairs of neurons of
    different tiles, or is cut from the farthest pairs within a tile, so that the number of weights is exact.
    `order_along` numbers neurons so that tiles of a power of two neurons are dense blocks of the matrix.

    Parameters
    ----------
    manifold : Manifold or str
        The space, or its name.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    sparsity : float
        Fraction of weights to cut; a third at least, which leaves two tiles. Exact to within one pair.
    seed : int
        Seed of the choice among pairs at equal distance.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections; on the points' device.

    Raises
    ------
    InvalidPoints
        If the points are not on the manifold.
    InvalidSparsity
        If the sparsity is outside its domain, or leaves fewer than two tiles.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> line = torch.tensor([[0.0], [1.0], [5.0], [6.0]])
    >>> tile_mask(Euclidean(1), line, sparsity=0.5).int()
    tensor([[1, 1, 0, 0],
            [1, 1, 0, 0],
            [0, 0, 1, 1],
            [0, 0, 1, 1]], dtype=torch.int32)
    """
    manifold = as_manifold(manifold)
    manifold.check_points(points, "The points of the tiles")
    require_tensor(points, "The points of the tiles", with_values=True)
    n = len(points)
    wanted = pairs_wanted(n, sparsity)
    count = min(n, round(1 / (1 - sparsity)))
    if count < 2 <= n:
        raise InvalidSparsity(
            f"Tiles are two at least, which takes a sparsity of a third or more; got {sparsity!r}."
        )
    with torch.no_grad():
        distance = manifold.pairwise(points.detach()).cpu().double().numpy()
        tile = _tiles(manifold, points.detach(), count).cpu().numpy()
    low, high = numpy.triu_indices(n, k=1)
    apart = tile[low] != tile[high]
    ties = generator_of(seed).permutation(len(low))
    # Pairs within a tile come first; of both kinds the nearest, and of equally near ones a random choice.
    order = numpy.lexsort((ties, distance[low, high], apart))[:wanted]
    return mask_of(n, numpy.stack([low[order], high[order]], axis=1)).to(points.device)


def _tiles(manifold: Manifold, points: Tensor, count: int) -> Tensor:
    """Return the number of each neuron's tile, int64 ``(n,)``."""
    tiles = torch.zeros(len(points), dtype=torch.int64, device=points.device)
    waiting = [(torch.arange(len(points), device=points.device), 0, count)]
    while waiting:
        members, first, share = waiting.pop()
        if share == 1:
            tiles[members] = first
            continue
        half = share // 2
        parts = parted(manifold, points, members, len(members) * half // share)
        waiting += [(parts[0], first, half), (parts[1], first + half, share - half)]
    return tiles
