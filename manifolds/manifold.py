"""The contract of a manifold, and all that follows from it.

A manifold is written with three things: ``point_shape``, ``distance`` and ``random_point``.
Everything else in this class is derived from them and may be overridden.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from moduli.errors import ModuliError
from moduli.manifolds.arguments import bind, is_own
from moduli.manifolds.errors import InvalidPoints
from moduli.manifolds.guards import Guarded
from moduli.manifolds.identity import Array, fingerprint, split_variadic
from moduli.manifolds.pairwise import pairwise_distances
from moduli.manifolds.tensors import require_tensor

Isometry = Callable[[Tensor], Tensor]


class Manifold(Guarded, ABC):
    """A metric space whose points are tensors.

    A subclass defines ``point_shape``, ``distance`` and ``random_point``. Its constructor's
    arguments are its identity: two manifolds of one class and equal arguments are equal, and
    ``spec`` and ``repr`` are made from the arguments.

    Attributes
    ----------
    point_shape : tuple of int
        The shape of one point; an embedding of n neurons has shape ``(n, *point_shape)``.

    Examples
    --------
    A cylinder of circumference 2π, with the flat metric:

    >>> class Cylinder(Manifold):
    ...     point_shape = (2,)
    ...     def __init__(self, height: float = 1.0):
    ...         self.height = height
    ...     def distance(self, x, y):
    ...         turn = (x[..., 0] - y[..., 0]).remainder(2 * torch.pi)
    ...         arc = torch.minimum(turn, 2 * torch.pi - turn)
    ...         return torch.stack([arc, x[..., 1] - y[..., 1]], -1).norm(dim=-1)
    ...     def random_point(self, n, generator=None):
    ...         return torch.rand(n, 2, generator=generator) * torch.tensor([2 * torch.pi, self.height])
    >>> manifold = Cylinder(height=2.0)
    >>> manifold
    Cylinder(height=2.0)
    >>> embedding = manifold.random_point(5, generator=torch.Generator().manual_seed(0))
    >>> manifold.pairwise(embedding).shape
    torch.Size([5, 5])
    """

    point_shape: tuple[int, ...]

    registered_name: ClassVar[str | None] = None
    """The name under which the registry makes this class; None if it is not registered."""

    verification_cases: int = 2**14
    """How many triples of points ``verify`` tries; fewer where ``distance`` is slow."""

    _arguments: dict[str, Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Record the constructor's arguments, which are the manifold's identity."""
        manifold = super().__new__(cls)
        # This library's own say more precisely what they take.
        manifold._arguments = bind(cls, args, kwargs, check_kinds=not is_own(cls))
        return manifold

    @abstractmethod
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the geodesic distance between points, elementwise.

        Parameters
        ----------
        x, y : Tensor
            Points of shape ``(..., *point_shape)``; the leading dimensions broadcast.

        Returns
        -------
        Tensor
            Distances, of the broadcast leading shape, dtype and device of the points.
        """

    @abstractmethod
    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points at random, uniformly where the manifold has a finite volume.

        Parameters
        ----------
        n : int
            Number of points.
        generator : torch.Generator, optional
            Source of randomness; torch's global one when absent.

        Returns
        -------
        Tensor
            Points of shape ``(n, *point_shape)`` and torch's default dtype.

        Raises
        ------
        InvalidParameter
            If a seed is given in place of a generator.
        """

    def project(self, x: Tensor) -> Tensor:
        """Return the point of the manifold nearest to ``x``, or its canonical representative.

        The default returns ``x``: every tensor of the right shape is a point.
        """
        return x

    def retract(self, x: Tensor, tangent: Tensor) -> Tensor:
        """Return the point reached from ``x`` along ``tangent``, to first order."""
        return self.project(x + tangent)

    def contains(self, x: Tensor) -> Tensor:
        """Tell for each of the given points whether it lies on the manifold.

        The default holds every point for one that ``project`` leaves where it is, to a relative
        1e-6, or the square root of the dtype's precision where that is larger: points made in
        float32 stay points in float64.

        Parameters
        ----------
        x : Tensor
            Points of shape ``(..., *point_shape)``.

        Returns
        -------
        Tensor
            Booleans of shape ``(...)``.
        """
        tolerance = max(1e-6, torch.finfo(x.dtype).eps ** 0.5)
        near = (self.project(x) - x).abs() <= tolerance * (1 + x.abs())
        leading = x.shape[: x.dim() - len(self.point_shape)]
        return torch.all(near.reshape(*leading, math.prod(self.point_shape)), dim=-1)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return points at which the distance from ``x`` is likely to fail; `verify` visits them.

        Such are the antipode and, more generally, the cut locus: points that several shortest
        paths reach. The default knows none.

        Parameters
        ----------
        x : Tensor
            Points of shape ``(..., *point_shape)``.

        Returns
        -------
        Tensor
            Points of shape ``(k, ..., *point_shape)``: k for each given one.
        """
        return x.new_empty(0, *x.shape)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry | None:
        """Return a random map that keeps all distances; `verify` holds it to that.

        The default declares none.

        Parameters
        ----------
        generator : torch.Generator, optional
            Source of randomness; torch's global one when absent.

        Returns
        -------
        callable or None
            A function from points to points, of any leading shape.
        """
        return None

    def check_points(self, points: Tensor, what: str = "points") -> None:
        """Raise unless a tensor holds a list of points of this manifold.

        Parameters
        ----------
        points : Tensor
            Expected: a floating-point tensor of shape ``(n, *point_shape)``.
        what : str
            Its name in error messages.

        Raises
        ------
        InvalidPoints
            If the shape or dtype is wrong, or a point is not finite or not on the manifold.
        """
        expected = "(n" + "".join(f", {size}" for size in self.point_shape) + ")"
        if not isinstance(points, Tensor):
            raise InvalidPoints(
                f"{what} for {self!r}: expected a tensor {expected}, got {type(points).__name__}."
            )
        require_tensor(points, f"{what} for {self!r}", InvalidPoints)
        if points.dim() == 0 or tuple(points.shape[1:]) != tuple(self.point_shape):
            raise InvalidPoints(
                f"{what} for {self!r} must have shape {expected}, got {tuple(points.shape)}; "
                "random_point(n) shows a valid one."
            )
        if not points.is_floating_point():
            raise InvalidPoints(
                f"{what} for {self!r} must be floating-point, got {points.dtype}; convert them with .float()."
            )
        if points.is_meta:
            return  # there are no values to look at
        with torch.no_grad():
            finite = points.isfinite().reshape(len(points), math.prod(self.point_shape)).all(dim=-1)
            if not finite.all():
                index = int((~finite).nonzero()[0])
                raise InvalidPoints(
                    f"{what} for {self!r} must be finite; point {index} is {points[index].tolist()}."
                )
            inside = self.contains(points)
            if not inside.all():
                index = int((~inside).nonzero()[0])
                raise InvalidPoints(
                    f"{what} do not lie on {self!r}: point {index} is {points[index].tolist()}; "
                    "project(points) moves them onto it."
                )

    def check_pairs(self, x: Tensor, y: Tensor | None) -> None:
        """Raise unless two lists of points, or one, make a matrix of distances.

        Parameters
        ----------
        x, y : Tensor
            Expected: points of shape ``(n, *point_shape)`` and ``(m, *point_shape)`` that agree in dtype and
            device; y may be absent.

        Raises
        ------
        InvalidPoints
            If they do not.
        """
        self.check_points(x, "x")
        if y is not None:
            self.check_points(y, "y")
            if (x.dtype, x.device) != (y.dtype, y.device):
                raise InvalidPoints(
                    f"x and y must agree in dtype and device, got {x.dtype} on {x.device} "
                    f"and {y.dtype} on {y.device}; convert one with .to(other)."
                )

    def pairwise(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return the matrix of distances between two lists of points.

        The matrix is computed in chunks of rows, so that memory beyond it stays within a few
        tens of megabytes; with gradients, the chunks are computed again in the backward pass.

        Parameters
        ----------
        x : Tensor
            Points of shape ``(n, *point_shape)``.
        y : Tensor, optional
            Points of shape ``(m, *point_shape)``; ``x`` itself when absent.

        Returns
        -------
        Tensor
            Distances of shape ``(n, m)``, or ``(n, n)`` with exact symmetry and an exactly zero
            diagonal when ``y`` is absent; dtype and device of ``x``.

        Raises
        ------
        InvalidPoints
            If either argument does not hold points of this manifold, or they differ in dtype
            or device.
        InvalidDistance
            If ``distance`` returned a tensor of the wrong shape or dtype.
        """
        self.check_pairs(x, y)
        return pairwise_distances(self.distance, x, y, name=repr(self))

    @property
    def spec(self) -> dict[str, Any]:
        """What rebuilds this manifold: ``make(**spec)``.

        The name is the registered one, or ``"module:Class"`` for a class that is not registered.
        Arguments that are manifolds become their own specs, and arrays nested lists: a matrix of
        4,000 rows is 16 million numbers of JSON.

        Raises
        ------
        ModuliError
            If an argument cannot be written as JSON.
        """
        cls = type(self)
        # A subclass of a registered class does not inherit its name.
        name = cls.__dict__.get("registered_name") or f"{cls.__module__}:{cls.__qualname__}"
        kwargs = {key: _encode(value) for key, value in self._arguments.items()}
        try:
            json.dumps(kwargs)
        except (TypeError, ValueError) as error:
            raise ModuliError(
                f"{self!r} has an argument that JSON cannot hold ({error}); override spec."
            ) from error
        return {"name": name, "kwargs": kwargs}

    def __repr__(self) -> str:
        positional, keywords = split_variadic(type(self), self._arguments)
        arguments = [repr(value) for value in positional]
        arguments += [f"{key}={value!r}" for key, value in keywords.items()]
        return f"{type(self).__name__}({', '.join(arguments)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._arguments == other._arguments

    def __hash__(self) -> int:
        return hash((type(self), *(fingerprint(value) for value in self._arguments.values())))

    def __getnewargs_ex__(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with which copy and pickle call the constructor."""
        args, kwargs = split_variadic(type(self), self._arguments)
        return args, kwargs


def _encode(value: Any) -> Any:
    if isinstance(value, Manifold):
        return value.spec
    if isinstance(value, Array):
        return value.plain()
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
