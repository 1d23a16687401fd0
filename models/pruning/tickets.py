"""Fresh weights for a lottery ticket."""

import torch
from torch import nn

from moduli.models.errors import CannotRedraw


def redraw_weights(model: nn.Module, seed: int) -> None:
    """Draw all weights of a model anew, by its modules' own initialisers.

    A module that defines ``reset_parameters`` redraws everything below it; the global random
    state is left as it was.

    Parameters
    ----------
    model : nn.Module
        The model, changed in place.
    seed : int
        Seed of the new weights.

    Raises
    ------
    CannotRedraw
        If a module holds parameters of its own and defines no ``reset_parameters``.
    """
    devices = sorted({parameter.device.index for parameter in model.parameters() if parameter.is_cuda})
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        _reset(model, path="the model")


def _reset(module: nn.Module, path: str) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    own = [name for name, _ in module.named_parameters(recurse=False)]
    if own:
        raise CannotRedraw(
            f"{path} ({type(module).__name__}) holds {', '.join(own)} but defines no reset_parameters(), "
            "which a ticket calls to draw fresh weights; define it."
        )
    for name, child in module.named_children():
        _reset(child, path=f"{path}.{name}")
