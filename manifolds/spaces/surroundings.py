"""What geomstats expects of the process, given to one thread alone.

geomstats' PyTorch backend sets torch's default dtype to float64 when it is first imported, relies on it, and
draws from the global generators. Other threads see none of this: a mode of PyTorch's, which belongs to a
thread, stands in for the default dtype and for torch's generator. NumPy's and Python's generators have no
such mode; they are seeded and restored under a lock, so that only a thread that draws from them at the same
time would notice.
"""

import importlib
import random
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import RLock, get_ident
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_LOCK = RLock()

DOUBLE = {torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64}
DOUBLE |= {torch.complex32: torch.complex128, torch.complex64: torch.complex128}
RANDOM = {
    torch.rand,
    torch.randn,
    torch.randint,
    torch.randperm,
    torch.normal,
    torch.bernoulli,
    torch.multinomial,
}
DRAWS_FLOATS = {torch.rand, torch.randn}


class DoublePrecision(TorchFunctionMode):
    """Within it, and in this thread only, torch makes float64 of numbers that come without a dtype.

    Parameters
    ----------
    generator : torch.Generator, optional
        Where random numbers come from; torch's global generator when absent.
    """

    def __init__(self, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, in double precision where its arguments do not say otherwise."""
        kwargs = dict(kwargs or {})
        if func in RANDOM and self.generator is not None and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        draws_floats = func in DRAWS_FLOATS or (func is torch.normal and "size" in kwargs)
        if draws_floats and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float64
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor) or result.dtype not in DOUBLE or kwargs.get("dtype"):
            return result
        tensors = list(_tensors((*args, *kwargs.values())))
        if any(tensor.dtype in DOUBLE for tensor in tensors):
            return result
        if tensors:  # an operation on integers, such as a division
            return func(*map(_double, args), **{key: _double(value) for key, value in kwargs.items()})
        return func(*args, **{**kwargs, "dtype": DOUBLE[result.dtype]})


def _double(value: Any) -> Any:
    return value.double() if isinstance(value, Tensor) and not value.is_complex() else value


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def import_module(name: str) -> ModuleType:
    """Import a module of geomstats; torch's default dtype stays what it is, at every moment."""
    set_default_dtype, importer = torch.set_default_dtype, get_ident()

    def unless_importing(dtype: torch.dtype) -> None:
        if get_ident() != importer:
            set_default_dtype(dtype)

    if name in sys.modules:
        return sys.modules[name]
    with _LOCK, warnings.catch_warnings():
        # geomstats 2.8 imports its backend in a way that Python deprecates.
        warnings.simplefilter("ignore", ImportWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            torch.set_default_dtype = unless_importing
            return importlib.import_module(name)
        finally:
            torch.set_default_dtype = set_default_dtype


@contextmanager
def surroundings(seed: int | None = None) -> Iterator[None]:
    """Give geomstats what it expects for the duration of a call.

    Parameters
    ----------
    seed : int, optional
        Seeds the generators from which geomstats draws; nothing draws when absent.
    """
    with np.errstate(all="ignore"):
        if seed is None:
            with DoublePrecision():
                yield
            return
        with _LOCK:
            states = random.getstate(), np.random.get_state()
            try:
                random.seed(seed)
                np.random.seed(seed)
                with DoublePrecision(torch.Generator().manual_seed(seed)):
                    yield
            finally:
                random.setstate(states[0])
                np.random.set_state(states[1])
