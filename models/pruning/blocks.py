"""Square blocks of a weight matrix, and the order of neurons in which blocks connect neighbours."""

import math

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold


class Blocks:
    """The square blocks into which a weight matrix is divided.

    Blocks at the right and lower edges may be smaller, and none reaches from one gate into the next.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight matrix.
    granularity : int
        Height and width of a block.
    gates : int
        Number of gates that the rows stack.

    Raises
    ------
    InvalidParameter
        If the granularity is no positive integer.

    Examples
    --------
    >>> blocks = Blocks((4, 3), 2)
    >>> blocks.sizes
    tensor([[4, 2],
            [4, 2]])
    >>> blocks.spread(torch.tensor([[True, False], [False, True]]))
    tensor([[ True,  True, False],
            [ True,  True, False],
            [False, False,  True],
            [False, False,  True]])
    """

    def __init__(self, shape: tuple[int, int], granularity: int, gates: int = 1) -> None:
        if not isinstance(granularity, int) or isinstance(granularity, bool) or granularity < 1:
            raise InvalidParameter(f"granularity must be a positive integer, got {granularity!r}.")
        height = shape[0] // gates
        rows = torch.arange(shape[0])
        self._rows = rows // height * math.ceil(height / granularity) + rows % height // granularity
        self._columns = torch.arange(shape[1]) // granularity
        self.sizes = torch.outer(self._rows.bincount(), self._columns.bincount())

    def means(self, values: Tensor) -> Tensor:
        """Return the mean of each block of a matrix, one number a block."""
        rows, columns, sizes = (each.to(values.device) for each in (self._rows, self._columns, self.sizes))
        sums = values.new_zeros(len(sizes), values.shape[1]).index_add_(0, rows, values)
        return sums.new_zeros(sizes.shape).index_add_(1, columns, sums) / sizes

    def spread(self, values: Tensor) -> Tensor:
        """Return the matrix whose every block holds one value, that of the block."""
        return values[self._rows.to(values.device)][:, self._columns.to(values.device)]


def order_along(manifold: Manifold, points: Tensor) -> Tensor:
    """Return an order of neurons in which neighbours on the manifold have neighbouring numbers.

    The neurons are divided, again and again, into those nearer to one and those nearer to the other
    of two points far apart. The first part is a power of two, so that neurons ``k·g … k·g + g - 1``
    are one part for every power of two ``g``: a block of a weight matrix then connects two groups
    of neighbours. Only distances are used.

    Parameters
    ----------
    manifold : Manifold
        The space.
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
    manifold.check_points(points, "The points to be ordered")
    with torch.no_grad():
        return _bisected(manifold, points, torch.arange(len(points), device=points.device))


def _bisected(manifold: Manifold, points: Tensor, members: Tensor) -> Tensor:
    if len(members) < 2:
        return members
    places = points[members]
    end = manifold.distance(places, places[:1]).argmax()
    to_end = manifold.distance(places, places[end, None])
    to_start = manifold.distance(places, places[to_end.argmax(), None])
    ranked = members[(to_start - to_end).argsort(stable=True)]
    half = 1 << (len(members) - 1).bit_length() - 1
    return torch.cat([_bisected(manifold, points, part) for part in (ranked[:half], ranked[half:])])
