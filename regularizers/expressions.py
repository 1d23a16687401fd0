"""Expressions: what sums, products and multiples make of regularizers.

An expression is an immutable tree, equal by value, whose ``repr`` evaluates back to it. All terms
of one expression share one distance matrix, through the `Geometry` on which it is evaluated.
"""

import math
from dataclasses import dataclass
from functools import reduce
from operator import add, mul

from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.registry import register_regularizer
from moduli.regularizers.regularizer import Regularizer


@register_regularizer("sum")
@dataclass(frozen=True, repr=False)
class Sum(Regularizer):
    """The sum of several regularizers; written ``a + b``."""

    terms: tuple[Regularizer, ...]

    def __post_init__(self) -> None:
        if not self.terms:
            raise InvalidParameter("A sum needs at least one term.")
        object.__setattr__(self, "terms", tuple(self.terms))

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
class ElementwiseProduct(Regularizer):
    """The elementwise product of several regularizers; written ``a * b``."""

    factors: tuple[Regularizer, ...]

    def __post_init__(self) -> None:
        if not self.factors:
            raise InvalidParameter("A product needs at least one factor.")
        object.__setattr__(self, "factors", tuple(self.factors))

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
        return f"{self.factor!r} * {parenthesised(self.regularizer, Sum, ElementwiseProduct, Multiple)}"


def parenthesised(regularizer: Regularizer, *kinds: type[Regularizer]) -> str:
    """Return an expression's repr, in parentheses if it is of one of the given kinds."""
    return f"({regularizer!r})" if isinstance(regularizer, kinds) else repr(regularizer)
