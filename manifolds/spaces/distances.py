"""Finite metric spaces given by their matrix of distances."""

from collections.abc import Sequence
from typing import Any, Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.identity import Array, frozen
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.finite import FiniteSpace
from moduli.requirements import require_choice

Matrix = NDArray[np.float64]

TOLERANCE = 1e-6
"""What counts as rounding, relative to the distances in question."""

ALL_TRIPLES = 4096
"""Up to so many points all triples are checked."""


@register("distances")
class FiniteMetric(FiniteSpace):
    """A finite metric space, given by the matrix of its distances.

    A point is the number of a row, in a vector of length 1. What is not a metric is refused:
    differences of a relative 1e-6 (8 units of rounding in half precision) count as rounding, and the
    mean of the two values makes the matrix symmetric.

    Every triple of up to 4,096 points is checked, which takes n³ / 2 steps: a second for 1,000 points and a
    minute for 4,000 on one core. Of more points, as many are drawn as take equally long, and all triples
    that begin at one of them are checked; `verify` looks further.

    Parameters
    ----------
    matrix : array of shape (n, n)
        Distances. A spec holds the matrix in full.
    labels : sequence, optional
        Names of the points, by which errors call them; their numbers when absent.

    Attributes
    ----------
    table : Tensor
        The distances, in float64.

    Examples
    --------
    >>> towns = FiniteMetric([[0.0, 3.0], [3.0, 0.0]], labels=["A", "B"])
    >>> towns.distance(torch.tensor([0.0]), torch.tensor([1.0]))
    tensor(3.)
    """

    def __init__(self, matrix: Any, labels: Sequence[Any] | None = None) -> None:
        values, rounding = _numbers(matrix)
        self.labels = _checked_labels(labels, len(values))
        distances = _symmetric(values, self.labels, rounding)
        _require_triangles(distances, self.labels, rounding)
        self.table = torch.from_numpy(distances)
        self._arguments |= {"matrix": Array(distances), "labels": None if labels is None else self.labels}

    @property
    def count(self) -> int:
        """How many points there are."""
        return len(self.table)

    def lookup(self, i: Tensor, j: Tensor) -> Tensor:
        """Return distances from the table."""
        return self.table.to(i.device)[i, j]

    def __repr__(self) -> str:
        return f"<FiniteMetric of {self.count} points>"


def from_distances(
    matrix: Any, labels: Sequence[Any] | None = None, repair: Literal["shortest-path"] | None = None
) -> FiniteMetric:
    """Return a finite metric space with given distances.

    Parameters
    ----------
    matrix : array of shape (n, n)
        Symmetric, with a zero diagonal and positive distances elsewhere, for which the triangle inequality
        holds.
    labels : sequence, optional
        Names of the points, by which errors call them; their numbers when absent.
    repair : "shortest-path", optional
        Replace each distance by the length of the shortest path over other points, which is the largest
        metric below the given numbers. An infinite number then says that no step leads directly.

    Returns
    -------
    FiniteMetric

    Raises
    ------
    InvalidParameter
        If the matrix is not a metric; the error names the points and the numbers.

    Examples
    --------
    >>> from_distances([[0, 1, 3], [1, 0, 1], [3, 1, 0]])
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: from_distances: d(0, 2) = 3 is longer than d(0, 1) + d(1, 2) = 1 + 1; ...
    >>> from_distances([[0, 1, 3], [1, 0, 1], [3, 1, 0]], repair="shortest-path").table[0]
    tensor([0., 1., 2.], dtype=torch.float64)
    """
    if repair is None:
        return FiniteMetric(matrix, labels)
    require_choice("repair", repair, ("shortest-path",))
    values, rounding = _numbers(matrix)
    names = _checked_labels(labels, len(values))
    lengths = _symmetric(values, names, rounding, steps=True)
    return FiniteMetric(_shortest_paths(lengths, names), labels)


def _numbers(matrix: Any) -> tuple[Matrix, float]:
    """Return the matrix in float64, and what counts as rounding in it."""
    try:
        given = frozen(matrix)
        values = np.asarray(given.values if isinstance(given, Array) else given)
    except ValueError as error:
        raise InvalidParameter(f"from_distances: the matrix is not rectangular ({error}).") from error
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) == 0:
        raise InvalidParameter(f"from_distances: the matrix must have shape (n, n), got {values.shape}.")
    if values.dtype.kind not in "fiu":
        raise InvalidParameter(f"from_distances: distances must be real numbers, got {values.dtype}.")
    # A tensor of bfloat16 has become float32 on its way; its own rounding counts.
    original = getattr(matrix, "dtype", None)
    eps = torch.finfo(original).eps if original in (torch.float16, torch.bfloat16) else 0.0
    if values.dtype.kind == "f":
        eps = max(eps, float(np.finfo(values.dtype).eps))
    return values.astype(np.float64), max(TOLERANCE, 8 * eps)


def _checked_labels(labels: Sequence[Any] | None, n: int) -> tuple[Any, ...]:
    if labels is None:
        return tuple(range(n))
    names: tuple[Any, ...] = tuple(frozen(label) for label in labels)
    if len(names) != n:
        raise InvalidParameter(f"from_distances: expected {n} labels, one for each point, got {len(names)}.")
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if (first := seen.setdefault(repr(name), number)) != number:
            raise InvalidParameter(f"from_distances: points {first} and {number} have one label, {name!r}.")
    return names


def _symmetric(values: Matrix, names: tuple[Any, ...], rounding: float, steps: bool = False) -> Matrix:
    """Return the matrix exactly symmetric with a zero diagonal, or raise if rounding does not explain it.

    Parameters
    ----------
    values : ndarray
        Distances, or lengths of direct steps, which may be infinite.
    names : tuple
        The points' names.
    rounding : float
        The relative difference that counts as rounding.
    steps : bool
        Whether the numbers are lengths of steps.
    """

    def refuse(wrong: NDArray[np.bool_], what: str) -> None:
        if wrong.any():
            i, j = np.unravel_index(int(wrong.argmax()), wrong.shape)
            there, back = f"{values[i, j]:.9g}", f"{values[j, i]:.9g}"
            pair = f"d({names[i]!r}, {names[j]!r}) = {there}"
            raise InvalidParameter(
                f"from_distances: {pair}{what.format(back=f'd({names[j]!r}, {names[i]!r}) = {back}')}"
            )

    distinct = ~np.eye(len(values), dtype=bool)
    refuse(np.isnan(values), ", which is not a number; fill it in or leave the point out.")
    refuse(values == -np.inf, "; a distance cannot be negative.")
    infinite = np.isinf(values)
    if not steps:
        refuse(
            infinite,
            "; a distance must be finite: take one piece, or repair='shortest-path' if paths lead there.",
        )
    refuse(distinct & (values < 0), "; a distance cannot be negative.")
    refuse(distinct & (values == 0), ", though the two are different points; merge them.")
    nearest = np.where(distinct, values, np.inf).min(axis=1)
    refuse(
        ~distinct & ~(np.abs(values) <= rounding * np.where(np.isinf(nearest), 1, nearest)[:, None]),
        "; a point's distance from itself must be zero.",
    )
    with np.errstate(invalid="ignore"):
        apart = np.abs(values - values.T) > rounding * np.maximum(values, values.T)
    refuse(
        distinct & (apart | (infinite != infinite.T)),
        " differs from {back}; take the mean of the matrix and its transpose, if both measure the same.",
    )
    symmetric: Matrix = np.where(distinct, (values + values.T) / 2, 0.0)
    return symmetric


def _require_triangles(distances: Matrix, names: tuple[Any, ...], rounding: float) -> None:
    """Raise unless no distance is longer than a path over a third point.

    The largest difference of two rows, max_k |d(i, k) - d(j, k)|, is at least d(i, j), as k = j shows, and
    equals it for all i and j if and only if every triangle holds (Kuratowski's embedding). SciPy has it as
    the Chebyshev distance of the rows.
    """
    from scipy.spatial.distance import cdist

    n = len(distances)
    starts = np.arange(n)
    if n > ALL_TRIPLES:
        starts = np.sort(np.random.default_rng(0).choice(n, size=ALL_TRIPLES**3 // n**2, replace=False))
    for chunk in np.array_split(starts, max(1, len(starts) * n // 2**20)):
        # Where all points begin a triple, those before the chunk are done.
        others = slice(chunk[0] if len(starts) == n else 0, n)
        direct = distances[chunk, others]
        excess = cdist(distances[chunk], distances[others], "chebyshev") - direct
        # Rounding is relative to the longest side, which only the pairs that stand out are asked for.
        rows, columns = np.nonzero(excess > rounding * direct)
        for some in np.array_split(np.arange(len(rows)), len(rows) * n // 2**20 + 1):
            i, j = chunk[rows[some]], columns[some] + others.start
            to_i, to_j = distances[i], distances[j]
            wrong = np.abs(to_i - to_j) - distances[i, j, None] > rounding * np.maximum(to_i, to_j)
            if wrong.any():
                pair, k = (int(index) for index in np.argwhere(wrong)[0])
                _refuse_triangle(distances, names, int(i[pair]), int(j[pair]), k)


def _refuse_triangle(distances: Matrix, names: tuple[Any, ...], i: int, j: int, k: int) -> NoReturn:
    if distances[i, k] < distances[j, k]:
        i, j = j, i
    long, first, second = (f"{distances[pair]:.9g}" for pair in ((i, k), (i, j), (j, k)))
    a, b, c = repr(names[i]), repr(names[j]), repr(names[k])
    raise InvalidParameter(
        f"from_distances: d({a}, {c}) = {long} is longer than d({a}, {b}) + d({b}, {c}) = "
        f"{first} + {second}; repair='shortest-path' shortens it."
    )


def _shortest_paths(lengths: Matrix, names: tuple[Any, ...]) -> Matrix:
    """Return the lengths of shortest paths over any points."""
    from scipy.sparse.csgraph import floyd_warshall

    paths: Matrix = floyd_warshall(lengths, directed=False)
    if not np.isfinite(paths).all():
        i, j = np.argwhere(~np.isfinite(paths))[0]
        raise InvalidParameter(
            f"from_distances: no path leads from {names[i]!r} to {names[j]!r}; take the points of one piece."
        )
    return np.minimum(paths, paths.T)
