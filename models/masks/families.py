"""Masks that are known before training: geometric ones, and random ones as their control."""

import torch
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_manifold, as_regularizer, as_sparsity
from moduli.models.pruning.blocks import Blocks
from moduli.regularizers import Regularizer
from moduli.requirements import require_dimension, require_seed


def geometric_mask(
    regularizer: Regularizer | str,
    manifold: Manifold | str,
    targets: Tensor,
    sources: Tensor | None = None,
    *,
    sparsity: float,
    granularity: int = 1,
    seed: int = 0,
) -> Tensor:
    """Return the mask that keeps the weights of the smallest coefficients.

    It describes beforehand the architecture that penalty and pruning lead to, so that a network can
    be sparse from its first step (arXiv 2406.06290, section 5). ``regularizer.permuted()`` gives the
    control with as many weights and no geometry.

    Parameters
    ----------
    regularizer : Regularizer or str
        Whose coefficients rank the weights, or an expression for it.
    manifold : Manifold or str
        The space, or its name.
    targets, sources : Tensor
        Points of the receiving and of the sending neurons; one population when ``sources`` is absent.
    sparsity : float
        Fraction of weights to cut, in [0, 1); exact to within one weight, or one block.
    granularity : int
        Height and width of the square blocks that are kept or cut as a whole, by their mean coefficient.
    seed : int
        Seed of the order among equal coefficients. Both directions of a pair follow each other in it, so that
        at most one pair is parted.

    Returns
    -------
    Tensor
        Booleans ``(n_targets, n_sources)``, True where a weight is alive; on the points' device.

    Raises
    ------
    InvalidSparsity
        If the sparsity is outside [0, 1).
    InvalidParameter
        If another argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> from moduli.regularizers import Diffusion
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> geometric_mask(Diffusion(), Euclidean(1), line, sparsity=4 / 9)
    tensor([[ True,  True, False],
            [ True,  True, False],
            [False, False,  True]])
    """
    sparsity, seed = as_sparsity(sparsity), require_seed(seed)
    with torch.no_grad():
        coefficients = as_regularizer(regularizer)(as_manifold(manifold), targets, sources)
    require_tensor(coefficients, "The points", with_values=True)
    blocks = Blocks((coefficients.shape[0], coefficients.shape[1]), granularity)
    means = blocks.means(coefficients)
    if sources is None and granularity > 1 and torch.equal(coefficients, coefficients.T):
        means = (means + means.T) / 2  # sums over a block and over the one across are rounded differently
    order = _shuffled(means.numel(), seed).to(means.device)
    if sources is None:
        order = order[_ranks_of_pairs(order, len(means))[order].argsort(stable=True)]
    return _keep(order[means.flatten()[order].argsort(stable=True)], blocks, sparsity)


def _ranks_of_pairs(order: Tensor, n: int) -> Tensor:
    """Return for each place of a square matrix the earlier rank, in an order, of it and of the one across."""
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device)
    square = ranks.view(n, n)
    return torch.minimum(square, square.T).flatten()


def random_mask(
    n_targets: int, n_sources: int, *, sparsity: float, granularity: int = 1, seed: int = 0
) -> Tensor:
    """Return a mask of so many weights, all choices of weights or blocks being equally likely.

    As a graph it is the Erdős-Rényi model G(n, m) (Erdős and Rényi, "On random graphs I", 1959).

    Parameters
    ----------
    n_targets, n_sources : int
        Shape of the weight.
    sparsity : float
        Fraction of weights to cut, in [0, 1); exact to within one weight, or one block.
    granularity : int
        Height and width of the square blocks that are kept or cut as a whole.
    seed : int
        Seed of the choice.

    Returns
    -------
    Tensor
        Booleans ``(n_targets, n_sources)``, True where a weight is alive.

    Raises
    ------
    InvalidSparsity
        If the sparsity is outside [0, 1).
    InvalidParameter
        If another argument is of another kind or outside its domain.

    Examples
    --------
    >>> int(random_mask(10, 20, sparsity=0.9).sum())
    20
    """
    sparsity, seed = as_sparsity(sparsity), require_seed(seed)
    shape = (
        require_dimension("random_mask", n_targets, "n_targets"),
        require_dimension("random_mask", n_sources, "n_sources"),
    )
    blocks = Blocks(shape, granularity)
    return _keep(_shuffled(blocks.sizes.numel(), seed), blocks, sparsity)


def _shuffled(count: int, seed: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _keep(ranked: Tensor, blocks: Blocks, sparsity: float) -> Tensor:
    """Return the mask of the first blocks in a ranking of flat indices."""
    sizes = blocks.sizes.flatten().to(ranked.device)
    last_first = ranked.flip(0)
    dead = last_first[sizes[last_first].cumsum(0) <= round(sparsity * int(sizes.sum()))]
    alive = torch.ones_like(sizes, dtype=torch.bool).index_fill_(0, dead, False)
    return blocks.spread(alive.view(blocks.sizes.shape))
