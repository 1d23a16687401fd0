"""Rewired masks: other places at equal degrees, the control that changes nothing but the geometry."""

import math

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import require_truths
from moduli.models.masks.pairs import Pairs, generator_of, sole_claims
from moduli.regularizers import ShapeMismatch
from moduli.requirements import require_share

Taken = NDArray[numpy.bool_]
"""Symmetric, ``(n, n)``: which neurons are connected, in either direction."""

FEWEST_ROUNDS, MOST_ROUNDS = 10, 1000
"""In each round every connection is offered one exchange. Of a ring of 256 neurons at 90% sparsity, 22% of
the connections are where they were after one round, 12% after two, and as many as chance puts there from the
fourth round on."""

ROUNDS_OF_FREE_PLACES = 5
"""An exchange needs two free places. So many rounds in which both are mix what is to be mixed."""


def rewired_mask(mask: Tensor, seed: int = 0, share: float = 1.0) -> Tensor:
    """Return a mask with the connections of another at random places, and the same degrees and pairs.

    A connection from i to j and one back are a pair. Every neuron keeps its number of pairs, its numbers of
    incoming and of outgoing connections that have none back, and its self-connection, so that a symmetric
    mask stays symmetric. Two pairs exchange their ends, or two single connections, again and again (Maslov
    and Sneppen, "Specificity and stability in topology of protein networks", Science 2002; with pairs kept,
    as in Milo et al., "Network motifs: simple building blocks of complex networks", Science 2002), where
    neither a self-connection comes of it nor a connection between neurons that are connected already. What
    degrees tell of a geometry stays, such as the crowd at the centre of a hyperbolic plane. Where every two
    neurons are connected no place is free, and the mask comes back as it was.

    Parameters
    ----------
    mask : Tensor
        Booleans ``(n, n)``, indexed ``[target, source]``, True where a weight is alive.
    seed : int
        Seed of the exchanges.
    share : float
        Share of the pairs, and of the single connections, that take part, in [0, 1]; the others stay.

    Returns
    -------
    Tensor
        Booleans ``(n, n)`` on the mask's device.

    Raises
    ------
    ShapeMismatch
        If the mask is not square.
    InvalidParameter
        If the mask holds numbers other than 0 and 1, the share is outside [0, 1], or the seed is not an
        integer of at most 64 bits.

    Examples
    --------
    >>> from moduli.models import ring_mask
    >>> ring = ring_mask(64, sparsity=0.9)
    >>> rewired = rewired_mask(ring, seed=1)
    >>> torch.equal(rewired.sum(dim=0), ring.sum(dim=0)), int((rewired & ring).sum()) < 150
    (True, True)
    """
    require_tensor(mask, "The mask", ShapeMismatch, with_values=True)
    if mask.dim() != 2 or mask.shape[0] != mask.shape[1]:
        raise ShapeMismatch(f"A square mask is rewired, (n, n); got {tuple(mask.shape)}.")
    require_truths(mask, "The mask")
    share = require_share("share is the share of connections that take part", share, whole=True)
    alive = mask.detach().cpu().bool().numpy()
    selves = numpy.eye(len(alive), dtype=bool)
    taken, generator = (alive | alive.T) & ~selves, generator_of(seed)
    pairs = numpy.argwhere(numpy.triu(alive & alive.T, k=1))
    singles = numpy.argwhere(alive & ~alive.T)
    pairs, moving_pairs = _drawn(pairs, share, generator)
    singles, moving_singles = _drawn(singles, share, generator)
    for _ in range(_rounds(taken)):
        moving_pairs = _exchanged(moving_pairs, taken, generator, directed=False)
        moving_singles = _exchanged(moving_singles, taken, generator, directed=True)
    pairs, singles = numpy.concatenate([pairs, moving_pairs]), numpy.concatenate([singles, moving_singles])
    result = torch.from_numpy(alive & selves)
    for rows, columns in (pairs.T, pairs.T[::-1], singles.T):
        result[torch.from_numpy(rows.copy()), torch.from_numpy(columns.copy())] = True
    return result.to(mask.device)


def _drawn(places: Pairs, share: float, generator: numpy.random.Generator) -> tuple[Pairs, Pairs]:
    """Return which connections stay, and which take part."""
    chosen = generator.permutation(len(places))[: round(share * len(places))]
    return numpy.delete(places, chosen, axis=0), places[chosen]


def _exchanged(edges: Pairs, taken: Taken, generator: numpy.random.Generator, *, directed: bool) -> Pairs:
    """Return connections after a round of exchanges of ends, and mark them; all happen at once."""
    half = len(edges) // 2
    if not half:
        return edges
    edges = edges[generator.permutation(len(edges))]
    first, second = edges[:half], edges[half : 2 * half]
    if not directed:  # a pair has no first end: either may be exchanged
        second = numpy.where(generator.random((half, 1)) < 0.5, second, second[:, ::-1])
    offers = numpy.stack([first[:, 0], second[:, 1], second[:, 0], first[:, 1]], axis=1).reshape(-1, 2, 2)
    rows, columns = offers[..., 0], offers[..., 1]
    free = (rows != columns) & ~taken[rows, columns]
    allowed = (free & sole_claims(rows, columns, len(taken))).all(axis=1)
    _mark(taken, numpy.concatenate([first[allowed], second[allowed]]), False)
    _mark(taken, offers[allowed].reshape(-1, 2), True)
    edges[:half][allowed] = offers[allowed, 0]
    edges[half : 2 * half][allowed] = offers[allowed, 1]
    return edges


def _rounds(taken: Taken) -> int:
    """Return how many rounds it takes, the more the fewer places are free."""
    places = max(1, taken.size - len(taken))
    free = 1 - numpy.count_nonzero(taken) / places
    needed = ROUNDS_OF_FREE_PLACES / max(free, 1e-9) ** 2
    return math.ceil(min(max(needed, FEWEST_ROUNDS), MOST_ROUNDS))


def _mark(taken: Taken, places: Pairs, value: bool) -> None:
    low, high = places.T
    taken[low, high] = taken[high, low] = value
