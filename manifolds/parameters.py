"""Checks of constructor parameters."""

from numbers import Integral, Real

from moduli.manifolds.errors import InvalidParameter


def require_positive(owner: str, parameter: str, value: float) -> float:
    """Return a length as a float, or raise unless it is positive and finite.

    Raises
    ------
    InvalidParameter
        If the value is not a positive finite number.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < float("inf"):
        raise InvalidParameter(f"{owner}: {parameter} must be a positive finite number, got {value!r}.")
    return float(value)


def require_dimension(owner: str, value: int, parameter: str = "dim") -> int:
    """Return a dimension, or raise unless it is a positive integer.

    Raises
    ------
    InvalidParameter
        If the value is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidParameter(f"{owner}: {parameter} must be a positive integer, got {value!r}.")
    return int(value)
