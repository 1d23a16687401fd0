"""Copies of models in which sparse modules take the place of linear and recurrent ones."""

from collections.abc import Callable, Mapping

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from moduli.models.copies import copied
from moduli.models.errors import CannotCompress
from moduli.models.fast.cells import SparseCell
from moduli.models.fast.linear import SparseLinear
from moduli.models.fast.module import MakeKernel, SparseModule
from moduli.models.fast.recurrent import SparseRecurrent
from moduli.models.inference import outside_inference
from moduli.models.matrices import is_recurrent

KINDS = (nn.Linear, nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell)
HOOKS = {name for name in vars(nn.Module()) if name.endswith("_hooks")}
"""The attributes of a module that hold what somebody hooked to it."""

NAMES = "nn.RNN, nn.LSTM, nn.GRU, cell of these or nn.Linear"


def replaceable(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules of a model that can be made sparse, by their paths.

    A subclass may compute something else than its base and is left alone, but for attention's last layer.

    Raises
    ------
    CannotCompress
        If there is neither such a module nor one that is sparse already, or one is on the meta device.
    """
    kinds = (*KINDS, NonDynamicallyQuantizableLinear)
    found = {path: module for path, module in model.named_modules() if type(module) in kinds}
    sparse = [module for module in model.modules() if isinstance(module, SparseModule)]
    for module in (*found.values(), *sparse):
        if any(parameter.is_meta for parameter in module.parameters()):
            raise CannotCompress(
                f"A weight of {type(module).__name__} is on the meta device, which holds no numbers; make "
                "the model on another one, or move it there with to_empty and load its state."
            )
    if not found and not sparse:
        names = sorted({type(module).__name__ for module in model.modules()})
        raise CannotCompress(
            f"The model holds no {NAMES} that could be made sparse; it consists of {', '.join(names)}."
        )
    return found


def gates_of(module: nn.Module, name: str) -> int | None:
    """Return how many gates the rows of a recurrent weight stack; None for a weight from other neurons."""
    n_targets, n_sources = module.get_parameter(name).shape
    gates, remainder = divmod(n_targets, n_sources)
    recurrent = is_recurrent(name) and not getattr(module, "proj_size", 0)
    return gates if recurrent and not remainder else None


def sparse_module(module: nn.Module, make_kernel: MakeKernel) -> nn.Module:
    """Return a sparse module in place of a linear or recurrent one."""
    if isinstance(module, nn.RNNBase):
        return SparseRecurrent(module, make_kernel)
    if isinstance(module, nn.RNNCellBase):
        return SparseCell(module, make_kernel)
    assert isinstance(module, nn.Linear)
    return SparseLinear(module, make_kernel)


def with_replaced_modules(
    model: nn.Module, found: Mapping[str, nn.Module], make: Callable[[str, nn.Module], nn.Module]
) -> nn.Module:
    """Return a copy of a model with other linear and recurrent modules.

    Parameters
    ----------
    model : nn.Module
        The model; it is not changed.
    found : mapping from str to nn.Module
        The modules to replace, by their paths.
    make : callable
        From a module's path and the copied module to its replacement.

    Returns
    -------
    nn.Module

    Raises
    ------
    CannotCompress
        If one of the modules has hooks, a forward or a module of its own, which a replacement would lose.
    """
    for path, module in found.items():
        who = f"{path or 'The model'} ({type(module).__name__})"
        if any(value for name, value in vars(module).items() if name in HOOKS):
            raise CannotCompress(
                f"{who} has hooks, which its replacement would lose; remove them first, those of "
                "torch.nn.utils.prune with prune.remove."
            )
        if "forward" in vars(module):
            raise CannotCompress(
                f"{who} has a forward of its own, which its replacement would not call; remove it first."
            )
        if module._modules:
            raise CannotCompress(
                f"{who} holds {', '.join(module._modules)}, which its replacement would lose; keep modules "
                "beside it instead of inside."
            )
    with outside_inference():
        model, _ = copied(model, None)
        replacements = {
            module: make(path, module) for path in found for module in [model.get_submodule(path)]
        }
    some_differ = any(old is not new for old, new in replacements.items())
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replacements:
                parent._modules[name] = replacements[child]
        if isinstance(parent, nn.TransformerEncoder) and some_differ:
            # Nested tensors pass PyTorch's fused layers only, and some of the layers may be others now.
            parent.use_nested_tensor = False
    return replacements.get(model, model)
