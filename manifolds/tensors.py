"""Which tensors are taken: plain ones, whose numbers lie in memory and can be computed with."""

from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, ModuliError
from moduli.manifolds.errors import InvalidPoints


def require_tensor(
    value: object, what: str, error: type[ModuliError] = InvalidParameter, *, with_values: bool = False
) -> Tensor:
    """Return a value if it is a plain tensor of real numbers, or raise.

    Parameters
    ----------
    value : object
        What was given.
    what : str
        Its name in error messages, such as ``"The mask"``.
    error : type
        The error to raise.
    with_values : bool
        Whether the numbers are needed, so that the meta device will not do.

    Raises
    ------
    ModuliError
        Of the given type, if it is not a tensor, or is sparse, nested, quantized or complex.

    Examples
    --------
    >>> require_tensor(torch.zeros(2, 2).to_sparse(), "The mask")
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: The mask must be a plain tensor, got a sparse one; pass .to_dense().
    """
    if not isinstance(value, Tensor):
        raise error(f"{what} must be a tensor, got {type(value).__name__}.")
    if form := _form(value):
        raise error(f"{what} must be a plain tensor, got {form}.")
    if with_values and value.is_meta:
        raise error(f"{what} must hold numbers, which the meta device lacks; move it to another device.")
    return value


def _form(tensor: Tensor) -> str | None:
    """Return what keeps a tensor from being a plain one, and what to do about it; None where nothing does."""
    if tensor.is_nested:
        return "a nested one; pass its parts one by one"
    if tensor.is_quantized:
        return "a quantized one; pass .dequantize()"
    if tensor.layout != torch.strided:
        return "a sparse one; pass .to_dense()"
    return "a complex one; pass .real" if tensor.is_complex() else None


def require_points(value: object, manifold: Any, what: str = "Points") -> Tensor:
    """Return a value if it is a tensor of points of a manifold's shape, or raise.

    Parameters
    ----------
    value : object
        What was given.
    manifold : Manifold
        Whose points; they have the shape ``(..., *point_shape)``.
    what : str
        Their name in error messages.

    Raises
    ------
    InvalidPoints
        If it is not a plain floating-point tensor of this shape.
    """
    owner = f"{what} of {type(manifold).__name__}"
    points = require_tensor(value, owner, InvalidPoints)
    shape = tuple(manifold.point_shape)
    leading = points.dim() - len(shape)
    if leading < 0 or tuple(points.shape[leading:]) != shape:
        expected = "(..." + "".join(f", {size}" for size in shape) + ")"
        raise InvalidPoints(
            f"{owner} must have shape {expected}, got {tuple(points.shape)}; "
            "random_point(n) shows valid ones."
        )
    if not points.is_floating_point():
        raise InvalidPoints(
            f"{owner} must be floating-point, got {points.dtype}; convert them with .float()."
        )
    return points
