"""What cannot be pruned: it is refused by name, or named in a warning."""

import warnings

from torch import nn
from torch.nn.parameter import is_lazy

from moduli.models.errors import CannotPrune, NotPruned
from moduli.models.matrices import plain_weights


def check_prunable(model: nn.Module, recurrent_only: bool) -> None:
    """Raise if a weight that would be pruned is not a plain parameter of its module.

    Parameters
    ----------
    model : nn.Module
        The model.
    recurrent_only : bool
        Whether recurrent weights alone would be pruned.

    Raises
    ------
    CannotPrune
        Naming a weight that is parametrized, normed by its module, pruned by ``torch.nn.utils.prune``,
        dropped by a wrapper, lazy, quantized or sharded, and what to do.
    """
    for name, parameter in model.named_parameters():
        if is_lazy(parameter):
            raise CannotPrune(f"{name} has no shape yet; run the model on a batch first.")
        if hasattr(parameter, "placements"):
            raise CannotPrune(f"{name} is sharded over processes; make the sparsifier of the whole model.")
    for path, module in model.named_modules():
        kind = type(module)
        if kind.__module__.startswith("torch.ao.nn.quantized"):
            raise CannotPrune(
                f"{path or 'The model'} ({kind.__name__}) is quantized; prune first, then quantize."
            )
        for name in plain_weights(module):
            covered = name.startswith("weight_hh") or not recurrent_only
            if covered and module._parameters.get(name) is None:
                raise CannotPrune(
                    f"{path}.{name}".lstrip(".")
                    + f" of {kind.__name__} is not a parameter: something computes "
                    "it, such as a parametrization, weight or spectral norm, torch.nn.utils.prune or a "
                    "weight-drop wrapper. Remove that before the sparsifier is made, or leave the weight out "
                    "by scope='recurrent' or by masks."
                )


def warn_of_the_rest(model: nn.Module, pruned: set[str]) -> None:
    """Warn of projections that attention packs into one weight, unless they are pruned."""
    left = [
        f"{path}.in_proj_weight".lstrip(".")
        for path, module in model.named_modules()
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None
    ]
    left = [name for name in left if name not in pruned]
    if left:
        warnings.warn(
            f"{', '.join(left)} of nn.MultiheadAttention stays dense; name it by a pattern, "
            f"{{'{left[0]}': None}}, to prune it.",
            NotPruned,
            stacklevel=3,  # the caller of the constructor
        )
