"""What a backward pass that is written by hand does where it is differentiated itself."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def transformed() -> bool:
    """Tell whether a transform of `torch.func`, or forward differentiation, follows each operation."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0


def is_differentiated(upstream: Tensor) -> bool:
    """Tell whether a backward pass is followed itself, so that it must consist of PyTorch's own operations.

    `torch.autograd.function.once_differentiable` does not guard against it: it refuses only where the
    gradient that comes in has a history, and drops the history of what was saved without a word.

    Parameters
    ----------
    upstream : Tensor
        The gradient that comes in.
    """
    if torch.compiler.is_compiling():  # a compiled backward pass has no gradient itself
        return False
    batched = torch._C._functorch.is_legacy_batchedtensor(upstream)
    return torch.is_grad_enabled() or batched or transformed()


def recomputed(
    function: Callable[..., Tensor],
    inputs: Sequence[Tensor | None],
    needed: Sequence[bool],
    upstream: Tensor,
) -> list[Tensor | None]:
    """Return the gradients of a function, each with its own history.

    Parameters
    ----------
    function : callable
        The function in PyTorch's own operations.
    inputs : sequence of (Tensor or None)
        Its arguments.
    needed : sequence of bool
        Of which a gradient is needed.
    upstream : Tensor
        The gradient of its result.

    Returns
    -------
    list of (Tensor or None)
        A gradient for each input, None where it is not needed.
    """
    with torch.enable_grad():
        # One argument may have been made of another, whose gradient must not pass through it twice.
        own = [each if each is None else each.view_as(each) for each in inputs]
        wanted = [each for each, need in zip(own, needed, strict=True) if need and each is not None]
        found = iter(torch.autograd.grad(function(*own), wanted, upstream, create_graph=True))
    return [
        next(found) if need and each is not None else None for each, need in zip(own, needed, strict=True)
    ]
