"""The gradients of a loss, whole: over micro-batches and processes, and without the penalty's."""

import torch
from torch import Tensor, distributed, nn


class GradientRecorder:
    """Records gradients before those of dead weights are set to zero.

    A hook on a parameter sees the gradient of one backward pass, also of one that accumulates nothing, such
    as ``torch.autograd.grad``. A gradient therefore counts only when it has been accumulated.

    Examples
    --------
    >>> weight, recorder = nn.Parameter(torch.ones(2)), GradientRecorder()
    >>> for gradient in torch.tensor([[1.0, 2.0], [3.0, -7.0]]):
    ...     recorder.see("weight", weight, gradient)
    ...     weight.grad = torch.ones(2)
    ...     recorder.keep("weight")
    >>> recorder.magnitudes("weight", weight)
    tensor([4., 5.])
    """

    def __init__(self) -> None:
        self._penalty: dict[str, Tensor] = {}
        self._seen: dict[str, tuple[Tensor, bool]] = {}
        self._kept: dict[str, Tensor] = {}

    def apart(self, name: str, weight: nn.Parameter) -> Tensor:
        """Return the weight for a term of the loss whose gradient is left out."""

        def note(gradient: Tensor) -> None:
            self._penalty[name] = gradient.detach()

        view = weight.view_as(weight)
        view.register_hook(note)  # type: ignore[no-untyped-call]
        return view

    def see(self, name: str, weight: nn.Parameter, gradient: Tensor) -> None:
        """Note the whole gradient of a backward pass, before it is accumulated."""
        left_out = self._penalty.pop(name, None)
        own = gradient.detach().clone() if left_out is None else gradient.detach() - left_out
        first = weight.grad is None or not bool(weight.grad.any())
        self._seen[name] = (own, first)

    def keep(self, name: str) -> None:
        """Add the gradient seen last to those of earlier passes, unless gradients were set to zero."""
        gradient, first = self._seen.pop(name)
        earlier = None if first else self._kept.get(name)
        self._kept[name] = gradient if earlier is None else earlier + gradient

    def magnitudes(self, name: str, weight: Tensor) -> Tensor | None:
        """Return the magnitudes of a gradient, averaged over processes, and forget it; None without one."""
        gradient = self._kept.pop(name, None)
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            gradient = _mean_over_processes(gradient, weight)
        return None if gradient is None else gradient.abs()


def _mean_over_processes(gradient: Tensor | None, weight: Tensor) -> Tensor | None:
    """Return the mean over processes; one without a gradient counts as zero, unless none has any."""
    holders = torch.tensor(float(gradient is not None), device=weight.device)
    distributed.all_reduce(holders)
    if not holders:
        return None
    total = torch.zeros_like(weight) if gradient is None else gradient.contiguous()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
