"""Bridges: the nearest pairs of neurons of different tiles, found without the distances of all pairs."""

import math

import torch
from torch import Tensor

from moduli.manifolds import Manifold


@torch.no_grad()
def nearest_across(manifold: Manifold, points: Tensor, tile: Tensor, count: int, seed: int) -> Tensor:
    """Return the nearest pairs of neurons of different tiles.

    Tiles are taken one by one, with those beyond them whose nearest neuron may still be near enough: by the
    triangle inequality, distances between two tiles are at least that of their middles, less both radii.
    Memory is that of one tile's distances to all neurons, and of the pairs.

    Parameters
    ----------
    manifold : Manifold
        The space.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    tile : Tensor
        The number of each neuron's tile, int64 ``(n,)``.
    count : int
        How many pairs.
    seed : int
        Seed of the choice among pairs at equal distance.

    Returns
    -------
    Tensor
        Numbers of both neurons, int64 ``(2, count)``, fewer if there are not as many pairs.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> line = torch.tensor([[0.0], [1.0], [5.0], [7.0]])
    >>> nearest_across(Euclidean(1), line, torch.tensor([0, 0, 1, 1]), count=1, seed=0)
    tensor([[1],
            [2]])
    """
    if count == 0:
        return torch.empty(2, 0, dtype=torch.int64, device=points.device)
    generator = torch.Generator().manual_seed(seed)
    members = torch.split(tile.argsort(stable=True), tile.bincount().tolist())
    middles, radii = _middles(manifold, points, members)
    sizes = torch.tensor([len(each) for each in members], device=points.device)
    ordered = torch.cat(members)
    pairs, distances, ties = torch.empty(2, 0, dtype=torch.int64), torch.empty(0), torch.empty(0)
    farthest = math.inf
    for number, own in enumerate(members[:-1]):
        apart = manifold.pairwise(points[middles[number, None]], points[middles])[0] - radii - radii[number]
        # Some slack, since distances are rounded.
        near = apart <= farthest + 1e-3 * (farthest + radii.max())
        near[: number + 1] = False
        beyond = ordered[near.repeat_interleave(sizes)]
        between = manifold.pairwise(points[own], points[beyond])
        rows, columns = (between <= farthest).nonzero(as_tuple=True)
        found = torch.stack([own[rows], beyond[columns]]).cpu()
        pairs = torch.cat([pairs, found], dim=1)
        distances = torch.cat([distances, between[rows, columns].cpu()])
        ties = torch.cat([ties, torch.rand(len(rows), generator=generator)])
        if len(distances) > 2 * count:
            pairs, distances, ties = _first(count, pairs, distances, ties)
            farthest = float(distances.max())
    pairs, _, _ = _first(count, pairs, distances, ties)
    return pairs.to(points.device)


def _middles(manifold: Manifold, points: Tensor, members: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return the neuron in the middle of each tile, and its distance to the farthest one there."""
    middles, radii = [], []
    for own in members:
        radius, middle = manifold.pairwise(points[own]).amax(dim=1).min(dim=0)
        middles.append(own[middle])
        radii.append(radius)
    return torch.stack(middles), torch.stack(radii)


def _first(count: int, pairs: Tensor, distances: Tensor, ties: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the nearest of some pairs; of equally near ones those whose number for ties is smaller."""
    order = ties.argsort()
    order = order[distances[order].argsort(stable=True)][:count]
    return pairs[:, order], distances[order], ties[order]
