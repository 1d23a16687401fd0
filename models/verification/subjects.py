"""How errors and reports call a function that is examined, and how it is imported again."""

from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, repr=False)
class Named:
    """A function or another object that is examined; its ``repr`` is its name.

    Parameters
    ----------
    thing : object
        What is examined.

    Examples
    --------
    >>> from moduli.models import ring_mask, small_world_mask
    >>> Named(ring_mask)
    ring_mask
    >>> Named(ring_mask).definition
    'from moduli.models.masks.graphs import ring_mask as make'
    >>> Named(partial(small_world_mask, rewiring=0.5))
    small_world_mask(rewiring=0.5)
    """

    thing: Any

    def __repr__(self) -> str:
        if isinstance(self.thing, partial):
            return f"{Named(self.thing.func)!r}({self._arguments})"
        return str(getattr(self.thing, "__qualname__", None) or repr(self.thing))

    @property
    def definition(self) -> str:
        """A line of Python that defines ``make``; where nothing imports it, what it was."""
        if isinstance(self.thing, partial):
            whole = Named(self.thing.func).definition
            return f"from functools import partial; {whole}; make = partial(make, {self._arguments})"
        module, name = getattr(self.thing, "__module__", None), getattr(self.thing, "__qualname__", None)
        if module and name and name.isidentifier():
            return f"from {module} import {name} as make"
        return f"make = ...  # {self!r}"

    @property
    def _arguments(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.thing.keywords.items())
