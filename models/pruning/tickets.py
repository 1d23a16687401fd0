"""Fresh weights for a lottery ticket."""

import torch
from torch import Tensor, nn

from moduli.models.errors import CannotRedraw
from moduli.models.pruning.living import LivingWeights


def redraw_weights(model: nn.Module, seed: int) -> None:
    """Draw all weights of a model anew, by its modules' own initialisers.

    A module's ``reset_parameters`` may redraw its own parameters alone, as PyTorch's do, or those of the
    modules below it as well; a module below whose parameters it leaves alone is redrawn by its own. The
    global random state is left as it was.

    Parameters
    ----------
    model : nn.Module
        The model, changed in place.
    seed : int
        Seed of the new weights.

    Raises
    ------
    CannotRedraw
        If a module holds parameters of its own that nothing redraws.
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


def _same(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _reset(module: nn.Module, path: str) -> None:
    reset = getattr(module, "reset_parameters", None)
    if not callable(reset):
        own = [name for name, _ in module.named_parameters(recurse=False)]
        if own:
            raise CannotRedraw(
                f"{path} ({type(module).__name__}) holds {', '.join(own)} but defines no "
                "reset_parameters(), which a ticket calls to draw fresh weights; define it."
            )
        for name, child in module.named_children():
            _reset(child, path=f"{path}.{name}")
        return
    before = [
        (parameter, parameter._version, parameter.detach().clone())
        for child in module.children()
        for parameter in child.parameters()
    ]
    reset()
    # Initialisers write in place, which counts versions, or through .data, which does not.
    left = {
        parameter
        for parameter, version, values in before
        if parameter._version == version and (parameter.is_meta or _same(parameter, values))
    }
    for name, below in module.named_modules():
        own_parameters = list(below.parameters(recurse=False))
        if below is not module and own_parameters and left.issuperset(own_parameters):
            _reset(below, path=f"{path}.{name}")
            left -= set(below.parameters())
