"""Optimizers after whose steps a sparsifier steps by itself."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

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

    def refresh(self, weight: nn.Parameter, grown: Tensor) -> None:
        """Zero what optimizers remember of some elements of a weight, such as momentum."""
        for optimizer in self.optimizers:
            for memory in optimizer.state.get(weight, {}).values():
                if isinstance(memory, Tensor) and memory.shape == weight.shape:
                    memory.masked_fill_(grown.to(memory.device), 0)

    def __reduce__(self) -> tuple[Any, ...]:
        return Attachment, ()


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
        are set to zero after those of all. A copy of the sparsifier is attached to none.

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
            raise InvalidParameter("The sparsifier is attached to this optimizer already.")
        self._attachment.attach(optimizer, lambda first: self._advance() if first else self.settle())

    def detach(self) -> None:
        """Undo `attach`, for all optimizers."""
        self._attachment.detach()
