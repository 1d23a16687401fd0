"""The penalty that coefficients put on weights."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from moduli.manifolds import InvalidParameter
from moduli.regularizers.errors import ShapeMismatch


def penalty(weight: Tensor, coefficients: Tensor, p: float = 1) -> Tensor:
    """Return the mean of ``coefficients * |weight|^p``.

    Source: arXiv 2406.06290, the moduli regularization term. The gates of an LSTM or GRU are
    stacked in one weight; they share the coefficients.

    Parameters
    ----------
    weight : Tensor
        Weight of shape ``(gates * n_targets, n_sources)``.
    coefficients : Tensor
        Non-negative coefficients of shape ``(n_targets, n_sources)``; same dtype and device.
    p : float
        Exponent, at least 1.

    Returns
    -------
    Tensor
        A scalar. Its gradient reaches the weight and, if asked for, the coefficients; no
        intermediate is kept for the backward pass beyond the two arguments.

    Raises
    ------
    ShapeMismatch
        If the weight is no whole number of gate blocks of the coefficients' shape.
    InvalidParameter
        If ``p`` is below 1.

    Examples
    --------
    >>> penalty(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]]))
    tensor(3.2500)
    """
    if not p >= 1:
        raise InvalidParameter(f"The penalty's exponent p must be at least 1, got {p!r}.")
    fits = weight.dim() == coefficients.dim() == 2 and weight.shape[1] == coefficients.shape[1]
    if not fits or weight.numel() == 0 or weight.shape[0] % coefficients.shape[0]:
        raise ShapeMismatch(
            f"A weight of shape {tuple(weight.shape)} is no stack of blocks of the coefficients' shape "
            f"{tuple(coefficients.shape)}."
        )
    if (weight.dtype, weight.device) != (coefficients.dtype, coefficients.device):
        raise ShapeMismatch(
            f"The weight is {weight.dtype} on {weight.device}, its coefficients are {coefficients.dtype} on "
            f"{coefficients.device}; move the coefficients with .to(weight)."
        )
    gates = weight.reshape(-1, *coefficients.shape)
    result: Tensor = _WeightedPower.apply(gates, coefficients, p)  # type: ignore[no-untyped-call]
    return result


class _WeightedPower(torch.autograd.Function):
    """``mean(c |w|^p)``, with a backward pass that recomputes instead of storing."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, coefficients: Tensor, p: float) -> Tensor:
        ctx.save_for_backward(weight, coefficients)
        ctx.p = p  # type: ignore[attr-defined]
        return _power(weight, p).mul_(coefficients).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weight, coefficients = ctx.saved_tensors  # type: ignore[attr-defined]
        p: float = ctx.p  # type: ignore[attr-defined]
        scale = gradient / weight.numel()
        for_weight = for_coefficients = None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            slope = weight.sign()
            if p != 1:
                slope.mul_(_power(weight, p - 1)).mul_(p)
            for_weight = slope.mul_(coefficients).mul_(scale)
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            for_coefficients = _power(weight, p).sum(dim=0).mul_(scale)
        return for_weight, for_coefficients, None


def _power(weight: Tensor, p: float) -> Tensor:
    magnitude = weight.abs()
    return magnitude if p == 1 else magnitude.pow_(p)
