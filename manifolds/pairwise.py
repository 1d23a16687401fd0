"""Distance matrices in chunks of rows: exact symmetry, little memory, finite gradients."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from moduli.manifolds.errors import InvalidDistance

Distance = Callable[[Tensor, Tensor], Tensor]

# Coordinates handled at once: fewer cost calls, more leave the processor's cache (benchmarks/README.md); a
# graphics processor is kept busy by more.
CHUNK, CHUNK_ELSEWHERE = 2**19, 2**25

# Coordinates so few that one call costs less than eight smaller ones.
SMALL = 2**9

# Coordinates so few that keeping each step of a formula for its gradient costs a few megabytes.
KEPT = 2**17


def pairwise_distances(distance: Distance, x: Tensor, y: Tensor | None, name: str) -> Tensor:
    """Return the distances between all points of ``x`` and all of ``y``, or of ``x`` itself.

    Parameters
    ----------
    distance : callable
        Elementwise, broadcasting distance.
    x, y : Tensor
        Points of shape ``(n, *point_shape)`` and ``(m, *point_shape)``.
    name : str
        The name of the owner of ``distance`` in error messages.

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
        # torch.broadcast_shapes imports sympy when it is first called, which takes half a second.
        sizes = zip(a.shape[:leading], b.shape[:leading], strict=True)
        expected = torch.Size(first if second == 1 else second for first, second in sizes)
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

    if torch.is_grad_enabled() and (x.requires_grad or (y is not None and y.requires_grad)):
        return _concatenated(checked, x, y)
    return _filled(checked, x, y)


def _row_chunks(x: Tensor, y: Tensor | None) -> Iterator[slice]:
    width = max(1, len(x if y is None else y) * x[:1].numel())
    height = max(1, (CHUNK if x.device.type == "cpu" else CHUNK_ELSEWHERE) // width)
    if y is None and _coordinates(x, y) > SMALL:
        # Half of each chunk on the diagonal is computed in vain; eight chunks keep that to a sixteenth.
        height = min(height, -(-len(x) // 8) or 1)
    for start in range(0, max(1, len(x)), height):
        yield slice(start, min(start + height, len(x)))


def _coordinates(x: Tensor, y: Tensor | None) -> int:
    """Return how many coordinates a matrix is made of."""
    return len(x) * max(1, len(x if y is None else y) * x[:1].numel())


def _among(distance: Distance, x: Tensor) -> Tensor:
    """Return the strictly upper triangle of distances; no point is ever compared with itself.

    Many formulas have no gradient at coincident points, and NaN times zero is NaN: leaving the
    diagonal out is the only safe way to keep it out of the gradient.
    """
    i, j = torch.triu_indices(len(x), len(x), offset=1, device=x.device)
    upper = x.new_zeros(len(x), len(x))
    return upper.index_put((i, j), distance(x[i], x[j]))


def _filled(distance: Distance, x: Tensor, y: Tensor | None) -> Tensor:
    """Return the matrix where no gradient is recorded: each chunk of rows in one call."""
    out = x.new_empty(len(x), len(x) if y is None else len(y))
    for rows in _row_chunks(x, y):
        if y is not None:
            out[rows] = distance(x[rows, None], y[None])
            continue
        chunk = distance(x[rows, None], x[None, rows.start :])
        # triu would wake every thread for the smallest matrix, which takes milliseconds on a busy machine.
        place = torch.arange(len(chunk), device=chunk.device)
        among = torch.where(place[:, None] < place, chunk[:, : len(chunk)], 0)
        later = chunk[:, len(chunk) :]
        out[rows, rows] = among + among.T
        out[rows, rows.stop :] = later
        out[rows.stop :, rows] = later.T
    return out


def _concatenated(distance: Distance, x: Tensor, y: Tensor | None) -> Tensor:
    """Return the matrix with its gradient; writing into slices would copy all of it once a chunk."""

    def strip(rows: slice) -> Tensor:
        """Return the distances of some rows to ``y``, or above the diagonal."""
        if y is not None:
            return distance(x[rows, None], y[None])
        among = _among(distance, x[rows])
        later = distance(x[rows, None], x[None, rows.stop :])
        return torch.cat([among.new_zeros(len(among), rows.start), among, later], dim=1)

    # The transforms of torch.func do not admit the hooks by which checkpoints recompute. A small matrix is
    # not worth it: the first checkpoint of a process imports PyTorch's compiler, for more than a second.
    plain = torch._C._are_functorch_transforms_active() or _coordinates(x, y) <= KEPT
    matrix = torch.cat(
        [strip(rows) if plain else checkpoint(strip, rows, use_reentrant=False) for rows in _row_chunks(x, y)]
    )
    # Where there is no pair of points, the zero gradient comes from here.
    matrix = matrix + sum(points[:0].sum() for points in (x, y) if points is not None)
    return matrix if y is not None else matrix + matrix.T
