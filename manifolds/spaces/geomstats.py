"""Any geomstats space as a manifold: the one module that knows geomstats and its backends.

geomstats chooses its backend from the environment variable ``GEOMSTATS_BACKEND`` when it is first
imported: NumPy unless told otherwise, or PyTorch. Tensors go in and come out with either; gradients
flow through PyTorch alone.
"""

import math
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.errors import InvalidDistance, InvalidPoints, NotDifferentiable
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.geomstats_names import find_space
from moduli.manifolds.spaces.surroundings import import_module, surroundings


@register("geomstats")
class GeomstatsManifold(Manifold):
    """A geomstats space with its Riemannian metric, in geomstats' coordinates.

    Distance: ``space.metric.dist``, computed in float64 whatever the points' dtype.

    Coincident points never reach geomstats: their distance is zero, and so is its gradient, which
    in geomstats 2.8 is NaN. Elsewhere values and gradients are geomstats' own.

    Parameters
    ----------
    space : geomstats space or str
        The space, or the name of its class in geomstats, such as ``"Hypersphere"``, to make it from
        ``arguments``; only the latter has a ``spec``.
    **arguments
        What the named class is called with.

    Examples
    --------
    >>> space = GeomstatsManifold("Hypersphere", dim=2)
    >>> space.distance(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    tensor(1.5708)
    """

    # A pair costs geomstats up to 55 ms (rotations, measured on one core).
    verification_cases = 64

    def __init__(self, space: Any, **arguments: Any) -> None:
        if isinstance(space, str):
            space = _make_space(space, arguments)
        elif arguments:
            raise InvalidParameter(
                f"from_geomstats: arguments {sorted(arguments)} need the name of the space's class, "
                f"got an instance of {type(space).__name__}."
            )
        if not hasattr(space, "random_point") or not hasattr(space, "shape"):
            raise InvalidParameter(f"from_geomstats needs a geomstats space, got {space!r}.")
        if not hasattr(getattr(space, "metric", None), "dist"):
            raise InvalidParameter(
                f"from_geomstats: {type(space).__name__} has no metric with a distance; "
                "call space.equip_with_metric(...) first."
            )
        self.space = space
        self.point_shape = tuple(int(size) for size in space.shape)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return geomstats' geodesic distance.

        Raises
        ------
        NotDifferentiable
            If a gradient is asked for while geomstats runs on NumPy.
        InvalidPoints
            If the points are on the meta device.
        InvalidDistance
            If geomstats returns a complex number, as it does for half turns in SE(2).
        """
        _require_values(x)
        x, y = torch.broadcast_tensors(x, y)  # type: ignore[no-untyped-call]
        leading = x.shape[: x.dim() - len(self.point_shape)]
        x, y = x.reshape(-1, *self.point_shape), y.reshape(-1, *self.point_shape)
        apart = (x != y).reshape(len(x), math.prod(self.point_shape)).any(dim=-1).nonzero()[:, 0]
        if len(apart) == 0:
            return x.new_zeros(leading)
        # geomstats drops the batch dimension of a single pair.
        lengths = _call(self.space.metric.dist, x[apart], y[apart]).reshape(-1)
        if len(lengths) != len(apart):
            raise InvalidParameter(
                f"{self!r}: metric.dist returned {len(lengths)} distances for {len(apart)} pairs of points."
            )
        if lengths.is_complex():
            lengths = self._real(lengths, x[apart], y[apart])
        return x.new_zeros(len(x)).index_put((apart,), lengths.to(x)).reshape(leading)

    def _real(self, lengths: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """Return the real parts, or raise where they are not the whole distance."""
        wrong = lengths.imag.abs() > 1e-6 * lengths.abs()
        if wrong.any():
            index = int(wrong.nonzero()[0])
            raise InvalidDistance(
                f"{self!r}: geomstats' distance of {x[index].tolist()} and {y[index].tolist()} is the "
                f"complex number {complex(lengths[index]):.6g}, since its formula fails there; "
                "use another metric."
            )
        return lengths.real

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points with the space's own ``random_point``, seeded from the generator."""
        device = None if generator is None else generator.device
        seed = int(torch.randint(2**31, (1,), generator=generator, device=device))
        dtype = torch.get_default_dtype()
        if n == 0:
            return torch.empty(0, *self.point_shape, dtype=dtype, device=device)
        with surroundings(seed):
            points = torch.as_tensor(self.space.random_point(n))
        if points.is_complex():
            raise InvalidParameter(f"{self!r} has complex points; moduli's are real.")
        return points.reshape(n, *self.point_shape).to(device=device, dtype=dtype)

    def project(self, x: Tensor) -> Tensor:
        """Return the space's ``projection`` where it has one, and ``x`` itself otherwise."""
        projection = getattr(self.space, "projection", None)
        _require_values(x)
        if projection is None or x.numel() == 0:
            return x
        flat = x.reshape(-1, *self.point_shape)
        return _call(projection, flat).reshape(x.shape).to(x)

    def contains(self, x: Tensor) -> Tensor:
        """Return the space's ``belongs``, to the accuracy of the dtype."""
        leading = x.shape[: x.dim() - len(self.point_shape)]
        _require_values(x)
        if x.numel() == 0:
            return torch.ones(leading, dtype=torch.bool, device=x.device)
        tolerance = max(1e-6, torch.finfo(x.dtype).eps ** 0.5)
        flat = x.detach().reshape(-1, *self.point_shape)
        inside = _call(lambda points: self.space.belongs(points, atol=tolerance), flat)
        return inside.to(device=x.device, dtype=torch.bool).reshape(-1).expand(len(flat)).reshape(leading)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GeomstatsManifold):
            return NotImplemented
        return _alike(self._arguments, other._arguments, set())

    def __hash__(self) -> int:
        return hash((type(self), type(self.space)))

    def __repr__(self) -> str:
        arguments = {key: value for key, value in self._arguments.items() if key != "space"}
        described = "".join(f", {key}={value!r}" for key, value in arguments.items())
        space = self._arguments["space"]
        return f"GeomstatsManifold({space if not isinstance(space, str) else repr(space)}{described})"


def from_geomstats(space: Any) -> GeomstatsManifold:
    """Return a geomstats space as a manifold.

    Parameters
    ----------
    space : geomstats space
        Any space whose metric has ``dist``.

    Returns
    -------
    GeomstatsManifold

    Raises
    ------
    InvalidParameter
        If it is not a geomstats space, or its metric has no ``dist``.

    Examples
    --------
    >>> from geomstats.geometry.hypersphere import Hypersphere
    >>> from_geomstats(Hypersphere(dim=2)).point_shape
    (3,)
    """
    return GeomstatsManifold(space)


def _require_values(x: Tensor) -> None:
    if x.is_meta:
        raise InvalidPoints("geomstats needs the values of points, which the meta device lacks.")


def _alike(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """Tell whether two values consist of equal parts; geomstats' spaces compare by identity alone.

    A space and its metric refer to each other, so that a pair met again counts as alike.
    """
    if a is b or (id(a), id(b)) in seen:
        return True
    if type(a) is not type(b):
        return False
    seen.add((id(a), id(b)))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_alike(a[key], b[key], seen) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_alike(one, other, seen) for one, other in zip(a, b, strict=True))
    if isinstance(a, MethodType):
        return a.__func__ is b.__func__ and _alike(a.__self__, b.__self__, seen)
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    if isinstance(a, type | FunctionType) or not hasattr(a, "__dict__"):
        return bool(a == b)
    return _alike(vars(a), vars(b), seen)


def _make_space(name: str, arguments: dict[str, Any]) -> Any:
    maker = find_space(name)
    try:
        with surroundings():
            return maker(**arguments)
    except Exception as error:  # geomstats checks few arguments, and fails in any way
        raise InvalidParameter(
            f"GeomstatsManifold: '{name}' with {arguments} could not be made: "
            f"{type(error).__name__}: {error}."
        ) from error


def _call(function: Callable[..., Any], *points: Tensor) -> Tensor:
    """Call geomstats with points in float64, in its backend's arrays, and return a tensor."""
    backend = import_module("geomstats.backend")
    with surroundings():
        wants_gradient = torch.is_grad_enabled() and any(each.requires_grad for each in points)
        if backend.__name__.endswith("pytorch"):
            try:
                result = torch.as_tensor(function(*(each.cpu().double() for each in points)))
            except RuntimeError as error:
                if wants_gradient and "requires grad" in str(error):
                    raise NotDifferentiable(f"geomstats leaves PyTorch in this space: {error}") from error
                raise
            if wants_gradient and not result.requires_grad:
                raise NotDifferentiable("geomstats leaves PyTorch in this space and drops the gradient.")
            return result
        if wants_gradient:
            raise NotDifferentiable(
                "geomstats runs on NumPy, which has no gradients; set GEOMSTATS_BACKEND=pytorch "
                "before its first import, or keep the points fixed."
            )
        arrays = (each.detach().cpu().double().numpy() for each in points)
        return torch.as_tensor(np.asarray(function(*arrays)))
