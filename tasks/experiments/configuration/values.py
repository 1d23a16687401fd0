"""What a setting may be: plain values, which the command line, TOML and JSON can all express."""

import dataclasses
import math
import os
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from moduli.errors import InvalidConfiguration
from moduli.requirements import require
from moduli.showing import shown

PLAIN = (bool, int, float, str, Path)
"""The types of single values."""

LARGEST = 10**8
"""The largest whole number that a setting may be: more units, steps or sequences than any machine holds."""


def field_types(settings: type[Any]) -> dict[str, Any]:
    """Return the types of a settings class's fields.

    Parameters
    ----------
    settings : type
        A dataclass.

    Raises
    ------
    InvalidConfiguration
        If a type cannot be found, or is not one that a setting may have: a bool, int, float, str or Path, a
        Literal of words, a tuple of these, and None beside one of them.

    Examples
    --------
    >>> from moduli.tasks.experiments.configuration.settings import TrainingSettings
    >>> field_types(TrainingSettings)["steps"]
    <class 'int'>
    """
    try:
        hints = get_type_hints(settings)
    except (NameError, TypeError) as error:
        raise InvalidConfiguration(
            f"The types of {settings.__name__}'s fields are unknown: {error}."
        ) from None
    kinds = {field.name: hints[field.name] for field in dataclasses.fields(settings)}
    for name, kind in kinds.items():
        if not _is_plain(kind):
            raise InvalidConfiguration(
                f"{settings.__name__}.{name} is of type {getattr(kind, '__name__', kind)}, which no option "
                "can express; a setting is a bool, int, float, str or Path, a Literal of words, or a tuple "
                "of these, and may be None."
            )
    return kinds


def check_settings(settings: Any) -> None:
    """Raise unless every setting is of the type that its field declares, wherever it comes from.

    Parameters
    ----------
    settings : dataclass
        Settings of a task, of training or of pruning.

    Raises
    ------
    InvalidConfiguration
        If a value is of another type, is not finite, or is larger than `LARGEST`.

    Examples
    --------
    >>> from moduli.tasks.experiments.configuration.settings import TrainingSettings
    >>> check_settings(TrainingSettings(clip=float("inf")))
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidConfiguration: clip must be a finite number; got inf.
    """
    for name, kind in field_types(type(settings)).items():
        value = getattr(settings, name)
        if not (value is None and NoneType in _alternatives(kind)):
            convert(kind, as_json(value), name)


def convert(kind: Any, value: Any, name: str) -> Any:
    """Return a value of a TOML file as a setting of a type.

    Parameters
    ----------
    kind : type
        The setting's type, one of those that `field_types` admits.
    value : object
        What the file says.
    name : str
        Its name in error messages.

    Raises
    ------
    InvalidConfiguration
        If the value is of another type, is not finite, or is larger than `LARGEST`.

    Examples
    --------
    >>> convert(tuple[float, ...], [1, 2.5], "sizes")
    (1.0, 2.5)
    """
    kinds = [alternative for alternative in _alternatives(kind) if alternative is not NoneType]
    for alternative in kinds:
        fitted = _fit(alternative, value, name)
        if fitted is not None:
            return fitted
    expected = " or ".join(map(_described, kinds))
    raise InvalidConfiguration(f"{name} must be {expected}; got {shown(value)}.")


def as_json(value: Any) -> Any:
    """Return a value as JSON holds it, so that what is read back equals what was written.

    Examples
    --------
    >>> as_json({"sizes": (1, 2)})
    {'sizes': [1, 2]}
    """
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _is_plain(kind: Any) -> bool:
    if get_origin(kind) in (Union, UnionType):
        return all(part is NoneType or _is_plain(part) for part in get_args(kind))
    if get_origin(kind) is tuple:
        return all(part is Ellipsis or _is_plain(part) for part in get_args(kind))
    if get_origin(kind) is Literal:
        return all(isinstance(word, str | int) for word in get_args(kind))
    return kind in PLAIN


def _fit(kind: Any, value: Any, name: str) -> Any:
    """Return a value as one of a type without alternatives; None if it is not."""
    if get_origin(kind) is Literal:
        return value if value in get_args(kind) else None
    if get_origin(kind) is tuple:
        return _fit_sequence(get_args(kind), value, name)
    if kind in (int, float) and type(value) is int:
        largest = LARGEST if kind is int else 2**63
        require(abs(value) <= largest, name, f"a number of at most {largest:,}", value)
        return kind(value)
    if kind is float and type(value) is float:
        require(math.isfinite(value), name, "a finite number", value)
        return value
    if kind is Path and type(value) is str:
        return Path(value)
    return value if type(value) is kind else None


def _fit_sequence(kinds: tuple[Any, ...], value: Any, name: str) -> tuple[Any, ...] | None:
    if not isinstance(value, list):
        return None
    if kinds[1:] == (Ellipsis,):
        kinds = kinds[:1] * len(value)
    if len(kinds) != len(value):
        return None
    return tuple(
        convert(kind, item, f"{name}[{place}]")
        for place, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _described(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(str, get_args(kind)))}"
    return f"a list for {kind}" if get_origin(kind) is tuple else f"of type {kind.__name__}"
