"""Fresh weights for a lottery ticket."""

import torch
from torch import nn

from moduli.models.errors import CannotRedraw
from moduli.models.pruning.living import LivingWeights


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


@torch.no_grad()
def correct_fan_in(weights: LivingWeights) -> None:
    """Scale each neuron's weights in place by ``sqrt(inputs / living inputs)``.

    Sums of inputs then have the variance that the dense initialisation intends (Evci et al., "Gradient flow
    in sparse neural networks", arXiv 2010.03533, section 3).

    Parameters
    ----------
    weights : LivingWeights
        Weights that were just drawn.
    """
    for name, mask in weights.masks.items():
        living = mask.sum(dim=1, keepdim=True).clamp_min(1)
        weights.weight(name).mul_((mask.shape[1] / living).sqrt())


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
