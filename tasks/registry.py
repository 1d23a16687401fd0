"""Tasks by name: the settings classes of this library, its users and their plugins; free of torch.

A settings class stands for its task: it is a frozen dataclass of plain values, each with a default. Class
variables say the rest:

``name``
    The word for the task in results and in the names of folders.
``task``
    Import string of the `moduli.tasks.task.Task`, which may import torch.
``presets``
    Optional: import string of a mapping of names to `Configuration`; they replace the generic presets.
``published_epochs``
    Optional: how many epochs the published training has, in whose last one ``--protocol paper`` prunes.
"""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, overload

from moduli.errors import InvalidConfiguration, RegistrationError
from moduli.registry import Registry
from moduli.showing import described
from moduli.tasks.errors import UnknownTask
from moduli.tasks.experiments.configuration.values import field_types

S = TypeVar("S", bound=type[Any])

BUILT_IN = {
    "navigation": "moduli.tasks.navigation.settings:NavigationSettings",
    "language": "moduli.tasks.language.settings:LanguageSettings",
    "adding": "moduli.tasks.adding.settings:AddingSettings",
    "cognition": "moduli.tasks.cognition.settings:CognitionSettings",
    "digits": "moduli.tasks.digits.settings:DigitsSettings",
}


VARIABLES = {
    "name": (r"[A-Za-z0-9][\w-]*", "average"),
    "task": (r"[\w.]+:[\w.]+", "package.module:Average"),
    "presets": (r"[\w.]+:[\w.]+", "package.module:PRESETS"),
}
"""What the class variables look like, and an example of each."""


def _check_settings(thing: object, what: str) -> None:
    if not (isinstance(thing, type) and is_dataclass(thing)):
        raise RegistrationError(f"{what} must be a dataclass of a task's settings, got {described(thing)}.")
    if not thing.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise RegistrationError(
            f"{what}: {thing.__name__} must be frozen; decorate it with @dataclass(frozen=True)."
        )
    _check_variables(thing, what)
    _check_fields(thing, what)


def _check_variables(settings: type[Any], what: str) -> None:
    names = {field.name for field in fields(settings)}
    for variable, (pattern, example) in VARIABLES.items():
        if variable == "presets" and not hasattr(settings, variable):
            continue
        value = getattr(settings, variable, None)
        if variable in names or not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise RegistrationError(
                f"{what}: {settings.__name__} must say its {variable} as a class variable, such as "
                f"{variable}: ClassVar[str] = '{example}'; got {value!r}."
            )
    epochs = getattr(settings, "published_epochs", 1)
    if type(epochs) is not int or epochs < 1:
        raise RegistrationError(
            f"{what}: {settings.__name__}.published_epochs must be a positive integer, got {epochs!r}."
        )


def _check_fields(settings: type[Any], what: str) -> None:
    for field in fields(settings):
        if field.default is MISSING and field.default_factory is MISSING:
            raise RegistrationError(
                f"{what}: {settings.__name__}.{field.name} needs a default, as every option has one."
            )
    try:
        field_types(settings)
        settings()
    except InvalidConfiguration as error:
        raise RegistrationError(f"{what}: {error}") from error
    except Exception as error:  # code of a plugin, which may fail in any way
        raise RegistrationError(
            f"{what}: {settings.__name__}() fails with its defaults: {type(error).__name__}: {error}."
        ) from error


TASKS: Registry[type[Any]] = Registry("task", _check_settings, "moduli.tasks", UnknownTask)
"""The settings classes of all tasks that have a name."""

for _name, _target in BUILT_IN.items():
    TASKS.add(_name, _target, override=True)  # whatever plugin wants the name


@overload
def register_task(name: str, *, override: bool = False) -> Callable[[S], S]: ...
@overload
def register_task(name: str, settings: S, *, override: bool = False) -> S: ...
@overload
def register_task(name: str, settings: str, *, override: bool = False) -> str: ...
def register_task(
    name: str, settings: type[Any] | str | None = None, *, override: bool = False
) -> Callable[[S], S] | type[Any] | str:
    """Register a task's settings class under a name, as a decorator or a call.

    Installed packages offer theirs through the entry-point group ``moduli.tasks``.

    Parameters
    ----------
    name : str
        The word for the task on the command line.
    settings : type or str, optional
        The class, or ``"package.module:Settings"``, imported when first used; absent in a decorator.
    override : bool
        Whether to replace a task already registered under this name.

    Returns
    -------
    type, str or callable
        What was registered, or the decorator.

    Raises
    ------
    RegistrationError
        If the name is taken, or what is given is not the settings class of a task.

    Examples
    --------
    >>> register_task("adding", "moduli.tasks.language.settings:LanguageSettings")
    Traceback (most recent call last):
        ...
    moduli.errors.RegistrationError: The name 'adding' is taken by ... override=True to replace it.
    """
    TASKS.check_name(name)
    if settings is not None:
        TASKS.add(name, settings, override=override)
        return settings

    def decorate(cls: S) -> S:
        TASKS.add(name, cls, override=override)
        return cls

    return decorate


def available_tasks() -> dict[str, str]:
    """Return the names of all tasks, each with one line about it.

    No plugin is imported: what is not imported yet is described by where it comes from.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> available_tasks()["language"]
    'Language: tell the next word of a text.'
    """
    for name in BUILT_IN:
        TASKS.get(name)
    return TASKS.describe()


def find_task(name: str) -> type[Any]:
    """Return the settings class of a task.

    Parameters
    ----------
    name : str
        A name from `available_tasks`, or an import string ``"package.module:Settings"``.

    Raises
    ------
    UnknownTask
        If no task has this name.
    PluginError
        If it cannot be imported.
    RegistrationError
        If it is not the settings class of a task, or calls itself as a built-in task does.

    Examples
    --------
    >>> find_task("adding")().units
    128
    >>> find_task("addign")
    Traceback (most recent call last):
        ...
    moduli.tasks.errors.UnknownTask: No task is called 'addign'; did you mean 'adding'? ...
    """
    settings = TASKS.load(name) if isinstance(name, str) and ":" in name else TASKS.get(name)
    if settings.name in BUILT_IN and settings is not TASKS.get(settings.name):
        raise RegistrationError(
            f"{settings.__module__}:{settings.__qualname__} calls itself '{settings.name}', which is a "
            "built-in task; its results would be taken for that task's, so give it another name."
        )
    return settings
