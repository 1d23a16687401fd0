"""The gradients of a loss, whole: over micro-batches and processes, and without the penalty's."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class GradientRecorder:
    """Records gradients while those of dead weights are zero wherever anything else could see them.

    A hook on a parameter sees the gradient of one backward pass, also of one that accumulates nothing, such
    as ``torch.autograd.grad``, so that a gradient counts only when it has been accumulated. What averages
    gradients over processes within a backward pass, such as ``DistributedDataParallel``, runs after all hooks
    on the parameter and before the pass ends. From the one to the other ``weight.grad`` holds the gradients
    of dead weights too, those of earlier passes included; then it is recorded, and they are set to zero. So
    they are averaged exactly where, and over exactly those processes over which, the optimizer's own are.

    Examples
    --------
    >>> weight, mask, recorder = nn.Parameter(torch.ones(2)), torch.tensor([True, False]), GradientRecorder()
    >>> def see(gradient):
    ...     recorder.see("weight", weight, gradient)
    ...     return gradient * mask
    >>> handle = weight.register_hook(see)
    >>> handle = weight.register_post_accumulate_grad_hook(lambda _: recorder.keep("weight", weight, mask))
    >>> for slope in torch.tensor([[1.0, 2.0], [3.0, -7.0]]):
    ...     (weight * slope).sum().backward()
    >>> weight.grad
    tensor([4., 0.])
    >>> recorder.magnitudes("weight", weight, mask)
    tensor([4., 5.])
    """

    def __init__(self) -> None:
        self._penalty: dict[str, Tensor] = {}
        self._seen: dict[str, tuple[Tensor, Tensor | None, Tensor | None]] = {}
        self._kept: dict[str, Tensor] = {}
        self._left_out: dict[str, Tensor] = {}

    def apart(self, name: str, weight: nn.Parameter) -> Tensor:
        """Return the weight for a term of the loss whose gradient is left out."""

        def note(gradient: Tensor) -> None:
            self._penalty[name] = gradient.detach()

        view = weight.view_as(weight)
        view.register_hook(note)  # type: ignore[no-untyped-call]
        return view

    def see(self, name: str, weight: nn.Parameter, gradient: Tensor) -> None:
        """Note the whole gradient of a backward pass, before it is accumulated."""
        penalty = self._penalty.pop(name, None)
        own = gradient.detach().clone() if penalty is None else gradient.detach() - penalty
        before = None if weight.grad is None or not weight.grad.any() else weight.grad.clone()
        self._seen[name] = (own, penalty, before)

    @torch.no_grad()
    def keep(self, name: str, weight: nn.Parameter, mask: Tensor) -> None:
        """Add the gradient seen last to those of earlier passes, unless gradients were set to zero.

        Parameters
        ----------
        name : str
            The weight's name.
        weight : nn.Parameter
            The weight, whose gradient has just been accumulated.
        mask : Tensor
            True where it is alive.
        """
        whole, penalty, before = self._seen.pop(name)
        if before is None:
            self._forget(name)
        elif name in self._kept:
            whole = whole + self._kept[name]
        else:
            self._left_out[name] = before  # of passes that nobody recorded
        if penalty is not None:
            self._left_out[name] = penalty.masked_fill(~mask, 0) + self._left_out.get(name, 0)
        if weight.grad is not None:
            weight.grad.copy_(torch.where(mask, weight.grad, whole))

        @torch.no_grad()
        def record() -> None:
            self._kept[name] = whole
            if weight.grad is not None:
                self._kept[name] = weight.grad - self._left_out.get(name, 0)
                weight.grad.masked_fill_(~mask, 0)

        # The average over processes ends in a callback as well, queued before the first one here runs.
        _at_the_end_of_the_pass(lambda: _at_the_end_of_the_pass(record))

    def magnitudes(self, name: str, weight: nn.Parameter, mask: Tensor) -> Tensor | None:
        """Return the magnitudes of a gradient, zero where it is NaN, and forget it; None without a record.

        Parameters
        ----------
        name : str
            The weight's name.
        weight : nn.Parameter
            The weight.
        mask : Tensor
            True where it was alive in the backward pass.
        """
        gradient = self._forget(name)
        if weight.grad is not None and weight.grad.masked_fill(mask, 0).any():
            gradient = weight.grad  # the average of other processes' gradients, where none was computed here
        # NaN would be ranked first.
        return None if gradient is None else gradient.abs().nan_to_num(posinf=math.inf)

    def _forget(self, name: str) -> Tensor | None:
        self._left_out.pop(name, None)
        return self._kept.pop(name, None)


def _at_the_end_of_the_pass(call: Callable[[], None]) -> None:
    torch.autograd.Variable._execution_engine.queue_callback(call)
