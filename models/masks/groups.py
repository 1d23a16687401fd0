"""Families of masks that part neurons into groups: cliques, communities, twins.

All keep every self-connection, are symmetric, and hold the same number of weights at the same sparsity, exact
to within one pair.
"""

import numpy
from numpy.typing import NDArray
from torch import Tensor

from moduli.models.errors import InvalidSparsity
from moduli.models.masks.graphs import random_regular_graph
from moduli.models.masks.pairs import generator_of, mask_of, pairs_wanted
from moduli.models.masks.registry import register_mask_family
from moduli.requirements import require_dimension


@register_mask_family("cliques", claims=("symmetric", "self-connected"))
def clique_mask(n: int, *, sparsity: float = 0.9, seed: int = 0) -> Tensor:
    """Return a mask of groups in which all neurons are connected, with no connection between groups.

    The groups are of equal size to within one neuron, and as many as come nearest to the sparsity; a few
    random pairs are then added between groups, or cut within them, so that the number of weights is exact.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut; a third at least, which leaves two groups.
    seed : int
        Seed of the groups' members and of the random pairs.

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
    >>> from scipy.sparse.csgraph import connected_components
    >>> connected_components(clique_mask(250, sparsity=0.9).numpy())[0]
    10
    """
    wanted = pairs_wanted(n, sparsity)
    groups = min(n, round(1 / (1 - sparsity)))
    if groups < 2 <= n:
        raise InvalidSparsity(
            f"Cliques are two groups at least, which takes a sparsity of a third or more; got {sparsity!r}."
        )
    generator = generator_of(seed)
    group = generator.permutation(n) % groups
    within = numpy.triu(group[:, None] == group, k=1)
    inner = numpy.argwhere(within)
    if wanted <= len(inner):
        return mask_of(n, inner[generator.permutation(len(inner))[:wanted]])
    outer = numpy.argwhere(numpy.triu(~within, k=1))
    more = generator.choice(len(outer), size=wanted - len(inner), replace=False)
    return mask_of(n, numpy.concatenate([inner, outer[more]]))


@register_mask_family("communities", claims=("symmetric", "self-connected"))
def community_mask(n: int, *, sparsity: float = 0.9, communities: int = 5, seed: int = 0) -> Tensor:
    """Return a mask of random pairs within groups, with no connection between groups.

    It is a stochastic block model whose probability between groups is 0 (Holland, Laskey and Leinhardt,
    "Stochastic blockmodels: first steps", Social Networks 1983), at an exact number of pairs.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut.
    communities : int
        Number of groups, of equal size to within one neuron.
    seed : int
        Seed of the groups' members and of the pairs.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain, or the groups do not have as many pairs.

    Examples
    --------
    >>> from scipy.sparse.csgraph import connected_components
    >>> connected_components(community_mask(250, sparsity=0.9, communities=4).numpy())[0]
    4
    """
    wanted = pairs_wanted(n, sparsity)
    communities = require_dimension("community_mask", communities, "communities")
    generator = generator_of(seed)
    group = generator.permutation(n) % communities
    inner = numpy.argwhere(numpy.triu(group[:, None] == group, k=1))
    if wanted > len(inner):
        least = 1 - (n + 2 * len(inner)) / n**2
        raise InvalidSparsity(
            f"{communities} communities of {n} neurons hold {len(inner):,} pairs, which is a sparsity of "
            f"{least:.4g} at least; got {sparsity!r}. Fewer communities hold more."
        )
    return mask_of(n, inner[generator.permutation(len(inner))[:wanted]])


@register_mask_family("twins", claims=("symmetric", "self-connected"))
def twin_mask(n: int, *, sparsity: float = 0.9, twins: int = 5, seed: int = 0) -> Tensor:
    """Return a mask in which small groups of neurons have the same connections.

    The groups are the nodes of a random regular graph. All neurons of two connected groups are connected,
    those of one group are not: the blow-up of the graph. Neurons share many neighbours, which makes many
    cycles of four, yet walks mix as fast as on the random graph.

    Parameters
    ----------
    n : int
        Number of neurons.
    sparsity : float
        Fraction of weights to cut.
    twins : int
        Neurons in a group; where n is not a multiple, some groups have more.
    seed : int
        Seed of the groups' members and of the graph.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections.

    Raises
    ------
    InvalidParameter, InvalidSparsity
        If an argument is outside its domain, or the groups do not have as many pairs.

    Examples
    --------
    >>> mask = twin_mask(100, sparsity=0.9, twins=5).fill_diagonal_(False)
    >>> len(set(map(tuple, mask.tolist()))) < 25
    True
    """
    wanted = pairs_wanted(n, sparsity)
    groups = max(1, n // require_dimension("twin_mask", twins, "twins"))
    generator = generator_of(seed)
    group = generator.permutation(n) % groups
    low, high = numpy.triu_indices(n, k=1)
    apart = int((group[low] != group[high]).sum())
    if wanted > apart:
        raise InvalidSparsity(
            f"Groups of {twins} twins leave {apart:,} pairs of {n} neurons, which is a sparsity of "
            f"{1 - (n + 2 * apart) / n**2:.4g} at least; got {sparsity!r}. Smaller groups leave more."
        )
    edges = min(groups * (groups - 1) // 2, -(-wanted // (n // groups) ** 2))
    rank = _ranks(random_regular_graph(groups, edges, seed), generator)[group[low], group[high]]
    order = numpy.lexsort((generator.permutation(len(low)), rank))[:wanted]
    return mask_of(n, numpy.stack([low[order], high[order]], axis=1))


def _ranks(graph: Tensor, generator: numpy.random.Generator) -> NDArray[numpy.int64]:
    """Return a random rank of each edge of a graph, ``(nodes, nodes)``; where there is none, the last."""
    edges = numpy.argwhere(numpy.triu(graph.numpy(), k=1))
    ranks = numpy.full(graph.shape, len(edges), dtype=numpy.int64)
    ranks[edges[:, 0], edges[:, 1]] = ranks[edges[:, 1], edges[:, 0]] = generator.permutation(len(edges))
    return ranks
