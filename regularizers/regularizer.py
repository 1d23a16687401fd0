"""The contract of a regularizer: from a manifold and the neurons' places in it to coefficients."""

import json
import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, RegistrationError
from moduli.manifolds import Manifold
from moduli.manifolds.arguments import bind
from moduli.regularizers.algebra import Algebra
from moduli.regularizers.errors import InvalidCoefficients, ShapeMismatch
from moduli.regularizers.geometry import Geometry


class Regularizer(Algebra, ABC):
    """A map from a manifold and the neurons' places in it to penalty coefficients.

    Regularizers add, multiply, and scale by non-negative numbers; a number that is added counts
    as that multiple of ``Uniform()``. A subclass is a frozen dataclass that defines
    ``coefficients``.

    Raises
    ------
    UnknownParameter
        If a constructor is called with arguments that it does not take.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.regularizers import Diffusion, Uniform
    >>> regularizer = 0.5 * Diffusion() + 0.1 * Uniform()
    >>> regularizer
    0.5 * Diffusion() + 0.1 * Uniform()
    >>> regularizer(Torus(2), torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    tensor([[0.1000, 2.1000],
            [2.1000, 0.1000]])
    """

    registered_name: ClassVar[str | None] = None
    """The name under which ``make_regularizer`` knows this class; None if it is not registered."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse arguments that the constructor does not take, by their names."""
        if args or kwargs:  # copies and pickles are made without any
            bind(cls, args, kwargs)
        return super().__new__(cls)

    @abstractmethod
    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the coefficients, of shape ``(n_targets, n_sources)``."""

    def __call__(
        self,
        manifold: Manifold,
        targets: Tensor,
        sources: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Return the coefficient of every weight.

        Parameters
        ----------
        manifold : Manifold
            The space in which the neurons are.
        targets : Tensor
            Points of the neurons that receive, of shape ``(n_targets, *point_shape)``.
        sources : Tensor, optional
            Points of the neurons that send; the targets themselves when absent.
        weight : Tensor, optional
            The weight itself, of shape ``(gates * n_targets, n_sources)``; needed where
            ``depends_on_weight`` is true.

        Returns
        -------
        Tensor
            Finite, non-negative coefficients of shape ``(n_targets, n_sources)``, indexed like a
            PyTorch weight ``[target, source]``; dtype and device of the points.

        Raises
        ------
        InvalidParameter
            If the manifold is something else.
        InvalidPoints
            If the tensors do not hold points of the manifold.
        InvalidCoefficients
            If a coefficient comes out negative, infinite or NaN.
        ShapeMismatch
            If the weight, or what a term returns, has the wrong shape, dtype or device.
        UndefinedCoefficients
            If a term is not defined for these neurons.
        ChangedInPlace
            If a term writes into points, distances or the weight.
        MissingWeight
            If a term depends on the weight and none is given.
        """
        return self.evaluate(Geometry(manifold, targets, sources, weight))

    def evaluate(self, geometry: Geometry) -> Tensor:
        """Return the coefficients after a check; this is how an expression calls its operands."""
        coefficients = self.coefficients(geometry)
        geometry.check_unchanged(self)
        check_coefficients(coefficients, geometry, self)
        return coefficients

    @property
    def operands(self) -> tuple["Regularizer", ...]:
        """The regularizers of which this one is made; none by default."""
        return ()

    @property
    def depends_on_weight(self) -> bool:
        """Whether a term reads the weight, so that coefficients change while it trains."""
        return any(operand.depends_on_weight for operand in self.operands)

    @property
    def is_equivariant(self) -> bool:
        """Whether coefficients follow the neurons when these change places.

        A class whose coefficients depend on the neurons' order says so with ``is_equivariant = False``.
        """
        return all(operand.is_equivariant for operand in self.operands)

    @property
    def is_local(self) -> bool:
        """Whether a coefficient depends on its own two neurons alone, and not on which others there are.

        A class that reads a mean or a rank, for example, says so with ``is_local = False``.
        """
        return all(operand.is_local for operand in self.operands)

    @property
    def spec(self) -> dict[str, Any]:
        """What rebuilds this regularizer, as JSON can hold it: ``make_regularizer(spec)``.

        Raises
        ------
        RegistrationError
            If a term's class is not registered, such as a plain ``Inhibitor(function)``.
        InvalidParameter
            If a parameter cannot be written as JSON.
        """
        name = type(self).__dict__.get("registered_name")
        if name is None:
            raise RegistrationError(
                f"{self!r} has no name to be rebuilt from; make it a subclass of Inhibitor decorated with "
                "@register_regularizer(name)."
            )
        kwargs = {field.name: _encode(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]
        try:
            json.dumps(kwargs, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InvalidParameter(f"{self!r} has a parameter that JSON cannot hold ({error}).") from error
        return {"name": name, "kwargs": kwargs}

    def __repr__(self) -> str:
        """Return a constructor call that leaves out what has its default value."""
        if not is_dataclass(self):
            return super().__repr__()
        changed = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"


def check_coefficients(coefficients: Tensor, geometry: Geometry, owner: Regularizer) -> None:
    """Raise unless coefficients have the right form and are finite and non-negative.

    Raises
    ------
    ShapeMismatch
        If the shape, dtype or device is wrong, naming both sides.
    InvalidCoefficients
        With the owner, the value and the distance at which it occurs.
    """
    points = geometry.targets
    expected = (geometry.shape, points.dtype, points.device)
    if not isinstance(coefficients, Tensor):
        raise ShapeMismatch(f"{owner!r} must give a tensor, got {type(coefficients).__name__}.")
    if (tuple(coefficients.shape), coefficients.dtype, coefficients.device) != expected:
        raise ShapeMismatch(
            f"{owner!r} gives coefficients {tuple(coefficients.shape)} {coefficients.dtype} on "
            f"{coefficients.device}, but the neurons need {geometry.shape} {points.dtype} on {points.device}."
        )
    with torch.no_grad():
        # Comparisons with NaN are false: one pass finds negative, infinite and NaN values alike.
        if (
            coefficients.is_meta
            or coefficients.numel() == 0
            or (coefficients.amin() >= 0 and coefficients.amax() < math.inf)
        ):
            return
        bad = ~((coefficients >= 0) & (coefficients < math.inf))
        row, column = (int(index) for index in bad.nonzero()[0])
        raise InvalidCoefficients(
            f"{owner!r} gives the coefficient {float(coefficients[row, column]):g} at distance "
            f"{float(geometry.distance[row, column]):g} (neurons {row} and {column}); "
            "coefficients must be finite and non-negative."
        )


def _encode(value: Any) -> Any:
    if isinstance(value, Regularizer):
        return value.spec
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
