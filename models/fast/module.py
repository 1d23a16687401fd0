"""What all sparse modules have in common: the place of another module, whose matrices are kernels."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from torch import Tensor, nn

from moduli.models.errors import CannotScript, StateMismatch
from moduli.models.fast.kernel import Kernel

MakeKernel = Callable[[str, Tensor], Kernel]

OF_ANY = vars(nn.Module()).keys()
"""What every module has."""

OF_THE_DENSE = {
    "_flat_weights",
    "_flat_weights_names",
    "_flat_weight_refs",
    "_all_weights",
    "_compiled_call_impl",
}
"""What modules keep for cuDNN or the compiler, which has no part in sparse ones."""


class SparseModule(nn.Module):
    """A module with kernels of one's choice; called like the module that it replaces.

    It has the attributes and buffers of that module, also those that somebody gave it. Biases are shared, so
    that those that are tied or frozen stay so.

    Parameters
    ----------
    module : nn.Module
        Where the weights come from.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    def __init__(self, module: nn.Module, make_kernel: MakeKernel) -> None:
        super().__init__()
        for name, value in vars(module).items():
            if name not in OF_ANY and name not in OF_THE_DENSE:
                setattr(self, name, value)
        for name, buffer in module._buffers.items():
            self.register_buffer(name, buffer, name not in module._non_persistent_buffers_set)
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.dim() == 2:
                self.add_module(name, make_kernel(name, parameter))
            else:
                self.register_parameter(name, parameter)
        self.training = module.training
        self.register_load_state_dict_pre_hook(_check_state)  # type: ignore[no-untyped-call]

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse `torch.jit.script`, which asks for this before it reads the module's source.

        Raises
        ------
        CannotScript
            Always: a kernel's product depends on the batch, which TorchScript's language cannot say.
        """
        raise CannotScript(
            f"{type(self).__name__} cannot be scripted by torch.jit.script; use torch.export.export or "
            "torch.compile, or script the dense module that dense_state(module.state_dict()) is loaded into."
        )


def _check_state(module: SparseModule, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Raise before a state is loaded that holds a weight in another way than its kernel, or by another mask.

    Raises
    ------
    StateMismatch
        Naming the weight, and what brings the state into the kernel's form.
    """
    for own_name, kernel in module.named_children():
        name = prefix + own_name
        if name in state:
            raise StateMismatch(
                f"The state holds {name} as a dense matrix, the model its surviving weights alone; load "
                "sparse_state(state, model) instead."
            )
        start = f"{name}."
        own = {part: tuple(tensor.shape) for part, tensor in kernel.state_dict().items()}
        theirs = {
            key.removeprefix(start): tuple(getattr(tensor, "shape", ()))
            for key, tensor in state.items()
            if key.startswith(start)
        }
        if theirs and theirs != own:
            raise StateMismatch(
                f"The state holds {name} by another mask, or for another kernel, than the model: "
                f"{_listed(theirs)} there, {_listed(own)} here; make the model as that one was made, or load "
                "sparse_state(dense_state(state), model)."
            )


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return how many weights the parts of a kernel hold."""
    parts = (part for part in ("dense", "values", "rest.values") if part in shapes)
    return " and ".join(f"{math.prod(shapes[part])} {part}" for part in parts) or "no weights"
