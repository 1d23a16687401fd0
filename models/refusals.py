"""What cannot be pruned: it is refused by name, or named in a warning."""

import warnings
from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from moduli.models.errors import CannotPrune, NotPruned
from moduli.models.matrices import is_recurrent, plain_weights

CAUSES = "a parametrization, weight or spectral norm, torch.nn.utils.prune or a weight-drop wrapper"


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
        check_plain(name, parameter)
    for path, module in model.named_modules():
        _check_not_quantized(path, module)
        for name in plain_weights(module):
            covered = is_recurrent(name) or not recurrent_only
            if covered and not isinstance(module._parameters.get(name), nn.Parameter):
                raise CannotPrune(
                    f"{path}.{name}".lstrip(".")
                    + f" of {type(module).__name__} is not a parameter: something computes "
                    f"it, such as {CAUSES}. Remove that before the sparsifier is made, or leave the weight "
                    "out by scope='recurrent' or by masks."
                )


def check_named(model: nn.Module, names: Iterable[str]) -> None:
    """Raise if a weight that is named is not what its module multiplies by.

    Parameters
    ----------
    model : nn.Module
        The model.
    names : iterable of str
        Names of parameters; those that the model does not have are left out.

    Raises
    ------
    CannotPrune
        Naming a weight that is lazy, quantized or sharded, or from which another one is computed, whose
        zeros would be elsewhere.
    """
    modules = dict(model.named_modules())
    for name in names:
        path, _, own = name.rpartition(".")
        if path in modules:
            module = modules[path]
            _check_not_quantized(path, module)
            parameter = module._parameters.get(own)
            if parameter is not None:
                check_plain(name, parameter)
                if not (parameter.is_floating_point() or parameter.is_complex()):
                    raise CannotPrune(
                        f"{name} holds {parameter.dtype} and is quantized; prune first, then quantize."
                    )
                _check_not_computed_from(name, module, own, parameter)


def check_plain(name: str, parameter: Tensor) -> None:
    """Raise `CannotPrune` if a parameter is lazy or sharded."""
    if is_lazy(parameter):
        raise CannotPrune(f"{name} has no shape yet; run the model on a batch first.")
    if hasattr(parameter, "placements"):
        raise CannotPrune(f"{name} is sharded over processes; make the sparsifier of the whole model.")


def warn_of_the_rest(model: nn.Module, pruned: set[str]) -> None:
    """Warn of attention's projections and of square parameters of users' own modules that stay dense."""
    left: dict[str, str] = {}
    for path, module in model.named_modules():
        kind = type(module)
        attends, own = isinstance(module, nn.MultiheadAttention), not kind.__module__.startswith("torch.")
        for name, parameter in module.named_parameters(path, recurse=False):
            projects = attends and name.endswith("proj_weight")
            square = parameter.dim() == 2 and parameter.shape[0] == parameter.shape[1]
            if name not in pruned and (projects or (own and square and parameter.requires_grad)):
                left[name] = "nn.MultiheadAttention" if attends else kind.__name__
    for kind_name in dict.fromkeys(left.values()):
        names = [name for name in left if left[name] == kind_name]
        warnings.warn(
            f"{', '.join(names)} of {kind_name} stays dense; name it by a pattern, {{'{names[0]}': None}}, "
            "or by recurrent=, to prune it.",
            NotPruned,
            stacklevel=3,  # the caller of the constructor
        )


def _check_not_quantized(path: str, module: nn.Module) -> None:
    kind = type(module)
    if kind.__module__.startswith("torch.ao.nn.quantized"):
        raise CannotPrune(
            f"{path or 'The model'} ({kind.__name__}) is quantized; prune first, then quantize."
        )


def _check_not_computed_from(name: str, module: nn.Module, own: str, parameter: Tensor) -> None:
    """Raise if a module holds, beside a parameter, the tensor that is computed from it, or exists for that.

    PyTorch's wrappers, and those of others, call the parameter as the weight that they take out of the
    module, with an ending such as ``_orig``, ``_v`` or ``_raw``, and put there what they compute.
    """
    computed = [
        attribute
        for attribute, value in vars(module).items()
        if isinstance(value, Tensor)
        and own.startswith(f"{attribute}_")
        and value.dim() == parameter.dim()
        and all(size in (1, full) for size, full in zip(parameter.shape, value.shape, strict=True))
    ]
    if computed or isinstance(module, ParametrizationList):
        raise CannotPrune(
            f"{name} is not the weight itself, which something computes from it, such as {CAUSES}; its zeros "
            "might not be the weight's. Remove that before the sparsifier is made, and name the weight."
        )
