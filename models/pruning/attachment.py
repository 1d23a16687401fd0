"""Optimizers after whose steps a sparsifier steps by itself."""

import contextlib
import copy
import inspect
import weakref
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from moduli.errors import InvalidParameter
from moduli.models.arguments import require_instance


class Attachment:
    """The optimizers to which something is attached; a copy is attached to none.

    Examples
    --------
    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])
    >>> attachment = Attachment()
    >>> attachment.attach(optimizer, lambda first: print("after a step of the first:", first))
    >>> optimizer.step()
    after a step of the first: True
    >>> attachment.detach()
    >>> optimizer.step()
    """

    def __init__(self) -> None:
        self._attached: list[tuple[weakref.ref[Optimizer], RemovableHandle]] = []

    def __bool__(self) -> bool:
        return bool(self.optimizers)

    @property
    def optimizers(self) -> list[Optimizer]:
        """The optimizers that still exist, in the order in which they were attached."""
        return [optimizer for reference, _ in self._attached if (optimizer := reference()) is not None]

    def attach(self, optimizer: Optimizer, after_step: Callable[[bool], None]) -> None:
        """Call a function after each step of an optimizer, and say whether that is the first attached."""

        def stepped(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            after_step(optimizer is self.optimizers[0])

        handle = optimizer.register_step_post_hook(stepped)
        self._attached.append((weakref.ref(optimizer), handle))

    def detach(self) -> None:
        """Leave all optimizers alone."""
        for _, handle in self._attached:
            handle.remove()
        self._attached.clear()

    @torch.no_grad()
    def refresh(self, weight: nn.Parameter, grown: Tensor) -> None:
        """Reset what optimizers remember of some elements of a weight, as if these were new."""
        for optimizer in self.optimizers:
            remembered = {
                key: memory
                for key, memory in optimizer.state.get(weight, {}).items()
                if isinstance(memory, Tensor) and memory.shape == weight.shape
            }
            fresh = _fresh_memory(optimizer, weight) if remembered else {}
            for key, memory in remembered.items():
                new = fresh.get(key, memory.new_zeros(1)).reshape(())
                memory.masked_fill_(grown.to(memory.device), new.to(memory))

    def __reduce__(self) -> tuple[Any, ...]:
        return Attachment, ()


def _fresh_memory(optimizer: Optimizer, weight: nn.Parameter) -> dict[str, Tensor]:
    """Return what an optimizer remembers of a single weight of zero after a first step without gradient.

    Momentum is zero then, but Adagrad's accumulator and Rprop's step size are not. An optimizer whose step
    needs more than gradients, such as a closure or another optimizer, tells nothing.
    """
    probe = nn.Parameter(weight.new_zeros(1, 1))
    probe.grad = torch.zeros_like(probe)
    twin = copy.copy(optimizer)  # without hooks
    twin.state = defaultdict(dict)
    twin.param_groups = [
        {**group, "params": [probe]}
        for group in optimizer.param_groups
        if any(one is weight for one in group["params"])
    ]
    with contextlib.suppress(Exception):
        twin.step()
    if not twin.state[probe]:  # memory that an optimizer makes with itself, as Adagrad before PyTorch 2.12
        with contextlib.suppress(Exception):
            taken = inspect.signature(type(optimizer)).parameters
            options = {name: value for name, value in optimizer.defaults.items() if name in taken}
            twin = type(optimizer)(twin.param_groups, **options)
            twin.step()
    return {key: memory for key, memory in twin.state[probe].items() if isinstance(memory, Tensor)}


class Attachable(ABC):
    """Something that steps by itself after the steps of the optimizers that it is attached to."""

    _attachment: Attachment

    @abstractmethod
    def settle(self) -> None:
        """Make the model agree with the masks."""

    @abstractmethod
    def _advance(self) -> None:
        """Take one step."""

    def attach(self, optimizer: Optimizer) -> None:
        """Step by itself after each step of an optimizer, so that no forward pass sees a revived weight.

        Several optimizers may be attached. The schedule then counts the steps of the first, and dead weights
        are set to zero after those of all. A copy of the sparsifier is attached to none. An optimizer that
        steps within the backward pass, from a hook of a parameter, changes weights that the pass still needs:
        let it step afterwards.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            An optimizer of the model, or of a part of it.

        Raises
        ------
        InvalidParameter
            If it is not an optimizer, or attached already.

        Examples
        --------
        >>> import torch
        >>> from moduli.models import Sparsifier
        >>> model = torch.nn.RNN(3, 64)
        >>> optimizer, sparsifier = torch.optim.Adam(model.parameters()), Sparsifier(model)
        >>> sparsifier.attach(optimizer)
        >>> model(torch.randn(5, 2, 3))[0].square().mean().backward()
        >>> optimizer.step()
        >>> sparsifier.sparsity()["weight_hh_l0"]
        0.89990234375
        """
        expected = "an optimizer, such as torch.optim.Adam(model.parameters())"
        require_instance("optimizer", optimizer, Optimizer, expected)
        if any(optimizer is one for one in self._attachment.optimizers):
            raise InvalidParameter("The sparsifier is attached to this optimizer already; attach it once.")
        self._attachment.attach(optimizer, lambda first: self._advance() if first else self.settle())

    def detach(self) -> None:
        """Undo `attach`, for all optimizers."""
        self._attachment.detach()
