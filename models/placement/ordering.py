"""The order of neurons in which neighbours on a manifold have neighbouring numbers."""

import torch
from torch import Tensor

from moduli.manifolds import InvalidPoints, Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_manifold


def order_along(manifold: Manifold | str, points: Tensor) -> Tensor:
    """Return an order of neurons in which neighbours on the manifold have neighbouring numbers.

    The neurons are divided, again and again, into those nearer to one and those nearer to the other
    of two points far apart. The first part is a power of two, so that neurons ``k·g … k·g + g - 1``
    are one part for every power of two ``g``: a block of a weight matrix then connects two groups
    of neighbours. Only distances are used.

    Parameters
    ----------
    manifold : Manifold or str
        The space, or its name.
    points : Tensor
        Points of the neurons, ``(n, *point_shape)``.

    Returns
    -------
    Tensor
        A permutation, int64 ``(n,)``: ``points[order]`` are the same points in that order.

    Raises
    ------
    InvalidPoints
        If the points are not on the manifold.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> line = torch.tensor([[3.0], [0.0], [2.0], [1.0]])
    >>> line[order_along(Euclidean(1), line)].flatten()
    tensor([3., 2., 1., 0.])
    """
    manifold = as_manifold(manifold)
    manifold.check_points(points, "The points to be ordered")
    require_tensor(points, "The points to be ordered", with_values=True)
    with torch.no_grad():
        return _bisected(manifold, points, torch.arange(len(points), device=points.device))


def parted(manifold: Manifold, points: Tensor, members: Tensor, first: int) -> tuple[Tensor, Tensor]:
    """Return neurons in two parts, each nearer to one of two points that are far apart.

    Parameters
    ----------
    manifold : Manifold
        The space.
    points : Tensor
        Points of all neurons, ``(n, *point_shape)``.
    members : Tensor
        Numbers of the neurons that are parted, int64.
    first : int
        How many neurons the first part holds.

    Returns
    -------
    tuple of Tensor
        Numbers of the neurons of both parts.

    Raises
    ------
    InvalidPoints
        If a distance is NaN or infinite: such neurons cannot be put in an order.
    """
    places = points[members]
    end = manifold.distance(places, places[:1]).argmax()
    to_end = manifold.distance(places, places[end, None])
    to_start = manifold.distance(places, places[to_end.argmax(), None])
    nearer = to_start - to_end
    if not nearer.isfinite().all():
        neuron = int(members[int((~nearer.isfinite()).nonzero()[0])])
        raise InvalidPoints(
            f"The neurons cannot be bisected along {manifold!r}: neuron {neuron} is at a distance that is "
            "not finite. verify(manifold) looks for the reason; points at finite distances can be bisected."
        )
    ranked = members[nearer.argsort(stable=True)]
    return ranked[:first], ranked[first:]


def _bisected(manifold: Manifold, points: Tensor, members: Tensor) -> Tensor:
    if len(members) < 2:
        return members
    half = 1 << (len(members) - 1).bit_length() - 1
    parts = parted(manifold, points, members, half)
    return torch.cat([_bisected(manifold, points, part) for part in parts])
