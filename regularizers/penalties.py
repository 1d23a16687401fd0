"""The penalty that coefficients put on weights, and its proximal operator."""

from collections.abc import Iterator
from functools import partial
from typing import Literal, get_args

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from moduli.errors import InvalidParameter, suggestion
from moduli.manifolds.tensors import require_tensor
from moduli.regularizers.errors import InvalidCoefficients, ShapeMismatch
from moduli.regularizers.geometry import check_gates
from moduli.requirements import as_float, require_non_negative
from moduli.second_derivatives import is_differentiated, recomputed, transformed
from moduli.showing import shown

Reduction = Literal["mean", "sum"]

# Weights handled at once on a CPU: 2**18 of them are 1 MiB in float32, which stays in a processor's cache.
CHUNK = 2**18


def penalty(weight: Tensor, coefficients: Tensor, p: float = 1, reduction: Reduction = "mean") -> Tensor:
    """Return the mean or the sum of ``coefficients * |weight|^p``.

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
    reduction : {"mean", "sum"}
        The mean over all weights, as in the paper, or their sum, as in most of the literature.

    Returns
    -------
    Tensor
        A scalar. Its gradient reaches the weight and, if asked for, the coefficients; no
        intermediate is kept for the backward pass beyond the two arguments.

    Raises
    ------
    ShapeMismatch
        If the weight is not a whole number of gates of the coefficients' shape.
    InvalidCoefficients
        If a coefficient is negative, infinite or NaN.
    InvalidParameter
        If ``p`` is below 1, or the reduction is unknown.

    Examples
    --------
    >>> penalty(torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]]))
    tensor(3.2500)
    """
    if not 1 <= as_float(p) < float("inf"):
        raise InvalidParameter(f"The penalty's exponent p must be finite and at least 1, got {shown(p)}.")
    _check_values(coefficients)
    return weighted_power(weight, coefficients, p, reduction)


def weighted_power(
    weight: Tensor, coefficients: Tensor, p: float = 1, reduction: Reduction = "mean"
) -> Tensor:
    """Return the `penalty` of coefficients that a regularizer made, which has checked their values."""
    _check(weight, coefficients)
    share = _share(weight, reduction)
    if transformed():
        return _plainly(weight, coefficients, p, share)
    result: Tensor = _WeightedPower.apply(weight, coefficients, p, share)  # type: ignore[no-untyped-call]
    return result


def _plainly(weight: Tensor, coefficients: Tensor, p: float, share: float) -> Tensor:
    """Return ``share * Σ c |w|^p`` in operations that PyTorch differentiates any number of times."""
    # An even power is smooth at zero, where dead weights are, and the magnitude is not.
    powers = weight.pow(p) if p % 2 == 0 else weight.abs().pow(p)
    precision = torch.promote_types(weight.dtype, torch.float32)
    terms = powers.reshape(-1, *coefficients.shape) * coefficients
    return (terms.sum(dtype=precision) * share).to(weight.dtype)


@torch.no_grad()
def proximal(weight: Tensor, coefficients: Tensor, step: float, reduction: Reduction = "mean") -> Tensor:
    """Shrink a weight in place, by the proximal operator of ``step * penalty(weight, coefficients)``.

    The result minimises ``|x - weight|² / 2 + step * penalty(x, coefficients, p=1)`` over x. It is
    the soft threshold ``sign(w) max(|w| - t, 0)``, which gives exact zeros. Because the penalty is
    a mean, its threshold ``t = step * coefficients / weight.numel()`` falls with the weight's size;
    with ``reduction="sum"`` it is ``step * coefficients``. After a gradient step on the task's loss
    alone, ``step`` is the learning rate times the penalty's strength: that is the proximal gradient
    method (Parikh and Boyd, "Proximal algorithms", 2014, sections 4.2 and 6.5.2).

    Parameters
    ----------
    weight : Tensor
        Weight of shape ``(gates * n_targets, n_sources)``; changed in place, without gradient.
    coefficients : Tensor
        Non-negative coefficients of shape ``(n_targets, n_sources)``; same dtype and device.
    step : float
        Factor of the penalty, not negative.
    reduction : {"mean", "sum"}
        The reduction of the penalty whose proximal operator this is.

    Returns
    -------
    Tensor
        The weight itself.

    Raises
    ------
    ShapeMismatch
        If the weight is not a whole number of gates of the coefficients' shape.
    InvalidCoefficients
        If a coefficient is negative, infinite or NaN.
    InvalidParameter
        If the step is negative or not finite, or the reduction is unknown.

    Examples
    --------
    >>> weight = torch.tensor([[1.0, -2.0]])
    >>> proximal(weight, torch.tensor([[0.5, 3.0]]), step=1.0)
    tensor([[ 0.7500, -0.5000]])
    >>> proximal(weight, torch.tensor([[0.5, 3.0]]), step=1.0)
    tensor([[0.5000, 0.0000]])
    """
    step = require_non_negative("The proximal step", step)
    _check(weight, coefficients)
    _check_values(coefficients)
    if any(stride == 0 and size > 1 for stride, size in zip(weight.stride(), weight.shape, strict=True)):
        raise ShapeMismatch("The weight is an expanded view, which cannot be written into; pass .clone().")
    share = step * _share(weight, reduction)
    for own, shared, threshold in _row_chunks(weight, coefficients):
        torch.mul(coefficients[shared], share, out=threshold)
        weight[own].sub_(weight[own].clamp(-threshold, threshold))
    return weight


class _WeightedPower(torch.autograd.Function):
    """``share * Σ c |w|^p``, chunk by chunk, with a backward pass that recomputes instead of storing."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, coefficients: Tensor, p: float, share: float) -> Tensor:
        ctx.save_for_backward(weight, coefficients)
        ctx.p, ctx.share = p, share  # type: ignore[attr-defined]
        # Half precision could not hold the sum of many terms.
        precision = torch.promote_types(weight.dtype, torch.float32)
        total = weight.new_zeros((), dtype=precision)
        for own, shared, scratch in _row_chunks(weight, coefficients):
            total += _power(weight[own], p, scratch).mul_(coefficients[shared]).sum(dtype=precision)
        return total.mul_(share).to(weight.dtype)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        weight, coefficients = ctx.saved_tensors  # type: ignore[attr-defined]
        p: float = ctx.p  # type: ignore[attr-defined]
        if is_differentiated(gradient):
            plain = partial(_plainly, p=p, share=ctx.share)  # type: ignore[attr-defined]
            needed = ctx.needs_input_grad[:2]  # type: ignore[attr-defined]
            for_weight, for_coefficients = recomputed(plain, (weight, coefficients), needed, gradient)
            return for_weight, for_coefficients, None, None
        scale = gradient * ctx.share  # type: ignore[attr-defined]
        for_weight, for_coefficients = None, None
        if ctx.needs_input_grad[0]:  # type: ignore[attr-defined]
            for_weight = torch.empty_like(weight)
            for own, shared, scratch in _row_chunks(weight, coefficients):
                slope = torch.sign(weight[own], out=for_weight[own])
                if p != 1:
                    slope.mul_(_power(weight[own], p - 1, scratch)).mul_(p)
                slope.mul_(coefficients[shared]).mul_(scale)
        if ctx.needs_input_grad[1]:  # type: ignore[attr-defined]
            for_coefficients = torch.zeros_like(coefficients)
            for own, shared, scratch in _row_chunks(weight, coefficients):
                for_coefficients[shared].add_(_power(weight[own], p, scratch))
            for_coefficients.mul_(scale)
        return for_weight, for_coefficients, None, None


def _check(weight: Tensor, coefficients: Tensor) -> None:
    require_tensor(coefficients, "The coefficients", ShapeMismatch)
    check_gates(weight, tuple(coefficients.shape), "the coefficients'")
    if not weight.is_floating_point():
        raise ShapeMismatch(f"The weight must be floating-point, got {weight.dtype}.")
    if (weight.dtype, weight.device) != (coefficients.dtype, coefficients.device):
        raise ShapeMismatch(
            f"The weight is {weight.dtype} on {weight.device}, its coefficients are {coefficients.dtype} on "
            f"{coefficients.device}; move the coefficients with .to(weight)."
        )


def _check_values(coefficients: Tensor) -> None:
    require_tensor(coefficients, "The coefficients", ShapeMismatch)
    if coefficients.is_meta or coefficients.numel() == 0 or torch.compiler.is_compiling():
        return
    low, high = torch.aminmax(coefficients.detach())
    if not (low >= 0 and high < float("inf")):  # NaN fails the comparison
        found = coefficients[~((coefficients >= 0) & (coefficients < float("inf")))][0]
        raise InvalidCoefficients(
            f"Coefficients must be finite and non-negative, the price of a weight; got {float(found):g}."
        )


def _share(weight: Tensor, reduction: str) -> float:
    """Return the factor of one weight's term in the penalty."""
    if reduction not in get_args(Reduction):
        raise InvalidParameter(
            f"Unknown reduction {reduction!r}; {suggestion(str(reduction), get_args(Reduction))}"
        )
    return 1 / weight.numel() if reduction == "mean" else 1.0


def _row_chunks(weight: Tensor, coefficients: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yield chunks of rows of the weight, with the rows of their coefficients and memory of that size.

    On a CPU a chunk stays in the cache; an accelerator takes a whole gate at once. All chunks share
    one memory: fresh memory for each fragmented the heap until it held one more weight.
    """
    rows, columns = coefficients.shape
    height = max(1, CHUNK // columns) if weight.device.type == "cpu" else rows
    scratch = weight.new_empty(min(height, rows), columns)
    for gate in range(0, len(weight), rows):
        for start in range(0, rows, height):
            stop = min(start + height, rows)
            yield slice(gate + start, gate + stop), slice(start, stop), scratch[: stop - start]


def _power(weight: Tensor, p: float, out: Tensor) -> Tensor:
    magnitude = torch.abs(weight, out=out)
    return magnitude if p == 1 else magnitude.pow_(p)
