"""What arguments, settings and the installation must satisfy."""

import importlib
import math
from numbers import Integral, Real
from types import ModuleType
from typing import Any, TypeGuard

from moduli.errors import InvalidConfiguration, InvalidParameter, MissingDependency, suggestion
from moduli.showing import shown

LARGEST_COUNT = 2**24
"""The largest dimension or count that an argument may ask for."""


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a value is a real number; a boolean is almost surely a mistake."""
    return isinstance(value, Real) and not isinstance(value, bool)


def as_float(value: object) -> float:
    """Return a number as a float, an integer beyond the largest one as infinity, anything else as NaN."""
    try:
        return float(value) if is_number(value) else math.nan
    except OverflowError:
        return math.inf


def require_positive(owner: str, parameter: str, value: float) -> float:
    """Return a length as a float, or raise unless it is positive and finite.

    Raises
    ------
    InvalidParameter
        If the value is not a positive finite number.
    """
    number = as_float(value)
    if not 0 < number < math.inf:
        raise InvalidParameter(f"{owner}: {parameter} must be a positive finite number, got {shown(value)}.")
    return number


def require_dimension(owner: str, value: int, parameter: str = "dim") -> int:
    """Return a dimension or another count, or raise unless it is a positive integer.

    Raises
    ------
    InvalidParameter
        If the value is not a positive integer, or is larger than `LARGEST_COUNT`.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidParameter(f"{owner}: {parameter} must be a positive integer, got {shown(value)}.")
    if value > LARGEST_COUNT:
        raise InvalidParameter(f"{owner}: {parameter} must be at most {LARGEST_COUNT:,}, got {shown(value)}.")
    return int(value)


def require_seed(value: object) -> int:
    """Return a seed, or raise unless it is an integer that PyTorch's generators take.

    Raises
    ------
    InvalidParameter
        If the value is not an integer of at most 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or not -(2**63) <= int(value) < 2**64:
        raise InvalidParameter(f"seed must be an integer of at most 64 bits, got {shown(value)}.")
    return int(value)


def require_share(what: str, value: object, *, whole: bool = False) -> float:
    """Return a share as a float.

    Parameters
    ----------
    what : str
        What it is a share of, as the error begins: ``"bridges is a share of the weights"``.
    value : object
        What was given.
    whole : bool
        Whether it may be 1.

    Raises
    ------
    InvalidParameter
        If the value is not a number in [0, 1), or in [0, 1].

    Examples
    --------
    >>> require_share("bridges is a share of the weights", 1)
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: bridges is a share of the weights, in [0, 1); got 1.
    """
    if not is_number(value) or not (0 <= value < 1 or (whole and value == 1)):
        raise InvalidParameter(f"{what}, in [0, 1{']' if whole else ')'}; got {shown(value)}.")
    return float(value)


def require_non_negative(what: str, value: object) -> float:
    """Return a number that may be 0 as a float, or raise.

    Raises
    ------
    InvalidParameter
        If the value is not a non-negative finite number.
    """
    number = as_float(value)
    if not 0 <= number < math.inf:
        raise InvalidParameter(f"{what} must be a non-negative finite number, got {shown(value)}.")
    return number


def require_choice(parameter: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless a value is one of a few words.

    Raises
    ------
    InvalidParameter
        If it is another one, with a suggestion.
    """
    if not isinstance(value, str) or value not in choices:
        raise InvalidParameter(f"Unknown {parameter} {value!r}; {suggestion(value, choices)}")


def require(holds: bool, name: str, expected: str, given: object) -> None:
    """Refuse a setting that is outside its domain.

    Parameters
    ----------
    holds : bool
        Whether the setting is as expected.
    name : str
        The setting's name.
    expected : str
        What it must be, in words.
    given : object
        What it is.

    Raises
    ------
    InvalidConfiguration
        If the setting is not as expected.
    """
    if not holds:
        raise InvalidConfiguration(f"{name} must be {expected}; got {shown(given)}.")


def require_package(module: str, purpose: str, extra: str) -> ModuleType:
    """Import a module of an optional package.

    Parameters
    ----------
    module : str
        The module, such as ``"safetensors.torch"``.
    purpose : str
        What needs it, in the plural, as the error begins: ``"Barcodes"``.
    extra : str
        The extra of this library that installs it.

    Returns
    -------
    module

    Raises
    ------
    MissingDependency
        If the package is not installed.

    Examples
    --------
    >>> require_package("no_such_package", "Barcodes", "topology")
    Traceback (most recent call last):
        ...
    moduli.errors.MissingDependency: Barcodes need no_such_package; install it with: pip install ...
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependency(
            f"{purpose} need {package}; install it with: pip install 'moduli[{extra}]'"
        ) from error
