"""What arguments, settings and the installation must satisfy."""

import importlib
from numbers import Integral, Real
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from moduli.errors import InvalidConfiguration, InvalidParameter, MissingDependency, suggestion


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
    """Return a dimension or another count, or raise unless it is a positive integer.

    Raises
    ------
    InvalidParameter
        If the value is not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise InvalidParameter(f"{owner}: {parameter} must be a positive integer, got {value!r}.")
    return int(value)


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
        raise InvalidConfiguration(f"{name} must be {expected}; got {given!r}.")


def require_choices(settings: Any) -> None:
    """Refuse a word that a setting's type, a ``Literal``, does not admit.

    Parameters
    ----------
    settings : dataclass
        Settings.

    Raises
    ------
    InvalidConfiguration
        If a setting is none of its choices.
    """
    for name, kind in get_type_hints(type(settings)).items():
        if get_origin(kind) is Literal:
            choices = get_args(kind)
            value = getattr(settings, name)
            require(value in choices, name, f"one of {', '.join(map(str, choices))}", value)


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
