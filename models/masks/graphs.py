"""Families of graphs as masks: random, regular, ring, small world.

All keep every self-connection, and all but the random one are symmetric. All hold the same number of weights
at the same sparsity, exact to within one pair, so that a comparison of families is one at equal mean degree.
"""

import numpy
import torch
from torch import Tensor

from moduli.models.masks.pairs import (
    Pairs,
    generator_of,
    living_wanted,
    mask_of,
    pairs_wanted,
    sole_claims,
)
from moduli.models.masks.registry import register_mask_family
from moduli.models.masks.rewiring import rewired_mask
from moduli.requirements import require_share

ATTEMPTS = 64
"""How often a pair of a small world looks for another end; in a mask that is nearly full it may find none."""


@register_mask_family("random", claims=("self-connected", "nested"))
def random_graph_mask(n: int, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return a mask of random connections between different neurons, all choices being equally likely.

    It is the directed random graph G(n, m) with all self-connections; `random_mask` leaves those to chance.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut.
    seed : int
        Seed of the choice.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, with all self-connections; in general not symmetric.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain.

    Examples
    --------
    >>> mask = random_graph_mask(100, sparsity=0.9)
    >>> int(mask.sum()), bool(mask.diagonal().all())
    (1000, True)
    """
    others = living_wanted(n, sparsity) - n
    mask = torch.eye(n, dtype=torch.bool)
    places = (~mask).flatten().nonzero().flatten()
    order = torch.from_numpy(generator_of(seed).permutation(len(places)))
    mask.view(-1)[places[order[:others]]] = True
    return mask


@register_mask_family("ring", claims=("symmetric", "self-connected", "nested"))
def ring_mask(n: int, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return the mask of a ring on which every neuron is connected to its nearest ones.

    Parameters
    ----------
    n : int
        Number of neurons, in their order on the ring.
    sparsity : float
        Fraction of weights to cut.
    seed : int
        Seed of the choice among the pairs of the largest distance, of which not all fit.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain.

    Examples
    --------
    >>> ring_mask(5, sparsity=0.4).int()
    tensor([[1, 1, 0, 0, 1],
            [1, 1, 1, 0, 0],
            [0, 1, 1, 1, 0],
            [0, 0, 1, 1, 1],
            [1, 0, 0, 1, 1]], dtype=torch.int32)
    """
    return mask_of(n, _ring(n, sparsity, generator_of(seed)))


@register_mask_family("small-world", claims=("symmetric", "self-connected"))
def small_world_mask(n: int, *, sparsity: float = 0.9, rewiring: float = 0.1, seed: int = 0) -> Tensor:
    """Return the mask of a ring some of whose pairs lead elsewhere: a small world.

    Each pair of the ring keeps one end, and with probability ``rewiring`` gets another random end (Watts
    and Strogatz, "Collective dynamics of 'small-world' networks", Nature 1998). An end goes where no pair is,
    so that the ring's own places are nearly empty where ``rewiring`` is 1; `regular_mask` and `rewired_mask`
    leave there what chance would.

    Parameters
    ----------
    n : int
        Number of neurons, in their order on the ring.
    sparsity : float
        Fraction of weights to cut.
    rewiring : float
        Probability with which a pair leads elsewhere, in [0, 1].
    seed : int
        Seed of all choices.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain.

    Examples
    --------
    >>> int((small_world_mask(64, rewiring=0.5) & ~ring_mask(64)).sum()) > 0
    True
    """
    rewiring = require_share("rewiring is a probability", rewiring, whole=True)
    generator = generator_of(seed)
    pairs = _ring(n, sparsity, generator)
    alive = mask_of(n, pairs).numpy()
    leaving = pairs[generator.random(len(pairs)) < rewiring]
    for _ in range(ATTEMPTS):
        kept, new = leaving[:, 0], generator.integers(n, size=len(leaving))
        free = (kept != new) & ~alive[kept, new]
        goes = free & sole_claims(kept, new, n)
        for ends, value in ((leaving[goes, 1], False), (new[goes], True)):
            alive[kept[goes], ends] = alive[ends, kept[goes]] = value
        leaving = leaving[~goes]
    return torch.from_numpy(alive)


@register_mask_family("regular", claims=("symmetric", "self-connected", "regular"))
def regular_mask(n: int, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return a random mask in which all neurons have as many connections, to within one.

    It is a graph of these degrees whose connections have exchanged their ends until nothing else is left of
    it: a random regular graph (Maslov and Sneppen, Science 2002), without the spread of degrees that
    `random_mask` has.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut.
    seed : int
        Seed of all choices.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain.

    Examples
    --------
    >>> degrees = regular_mask(256).sum(dim=0)
    >>> int(degrees.min()), int(degrees.max())
    (25, 26)
    """
    return random_regular_graph(n, pairs_wanted(n, sparsity), seed)


def random_regular_graph(n: int, pairs: int, seed: int) -> Tensor:
    """Return the mask of a random graph of so many pairs, all degrees being equal to within one."""
    even = _even_pairs(n, pairs)
    return rewired_mask(mask_of(n, generator_of(seed).permutation(n)[even]), seed=seed)


def _ring(n: int, sparsity: float, generator: numpy.random.Generator) -> Pairs:
    """Return the pairs nearest to each other on a ring; of the last distance, a random choice."""
    wanted = pairs_wanted(n, sparsity)
    layers, count = [], 0
    distance = 0
    while count < wanted:
        distance += 1
        layer = _at_distance(n, distance)
        layer = layer[numpy.sort(generator.permutation(len(layer))[: wanted - count])]
        layers.append(layer)
        count += len(layer)
    return numpy.concatenate(layers) if layers else numpy.empty((0, 2), dtype=numpy.int64)


def _even_pairs(n: int, wanted: int) -> Pairs:
    """Return pairs of which all neurons have as many, to within one.

    A distance on the ring gives every neuron two pairs. What remains is fewer than n pairs: every second
    pair of the ring itself, whose pairs in order are a cycle, or all but every second one.
    """
    full, rest = divmod(wanted, n)
    if 2 * (full + 1) >= n:  # every distance is needed, and what remains is opposite pairs
        layers = [_at_distance(n, distance) for distance in range(1, full + 1)]
        return numpy.concatenate([*layers, _at_distance(n, n // 2)[:rest]])
    cycle = _at_distance(n, 1)
    if 2 * rest <= n:
        remaining = cycle[: 2 * rest : 2]
    else:
        remaining = numpy.delete(cycle, numpy.arange(0, 2 * (n - rest), 2), axis=0)
    layers = [_at_distance(n, distance) for distance in range(2, full + 2)]
    return numpy.concatenate([*layers, remaining])


def _at_distance(n: int, distance: int) -> Pairs:
    """Return the pairs of neurons at a distance on a ring, each once."""
    start = numpy.arange(n // 2 if 2 * distance == n else n, dtype=numpy.int64)
    return numpy.stack([start, (start + distance) % n], axis=1)
