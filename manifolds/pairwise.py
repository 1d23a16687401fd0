"""Distance matrices in blocks of rows: exact symmetry, little memory, finite gradients."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from moduli.manifolds.errors import InvalidDistance

Distance = Callable[[Tensor, Tensor], Tensor]

# Coordinates handled at once: 2**20 of them are 4 MiB in float32, which stays in a processor's cache.
BLOCK = 2**20


def pairwise_distances(distance: Distance, x: Tensor, y: Tensor | None, name: str) -> Tensor:
    """Return the distances between all points of ``x`` and all of ``y``, or of ``x`` itself.

    Parameters
    ----------
    distance : callable
        Elementwise, broadcasting distance.
    x, y : Tensor
        Points of shape ``(n, *point_shape)`` and ``(m, *point_shape)``.
    name : str
        How an error calls the owner of ``distance``.

    Returns
    -------
    Tensor
        Matrix of shape ``(n, m)``; exactly symmetric with zero diagonal if ``y`` is None.

    Raises
    ------
    InvalidDistance
        If ``distance`` returns the wrong shape or dtype.
    """

    def checked(a: Tensor, b: Tensor) -> Tensor:
        leading = a.dim() - x.dim() + 1
        expected = torch.broadcast_shapes(a.shape[:leading], b.shape[:leading])  # type: ignore[no-untyped-call]
        if expected.numel() == 0:
            return x.new_empty(expected)
        result = distance(a, b)
        if not isinstance(result, Tensor) or result.shape != expected or result.dtype != x.dtype:
            got = (
                f"{tuple(result.shape)} {result.dtype}"
                if isinstance(result, Tensor)
                else type(result).__name__
            )
            raise InvalidDistance(
                f"{name}.distance of points {tuple(a.shape)} and {tuple(b.shape)} must return "
                f"{tuple(expected)} {x.dtype}, got {got}."
            )
        return result

    records_gradient = torch.is_grad_enabled() and (x.requires_grad or (y is not None and y.requires_grad))

    def strip(rows: slice) -> tuple[Tensor, ...]:
        """Return the distances of some rows: to ``y``; or to one another, and to later rows."""
        if y is not None:
            return (checked(x[rows, None], y[None]),)
        return _among(checked, x[rows]), checked(x[rows, None], x[None, rows.stop :])

    strips: Iterator[tuple[slice, tuple[Tensor, ...]]] = (
        (rows, checkpoint(strip, rows, use_reentrant=False) if records_gradient else strip(rows))
        for rows in _row_blocks(x, y)
    )
    if records_gradient:
        return _concatenate(strips, x, y)
    return _fill(strips, x, y)


def _row_blocks(x: Tensor, y: Tensor | None) -> Iterator[slice]:
    width = max(1, len(x if y is None else y) * x[:1].numel())
    height = max(1, BLOCK // width)
    for start in range(0, max(1, len(x)), height):
        yield slice(start, min(start + height, len(x)))


def _among(distance: Distance, x: Tensor) -> Tensor:
    """Return the strictly upper triangle of distances; no point is ever compared with itself.

    Many formulas have no gradient at coincident points, and NaN times zero is NaN: leaving the
    diagonal out is the only safe way to keep it out of the gradient.
    """
    i, j = torch.triu_indices(len(x), len(x), offset=1, device=x.device)
    upper = x.new_zeros(len(x), len(x))
    return upper.index_put((i, j), distance(x[i], x[j]))


def _fill(strips: Iterator[tuple[slice, tuple[Tensor, ...]]], x: Tensor, y: Tensor | None) -> Tensor:
    out = x.new_empty(len(x), len(x) if y is None else len(y))
    for rows, blocks in strips:
        if y is not None:
            out[rows] = blocks[0]
        else:
            among, later = blocks
            out[rows, rows] = among + among.T
            out[rows, rows.stop :] = later
            out[rows.stop :, rows] = later.T
    return out


def _concatenate(strips: Iterator[tuple[slice, tuple[Tensor, ...]]], x: Tensor, y: Tensor | None) -> Tensor:
    # Writing into slices would make autograd copy the whole matrix once a block.
    if y is not None:
        return torch.cat([block for _, (block,) in strips])
    upper = torch.cat(
        [
            torch.cat([among.new_zeros(len(among), rows.start), among, later], dim=1)
            for rows, (among, later) in strips
        ]
    )
    return upper + upper.T
