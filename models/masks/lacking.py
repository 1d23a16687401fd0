"""Geometric masks that lack one property: those without a triangle, and those without reciprocity."""

import numpy
import torch
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.models.arguments import as_manifold, as_regularizer
from moduli.models.errors import InvalidSparsity
from moduli.models.masks.pairs import Pairs, generator_of, living_wanted, mask_of, pairs_wanted
from moduli.regularizers import Regularizer


def two_coloured_mask(
    regularizer: Regularizer | str,
    manifold: Manifold | str,
    points: Tensor,
    *,
    sparsity: float = 0.9,
    seed: int = 0,
) -> Tensor:
    """Return the mask of the smallest coefficients between neurons of different colour.

    Half of the neurons are black, half are white, at random. Two of one colour are never connected, so that
    the mask has no triangle.

    Parameters
    ----------
    regularizer : Regularizer or str
        Whose coefficients rank the pairs, or an expression for it. Of a pair, the sum of both directions
        counts.
    manifold : Manifold or str
        The space, or its name.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    sparsity : float
        Fraction of weights to cut; about half at least. Exact to within one pair.
    seed : int
        Seed of the colours and of the order among equal coefficients.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, symmetric, with all self-connections; on the points' device.

    Raises
    ------
    InvalidSparsity
        If the sparsity is outside its domain.
    InvalidParameter
        If another argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.models import graph_statistics
    >>> torus = Torus(2)
    >>> points = torus.random_point(64, generator=torch.Generator().manual_seed(0))
    >>> graph_statistics(two_coloured_mask("diffusion", torus, points)).triangles
    0
    """
    generator = generator_of(seed)
    pairs = _nearest_pairs(regularizer, manifold, points, generator)
    black = generator.permutation(len(points)) % 2 == 0
    mixed = pairs[black[pairs[:, 0]] != black[pairs[:, 1]]]
    wanted = pairs_wanted(len(points), sparsity)
    _require_enough(wanted, len(mixed), "pairs of different colour", sparsity)
    return mask_of(len(points), mixed[:wanted]).to(points.device)


def one_way_mask(
    regularizer: Regularizer | str,
    manifold: Manifold | str,
    points: Tensor,
    *,
    sparsity: float = 0.9,
    seed: int = 0,
) -> Tensor:
    """Return the mask of the smallest coefficients in which two neurons are connected one way only.

    Of each pair one direction is drawn at random, so that the mask has no reciprocity and reaches twice as
    many pairs as one in both directions.

    Parameters
    ----------
    regularizer : Regularizer or str
        Whose coefficients rank the pairs, or an expression for it. Of a pair, the sum of both directions
        counts.
    manifold : Manifold or str
        The space, or its name.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.
    sparsity : float
        Fraction of weights to cut; about half at least.
    seed : int
        Seed of the directions and of the order among equal coefficients.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``, with all self-connections; on the points' device.

    Raises
    ------
    InvalidSparsity
        If the sparsity is outside its domain.
    InvalidParameter
        If another argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.models import graph_statistics
    >>> torus = Torus(2)
    >>> points = torus.random_point(64, generator=torch.Generator().manual_seed(0))
    >>> graph_statistics(one_way_mask("diffusion", torus, points)).reciprocity
    0.0
    """
    generator = generator_of(seed)
    pairs = _nearest_pairs(regularizer, manifold, points, generator)
    n = len(points)
    wanted = living_wanted(n, sparsity) - n
    _require_enough(wanted, len(pairs), "pairs", sparsity)
    turned = generator.random(wanted) < 0.5
    ends = numpy.where(turned[:, None], pairs[:wanted, ::-1], pairs[:wanted])
    mask = torch.eye(n, dtype=torch.bool)
    targets, sources = torch.from_numpy(ends.copy()).unbind(dim=1)
    mask[targets, sources] = True
    return mask.to(points.device)


def _nearest_pairs(
    regularizer: Regularizer | str,
    manifold: Manifold | str,
    points: Tensor,
    generator: numpy.random.Generator,
) -> Pairs:
    """Return all pairs of different neurons in the order of their coefficients; equal ones at random."""
    with torch.no_grad():
        coefficients = as_regularizer(regularizer)(as_manifold(manifold), points)
    both = (coefficients + coefficients.T).cpu().double().numpy()
    low, high = numpy.triu_indices(len(both), k=1)
    order = numpy.lexsort((generator.permutation(len(low)), both[low, high]))
    return numpy.stack([low[order], high[order]], axis=1)


def _require_enough(wanted: int, found: int, what: str, sparsity: float) -> None:
    if wanted > found:
        raise InvalidSparsity(
            f"The mask of sparsity {sparsity!r} takes {wanted:,} {what}, and there are {found:,}; "
            "cut more of it, such as 0.9."
        )
