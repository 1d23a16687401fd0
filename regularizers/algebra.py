"""Regularizers, and the expressions that sums, products and multiples make of them.

An expression is an immutable tree, equal by value, whose ``repr`` evaluates back to it. All terms
of one expression share one distance matrix, through the `Geometry` on which it is evaluated.
"""

import json
import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import reduce
from numbers import Real
from operator import add, mul
from typing import Any, ClassVar

import torch
from torch import Tensor

from moduli.manifolds import InvalidParameter, Manifold, RegistrationError
from moduli.regularizers.errors import InvalidCoefficients, ShapeMismatch
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.registry import register_regularizer


class Regularizer(ABC):
    """A map from a manifold and the neurons' places in it to penalty coefficients.

    Regularizers add, multiply, and scale by non-negative numbers; a number that is added counts
    as that multiple of ``Uniform()``. A subclass is a frozen dataclass that defines
    ``coefficients``.

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

    # NumPy scalars would otherwise try to multiply elementwise themselves.
    __array_ufunc__ = None

    registered_name: ClassVar[str | None] = None
    """The name under which ``make_regularizer`` knows this class; None if it is not registered."""

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
        InvalidPoints
            If the tensors do not hold points of the manifold.
        InvalidCoefficients
            If a coefficient comes out negative, infinite or NaN.
        ShapeMismatch
            If the weight, or what a term returns, has the wrong shape, dtype or device.
        MissingWeight
            If a term depends on the weight and none is given.
        """
        return self.evaluate(Geometry(manifold, targets, sources, weight))

    def evaluate(self, geometry: Geometry) -> Tensor:
        """Return the coefficients after a check; this is how an expression calls its operands."""
        coefficients = self.coefficients(geometry)
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

    def permuted(self, seed: int = 0) -> "Regularizer":
        """Return this regularizer with its coefficients dealt out at random: the paper's control."""
        from moduli.regularizers.wrappers import Permuted

        return Permuted(self, seed)

    def permuted_in_pairs(self, seed: int = 0) -> "Regularizer":
        """Return this regularizer with pairs of opposite coefficients dealt out at random."""
        from moduli.regularizers.wrappers import PermutedInPairs

        return PermutedInPairs(self, seed)

    def normalized(self) -> "Regularizer":
        """Return this regularizer scaled so that its mean off-diagonal coefficient is 1."""
        from moduli.regularizers.wrappers import Normalized

        return Normalized(self)

    def with_diagonal(self, share: float) -> "Regularizer":
        """Return this regularizer with self-connections at a share of the mean coefficient; 0 is free."""
        from moduli.regularizers.wrappers import WithDiagonal

        return WithDiagonal(self, share)

    def clamped(self, low: float = 0.0, high: float | None = None) -> "Regularizer":
        """Return this regularizer with every coefficient moved into ``[low, high]``."""
        from moduli.regularizers.wrappers import Clamped

        return Clamped(self, low, high)

    def threshold(self, value: float) -> "Regularizer":
        """Return this regularizer with every coefficient below ``value`` set to zero."""
        from moduli.regularizers.wrappers import Thresholded

        return Thresholded(self, value)

    def relative(self) -> "Regularizer":
        """Return this regularizer with lengths in units of the neurons' mean distance."""
        from moduli.regularizers.wrappers import Relative

        return Relative(self)

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

    def __add__(self, other: object) -> "Regularizer":
        term = _as_regularizer(other)
        return NotImplemented if term is None else Sum((*_terms(self), *_terms(term)))

    def __radd__(self, other: object) -> "Regularizer":
        if isinstance(other, int) and other == 0:  # where sum() starts
            return self
        term = _as_regularizer(other)
        return NotImplemented if term is None else Sum((*_terms(term), *_terms(self)))

    def __mul__(self, other: object) -> "Regularizer":
        if _is_number(other):
            return Multiple(float(other), self)  # type: ignore[arg-type]
        if isinstance(other, Regularizer):
            return Product((*_factors(self), *_factors(other)))
        return NotImplemented

    def __rmul__(self, other: object) -> "Regularizer":
        return self * other if _is_number(other) else NotImplemented


@register_regularizer("sum")
@dataclass(frozen=True, repr=False)
class Sum(Regularizer):
    """The sum of several regularizers; written ``a + b``."""

    terms: tuple[Regularizer, ...]

    @property
    def operands(self) -> tuple[Regularizer, ...]:
        """The terms."""
        return self.terms

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the sum of the terms' coefficients."""
        return reduce(add, (term.evaluate(geometry) for term in self.terms))

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.terms))


@register_regularizer("product")
@dataclass(frozen=True, repr=False)
class Product(Regularizer):
    """The elementwise product of several regularizers; written ``a * b``."""

    factors: tuple[Regularizer, ...]

    @property
    def operands(self) -> tuple[Regularizer, ...]:
        """The factors."""
        return self.factors

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the product of the factors' coefficients."""
        return reduce(mul, (factor.evaluate(geometry) for factor in self.factors))

    def __repr__(self) -> str:
        return " * ".join(parenthesised(factor, Sum, Multiple) for factor in self.factors)


@register_regularizer("multiple")
@dataclass(frozen=True, repr=False)
class Multiple(Regularizer):
    """A non-negative multiple of a regularizer; written ``number * a``."""

    factor: float
    regularizer: Regularizer

    def __post_init__(self) -> None:
        if not 0 <= self.factor < math.inf:
            raise InvalidParameter(
                f"A regularizer is multiplied by a non-negative finite number, got {self.factor!r}: "
                "a negative coefficient would reward large weights without bound."
            )

    @property
    def operands(self) -> tuple[Regularizer, ...]:
        """The regularizer."""
        return (self.regularizer,)

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the multiple of the regularizer's coefficients."""
        return self.factor * self.regularizer.evaluate(geometry)

    def __repr__(self) -> str:
        return f"{self.factor!r} * {parenthesised(self.regularizer, Sum, Product, Multiple)}"


def parenthesised(regularizer: Regularizer, *kinds: type[Regularizer]) -> str:
    """Return an expression's repr, in parentheses if it is of one of the given kinds."""
    return f"({regularizer!r})" if isinstance(regularizer, kinds) else repr(regularizer)


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
        if coefficients.numel() == 0 or (coefficients.amin() >= 0 and coefficients.amax() < math.inf):
            return
        bad = ~((coefficients >= 0) & (coefficients < math.inf))
        row, column = (int(index) for index in bad.nonzero()[0])
        raise InvalidCoefficients(
            f"{owner!r} gives the coefficient {float(coefficients[row, column]):g} at distance "
            f"{float(geometry.distance[row, column]):g} (neurons {row} and {column}); "
            "coefficients must be finite and non-negative."
        )


def _is_number(value: object) -> bool:
    # A boolean factor is almost surely a mistake.
    return isinstance(value, Real) and not isinstance(value, bool)


def _as_regularizer(value: object) -> Regularizer | None:
    if isinstance(value, Regularizer):
        return value
    if _is_number(value):
        from moduli.regularizers.inhibitors import Uniform  # Uniform is itself a regularizer

        return Multiple(float(value), Uniform())  # type: ignore[arg-type]
    return None


def _terms(regularizer: Regularizer) -> tuple[Regularizer, ...]:
    return regularizer.terms if isinstance(regularizer, Sum) else (regularizer,)


def _factors(regularizer: Regularizer) -> tuple[Regularizer, ...]:
    return regularizer.factors if isinstance(regularizer, Product) else (regularizer,)


def _encode(value: Any) -> Any:
    if isinstance(value, Regularizer):
        return value.spec
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    return value
