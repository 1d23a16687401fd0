"""What a kernel is: a weight matrix that multiplies states."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from moduli.models.fast.numbering import Numbering, Order


class Kernel(nn.Module):
    """The product of a weight matrix with states.

    Neurons come first, so that a row of states, which is what one weight reads, is contiguous. Functions
    of PyTorch that are given a kernel in place of a weight, as by attention, take its dense matrix.

    Attributes
    ----------
    n_targets, n_sources : int
        Shape of the weight.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.n_targets, self.n_sources = shape

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        raise NotImplementedError

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        return self.forward

    @property
    def numbering(self) -> Numbering | None:
        """How the neurons of a recurrent weight are numbered for ``repeated_inside``, if they are."""
        return None

    def repeated_inside(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps in the order inside, for a numbered weight."""
        return self.repeated()

    def repeated_for(self, targets: Order) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, whose result is in the order inside."""
        product = self.repeated()
        return lambda states: targets.inside(product(states))

    def to_dense(self) -> Tensor:
        """Return the weight with its zeros, ``(n_targets, n_sources)``; differentiable."""
        raise NotImplementedError

    def to_sparse(self) -> Tensor:
        """Return the weight as a sparse tensor of coordinates, ``(n_targets, n_sources)``; differentiable."""
        raise NotImplementedError

    @property
    def shape(self) -> torch.Size:
        """Shape of the weight."""
        return torch.Size((self.n_targets, self.n_sources))

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weight."""
        return next(self.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where the weight is."""
        return next(self.parameters()).device

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch with dense matrices in place of kernels."""
        named = {name: _without_kernels(value) for name, value in (kwargs or {}).items()}
        return function(*_without_kernels(tuple(args)), **named)


def _without_kernels(value: Any) -> Any:
    if isinstance(value, Kernel):
        return value.to_dense()
    return type(value)(map(_without_kernels, value)) if type(value) in (tuple, list) else value


def coordinates(places: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a sparse tensor of coordinates ``(2, n)``, each of which is given once."""
    return torch.sparse_coo_tensor(places, values, tuple(shape), check_invariants=False).coalesce()


def trains(weight: Tensor) -> bool:
    """Tell whether what takes the place of a weight is trained: unless it is a frozen parameter."""
    return weight.requires_grad or not isinstance(weight, nn.Parameter)
