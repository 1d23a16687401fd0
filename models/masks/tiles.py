"""Tiles of a manifold as masks: the neurons of one tile connect, which makes dense blocks."""

import numpy
import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_manifold
from moduli.models.errors import InvalidSparsity
from moduli.models.masks.pairs import generator_of, mask_of, pairs_wanted
from moduli.models.placement.ordering import parted
from moduli.requirements import require_share


def tile_mask(
    manifold: Manifold | str,
    points: Tensor,
    *,
    sparsity: float = 0.9,
    bridges: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Return the mask in which the neurons of one tile of a manifold are connected.

    The manifold is cut into tiles of equally many neurons, to within one, by bisection along it; there are as
    many tiles as come nearest to the sparsity. What is left over goes to the nearest pairs of neurons of
    different tiles, or is cut from the farthest pairs within a tile, so that the number of weights is exact.
    `compress` and `train_survivors` multiply tiles as dense blocks.

    Parameters
    ----------
    manifold : Manifold or str
        The space, or its name.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    sparsity : float
        Fraction of weights to cut; a third at least, which leaves two tiles. Exact to within one pair.
    bridges : float
        About which share of the weights connects different tiles, in [0, 1): there are more tiles then, and
        what they leave connects the nearest neurons beyond their borders.
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
    InvalidParameter
        If the bridges are outside their domain, or would leave more tiles than neurons.

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
    count = tiles_wanted(n, sparsity, bridges)
    with torch.no_grad():
        distance = manifold.pairwise(points.detach()).cpu().double().numpy()
        tile = tiles_of(manifold, points.detach(), count).cpu().numpy()
    low, high = numpy.triu_indices(n, k=1)
    apart = tile[low] != tile[high]
    ties = generator_of(seed).permutation(len(low))
    # Pairs within a tile come first; of both kinds the nearest, and of equally near ones a random choice.
    order = numpy.lexsort((ties, distance[low, high], apart))[:wanted]
    return mask_of(n, numpy.stack([low[order], high[order]], axis=1)).to(points.device)


def tiles_wanted(n: int, sparsity: float, bridges: float = 0.0) -> int:
    """Return the number of tiles whose neurons, connected, come nearest to a sparsity.

    Raises
    ------
    InvalidSparsity
        If that is fewer than two.
    InvalidParameter
        If the bridges are outside [0, 1), or that is more tiles than neurons.

    Examples
    --------
    >>> tiles_wanted(1000, 0.9), tiles_wanted(1000, 0.9, bridges=0.25)
    (10, 13)
    """
    bridges = require_share("bridges is a share of the weights", bridges)
    count = round(1 / ((1 - sparsity) * (1 - bridges)))
    if count < 2 <= n:
        raise InvalidSparsity(
            f"Tiles are two at least, which takes a sparsity of a third or more; got {sparsity!r}."
        )
    if count > n and bridges:
        raise InvalidParameter(
            f"bridges={bridges:g} at a sparsity of {sparsity:g} takes {count} tiles, but there are {n} "
            f"neurons; bridges of at most {max(0.0, 1 - 1 / (n * (1 - sparsity))):.3g} leave one for each."
        )
    return min(n, count)


def tiles_of(manifold: Manifold, points: Tensor, count: int) -> Tensor:
    """Return the number of each neuron's tile, int64 ``(n,)``.

    The manifold is bisected, and its parts again, into tiles of equally many neurons to within one. Only
    distances to single neurons are taken, never those of all pairs.

    Parameters
    ----------
    manifold : Manifold
        The space.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    count : int
        Number of tiles, at most n.
    """
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
