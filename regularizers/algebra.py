"""The algebra of regularizers: operators, and the methods that wrap one regularizer in another.

What an operator or a method makes is looked up by its registered name, so that this module knows none of
the classes that are made.
"""

from typing import TYPE_CHECKING, Any, cast

from moduli.errors import InvalidParameter
from moduli.regularizers.registry import REGULARIZERS
from moduli.requirements import is_number
from moduli.showing import shown

if TYPE_CHECKING:
    from moduli.regularizers.regularizer import Regularizer


class Algebra:
    """Operators and methods that every regularizer has; the base of `Regularizer`."""

    # NumPy scalars would otherwise try to multiply elementwise themselves.
    __array_ufunc__ = None

    def permuted(self, seed: int = 0) -> "Regularizer":
        """Return this regularizer with its coefficients dealt out at random: the paper's control."""
        return _made("permuted", self, seed)

    def permuted_in_pairs(self, seed: int = 0) -> "Regularizer":
        """Return this regularizer with pairs of opposite coefficients dealt out at random."""
        return _made("permuted_in_pairs", self, seed)

    def normalized(self) -> "Regularizer":
        """Return this regularizer scaled so that its mean off-diagonal coefficient is 1."""
        return _made("normalized", self)

    def with_diagonal(self, share: float) -> "Regularizer":
        """Return this regularizer with self-connections at a share of the mean coefficient; 0 is free."""
        return _made("with_diagonal", self, share)

    def clamped(self, low: float = 0.0, high: float | None = None) -> "Regularizer":
        """Return this regularizer with every coefficient moved into ``[low, high]``."""
        return _made("clamped", self, low, high)

    def threshold(self, value: float) -> "Regularizer":
        """Return this regularizer with every coefficient below ``value`` set to zero."""
        return _made("threshold", self, value)

    def relative(self) -> "Regularizer":
        """Return this regularizer with lengths in units of the neurons' mean distance."""
        return _made("relative", self)

    def __add__(self, other: object) -> "Regularizer":
        term = _as_term(other)
        return NotImplemented if term is None else _joined("sum", self, term)

    def __radd__(self, other: object) -> "Regularizer":
        if isinstance(other, int) and other == 0:  # where sum() starts
            return cast("Regularizer", self)
        term = _as_term(other)
        return NotImplemented if term is None else _joined("sum", term, self)

    def __mul__(self, other: object) -> "Regularizer":
        if is_number(other):
            return _made("multiple", _as_float(other), self)
        return _joined("product", self, other) if isinstance(other, Algebra) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> "Regularizer":
        if not is_number(other):
            return NotImplemented
        if other == 0:
            raise InvalidParameter(f"{self!r} is divided by 0; divide by a positive number.")
        return self * (1 / _as_float(other))


def _made(name: str, *arguments: Any) -> "Regularizer":
    return REGULARIZERS.get(name)(*arguments)


def _joined(name: str, first: Algebra, second: Algebra) -> "Regularizer":
    """Return the sum or the product of two expressions; nested ones of that kind become one."""
    kind = REGULARIZERS.get(name)
    parts = [each.operands if isinstance(each, kind) else (each,) for each in (first, second)]
    return kind((*parts[0], *parts[1]))


def _as_term(value: object) -> Algebra | None:
    if isinstance(value, Algebra):
        return value
    return _made("multiple", _as_float(value), _made("uniform")) if is_number(value) else None


def _as_float(value: object) -> float:
    try:
        return float(cast(float, value))
    except OverflowError:
        raise InvalidParameter(
            f"A regularizer is multiplied by a finite number, got {shown(value)}."
        ) from None
