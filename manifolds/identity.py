"""A constructor's arguments as an object's identity: by name, in its repr and in its spec."""

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from moduli.manifolds.errors import UnknownParameter
from moduli.manifolds.tensors import require_tensor

SHOWN = 100
"""How many numbers of an array a repr shows."""


class Array:
    """An array among a constructor's arguments: compared by its numbers, and plain in a spec.

    It equals the nested tuples of the same numbers, which is what a spec read back from JSON holds.

    Parameters
    ----------
    values : ndarray
        The numbers; the caller gives them away and does not write into them any more.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self.values = values.view()
        self.values.flags.writeable = False

    def plain(self) -> Any:
        """Return the numbers in nested lists."""
        return self.values.tolist()

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Array):
            return np.array_equal(self.values, other.values)
        return isinstance(other, tuple) and bool(plain_tuples(self.plain()) == other)

    def __hash__(self) -> int:
        return fingerprint(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        if self.values.size > SHOWN:
            return f"<array of shape {self.values.shape}>"
        return repr(plain_tuples(self.plain()))


def signature_of(cls: type[Any]) -> inspect.Signature:
    """Return the signature of a constructor without its first parameter, the object itself."""
    if cls.__init__ is object.__init__:
        return inspect.Signature()
    signature = inspect.signature(cls.__init__)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def frozen(value: Any) -> Any:
    """Return an argument that nobody can change any more, and that compares.

    Lists become tuples, since a spec read back from JSON holds lists where tuples were; numbers of NumPy
    and PyTorch become Python's; arrays and tensors become an `Array` of their own.
    """
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        require_tensor(value, "A tensor among arguments", with_values=True)
        value = value.detach().cpu()
        value = (
            value if value.dtype.itemsize > 2 or not value.is_floating_point() else value.float()
        ).numpy()
    if isinstance(value, np.ndarray):
        return value.item() if value.ndim == 0 else Array(value.copy())
    return value


def plain_tuples(value: Any) -> Any:
    """Return nested tuples for nested lists."""
    return tuple(plain_tuples(item) for item in value) if isinstance(value, list) else value


def fingerprint(value: Any) -> int:
    """Return a number that equal arguments share; of sequences it tells only the length."""
    if isinstance(value, tuple | Array):
        return len(value)
    try:
        return hash(value)
    except TypeError:
        return 0


def split_variadic(cls: type[Any], arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword arguments; only a ``*parameter`` is positional."""
    variadic = [p.name for p in signature_of(cls).parameters.values() if p.kind is p.VAR_POSITIONAL]
    positional = tuple(value for name in variadic for value in arguments.get(name, ()))
    return positional, {key: value for key, value in arguments.items() if key not in variadic}


def construct(cls: type[Any], arguments: dict[str, Any]) -> Any:
    """Call a constructor with arguments given by name, ``*parameters`` included."""
    positional, keywords = split_variadic(cls, arguments)
    for name in {"cls", "self"} & keywords.keys():  # what Python itself calls the class and the object
        raise UnknownParameter(f"{cls.__name__} has no parameter '{name}'.")
    return cls(*positional, **keywords)
