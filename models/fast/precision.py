"""The precision in which sparse modules work under autocast, whose rules do not know their kernels."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from moduli.regularizers import ShapeMismatch


def in_own_precision(
    compute: Callable[..., tuple[Tensor, ...]], module: nn.Module, *inputs: Tensor, promotes: bool = False
) -> tuple[Tensor, ...]:
    """Compute in the precision of a module's weights; under autocast, return what PyTorch's module would.

    Parameters
    ----------
    compute : callable
        From the inputs to a tuple of results.
    module : nn.Module
        The module that computes.
    *inputs : Tensor
        Its inputs.
    promotes : bool
        Whether PyTorch's module mixes autocast's precision with that of its input, as gates do.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ShapeMismatch
        If an input has another dtype than the weights, outside autocast.
    """
    own, device = next(module.parameters()).dtype, inputs[0].device.type
    if device == "meta" or not torch.is_autocast_enabled(device):
        for x in inputs:
            if x.dtype != own:
                raise ShapeMismatch(
                    f"Inputs and states are {own} as the weights are, got {x.dtype}; pass .to({own})."
                )
        return compute(*inputs)
    wanted = torch.get_autocast_dtype(device)
    if torch.float64 in (own, inputs[0].dtype):
        wanted = torch.float64
    elif promotes:
        wanted = torch.promote_types(inputs[0].dtype, wanted)
    with torch.autocast(device, enabled=False):
        return tuple(result.to(wanted) for result in compute(*(x.to(own) for x in inputs)))
