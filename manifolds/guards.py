"""Checks of the arguments of a manifold's methods, a user's too, before these run."""

import functools
from collections.abc import Callable, Sequence
from itertools import zip_longest
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.errors import InvalidPoints
from moduli.manifolds.tensors import require_points
from moduli.requirements import LARGEST_COUNT
from moduli.showing import shown

TAKE_POINTS = {"distance": 2, "project": 1, "retract": 2, "contains": 1, "cut_points": 1}
"""How many arguments of a method are points, or tangents of the same shape; others are its author's own."""


class Guarded:
    """A base of classes whose methods refuse what is not a generator, a number of points, or points.

    Where points lie is not looked at; `Manifold.check_points` does.

    Examples
    --------
    >>> class Line(Guarded):
    ...     point_shape = (1,)
    ...     def random_point(self, n, generator=None):
    ...         return torch.rand(n, 1, generator=generator)
    ...     def distance(self, x, y):
    ...         return (x - y).abs()[..., 0]
    >>> Line().random_point(5, seed=3)
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: random_point takes a torch.Generator, got 3; pass generator=...
    >>> Line().distance([0.0], [1.0])
    Traceback (most recent call last):
        ...
    moduli.manifolds.errors.InvalidPoints: Points of Line must be a tensor, got list.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "random_point" in own:
            setattr(cls, "random_point", _draws(own["random_point"]))  # noqa: B010
        for name, count in TAKE_POINTS.items():
            if name in own:
                setattr(cls, name, _takes_points(own[name], count))


def _draws(draw: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(draw)
    def random_point(self: Any, n: int, *args: Any, **kwargs: Any) -> Any:
        source = kwargs.get("seed", kwargs.get("generator", args[0] if args else None))
        if not (source is None or isinstance(source, torch.Generator)):
            raise InvalidParameter(
                f"random_point takes a torch.Generator, got {source!r}; "
                "pass generator=torch.Generator().manual_seed(0)."
            )
        if isinstance(n, bool) or not isinstance(n, Integral) or not 0 <= n <= LARGEST_COUNT:
            raise InvalidParameter(
                f"random_point takes the number of points, at most {LARGEST_COUNT:,}; got {shown(n)}."
            )
        return draw(self, n, *args, **kwargs)

    return random_point


def _takes_points(method: Callable[..., Any], count: int) -> Callable[..., Any]:
    @functools.wraps(method)
    def checked(self: Any, *points: Any, **named: Any) -> Any:
        given = [require_points(each, self) for each in [*points, *named.values()][:count]]
        _require_agreement(given, self)
        try:
            return method(self, *points, **named)
        except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
            raise InvalidPoints(f"{method.__name__} of {type(self).__name__} fails: {error}") from error

    return checked


def _require_agreement(points: Sequence[Tensor], manifold: Any) -> None:
    """Raise unless points have one dtype and one device, and their leading shapes broadcast."""
    if len({each.dtype for each in points}) > 1:
        kinds = " and ".join(str(each.dtype) for each in points)
        raise InvalidPoints(f"Points of {type(manifold).__name__} must be of one dtype, got {kinds}.")
    if len({each.device for each in points}) > 1:
        devices = " and ".join(str(each.device) for each in points)
        raise InvalidPoints(f"Points of {type(manifold).__name__} must be on one device, got {devices}.")
    size = len(manifold.point_shape)
    leading = [each.shape[: each.dim() - size] for each in points]
    # Not by torch.broadcast_shapes, which imports a computer algebra system.
    for sizes in zip_longest(*(reversed(shape) for shape in leading), fillvalue=1):
        if len({*sizes, 1}) > 2:
            shapes = " and ".join(str(tuple(each.shape)) for each in points)
            raise InvalidPoints(
                f"Points of {type(manifold).__name__} must broadcast, got the shapes {shapes}."
            )
