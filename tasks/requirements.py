"""What settings must satisfy; free of torch, as all settings are."""

from typing import Any, Literal, get_args, get_origin, get_type_hints


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
        from moduli.tasks.errors import InvalidConfiguration  # the library's errors come with torch

        raise InvalidConfiguration(f"{name} must be {expected}; got {given!r}.")


def require_choices(settings: Any) -> None:
    """Refuse a word that is none of those that a setting's type, a ``Literal``, admits.

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
