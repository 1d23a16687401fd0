"""Random points are drawn by a generator; a seed, which is easily taken for one, is refused."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter


class ChecksGenerator:
    """A base of classes whose ``random_point``, wherever it is written, says what to pass for a seed.

    Examples
    --------
    >>> class Line(ChecksGenerator):
    ...     def random_point(self, n, generator=None):
    ...         return torch.rand(n, 1, generator=generator)
    >>> Line().random_point(5, seed=3)
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: random_point takes a torch.Generator, got 3; pass generator=...
    """

    random_point: Callable[..., Tensor]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "random_point" in cls.__dict__:
            cls.random_point = _checked(cls.random_point)


def _checked(draw: Callable[..., Tensor]) -> Callable[..., Tensor]:
    @functools.wraps(draw)
    def random_point(*args: Any, **kwargs: Any) -> Tensor:
        positional = args[2] if len(args) > 2 else None  # after the manifold and the number of points
        source = kwargs.get("seed", kwargs.get("generator", positional))
        if not (source is None or isinstance(source, torch.Generator)):
            raise InvalidParameter(
                f"random_point takes a torch.Generator, got {source!r}; "
                "pass generator=torch.Generator().manual_seed(0)."
            )
        return draw(*args, **kwargs)

    return random_point
