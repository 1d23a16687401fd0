"""Names for manifolds: registration, plugins, and making one from its name.

Installed packages offer manifolds through the entry-point group ``moduli.manifolds``; such a
plugin is imported when its name is first asked for, and ``MODULI_NO_PLUGINS=1`` turns all off.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, overload

from moduli.manifolds.errors import PluginError, RegistrationError, UnknownManifold, suggestion
from moduli.manifolds.manifold import Manifold, construct

ENTRY_POINT_GROUP = "moduli.manifolds"

_registered: dict[str, type[Manifold] | str] = {}

M = TypeVar("M", bound=type[Manifold])


@overload
def register(name: str, *, override: bool = False) -> Callable[[M], M]: ...
@overload
def register(name: str, manifold: M, *, override: bool = False) -> M: ...
@overload
def register(name: str, manifold: str, *, override: bool = False) -> str: ...
def register(
    name: str, manifold: type[Manifold] | str | None = None, *, override: bool = False
) -> Callable[[M], M] | type[Manifold] | str:
    """Register a manifold class under a name, as a decorator or a call.

    Parameters
    ----------
    name : str
        The name for ``make``.
    manifold : type or str, optional
        The class, or ``"package.module:Class"``, imported when first used; absent in a decorator.
    override : bool
        Whether to replace a manifold already registered under this name.

    Returns
    -------
    type, str or callable
        What was registered, or the decorator.

    Raises
    ------
    RegistrationError
        If the name is taken, or what is given is no manifold class.

    Examples
    --------
    >>> register("klein", "moduli.manifolds:KleinBottle")
    Traceback (most recent call last):
        ...
    moduli.manifolds.errors.RegistrationError: The name 'klein' is taken by ... override=True to replace it.
    """
    if not isinstance(name, str) or not name or ":" in name:
        raise RegistrationError(f"A manifold's name must be a non-empty string without ':', got {name!r}.")
    if manifold is None:

        def decorate(cls: M) -> M:
            _add(name, cls, override)
            return cls

        return decorate
    _add(name, manifold, override)
    return manifold


def make(name: str, *, kwargs: Mapping[str, Any] | None = None, **arguments: Any) -> Manifold:
    """Make a manifold from its registered name, or from ``"package.module:Class"``.

    ``make(**manifold.spec)`` rebuilds a manifold.

    Parameters
    ----------
    name : str
        A name from ``available()``, or an import string.
    kwargs : mapping, optional
        The constructor's arguments as a spec holds them; nested specs become manifolds.
    **arguments
        More of the constructor's arguments.

    Returns
    -------
    Manifold

    Raises
    ------
    UnknownManifold
        If no manifold has this name.
    UnknownParameter
        If the class does not take these arguments.
    PluginError
        If the manifold's module cannot be imported.

    Examples
    --------
    >>> make("torus", dim=2)
    Torus(dim=2, period=10.0)
    >>> make(**make("torus", dim=2).spec)
    Torus(dim=2, period=10.0)
    >>> make("tours")
    Traceback (most recent call last):
        ...
    moduli.manifolds.errors.UnknownManifold: No manifold is called 'tours'; did you mean 'torus'? ...
    """
    given = {**(kwargs or {}), **arguments}
    return construct(_resolve(name), {key: _decode(value) for key, value in given.items()})


def available() -> dict[str, str]:
    """Return the names that ``make`` knows, each with one line about its manifold.

    Nothing is imported: what is not imported yet is described by where it comes from.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> available()["klein"]
    'The flat Klein bottle of side ``period``.'
    """
    lines = {name: f"Plugin {_origin(plugin)}." for name, plugin in _plugins().items()}
    for name, manifold in _registered.items():
        if isinstance(manifold, str):
            lines[name] = f"Imported from {manifold} when used."
        else:
            lines[name] = (inspect.getdoc(manifold) or "").partition("\n")[0]
    return dict(sorted(lines.items()))


def _add(name: str, manifold: type[Manifold] | str, override: bool) -> None:
    if not override:
        plugin = _plugins().get(name)
        taken = _registered.get(name) or (plugin.value if plugin else None)
        # A plugin's module may also register its class by itself; that is the same claim, made twice.
        if taken is not None and _import_string(taken) != _import_string(manifold):
            owner = _origin(plugin) if plugin and taken == plugin.value else taken
            raise RegistrationError(
                f"The name '{name}' is taken by {owner}; choose another or pass override=True to replace it."
            )
    if isinstance(manifold, str):
        if manifold.count(":") != 1:
            raise RegistrationError(f"An import string looks like 'package.module:Class', got '{manifold}'.")
    else:
        _check_class(manifold, f"'{name}'")
        manifold.registered_name = name
    _registered[name] = manifold


def _import_string(manifold: type[Manifold] | str) -> str:
    return manifold if isinstance(manifold, str) else f"{manifold.__module__}:{manifold.__qualname__}"


def _check_class(manifold: object, what: str) -> None:
    if not (isinstance(manifold, type) and issubclass(manifold, Manifold)):
        raise RegistrationError(f"{what} must be a subclass of Manifold, got {manifold!r}.")
    missing = sorted(getattr(manifold, "__abstractmethods__", ()))
    if missing:
        raise RegistrationError(f"{what}: {manifold.__name__} does not define {' and '.join(missing)}.")


def _plugins() -> dict[str, EntryPoint]:
    if os.environ.get("MODULI_NO_PLUGINS", "") not in ("", "0"):
        return {}
    return {plugin.name: plugin for plugin in entry_points(group=ENTRY_POINT_GROUP)}


def _origin(plugin: EntryPoint) -> str:
    package = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist is not None else "an unnamed package"
    return f"{plugin.value} of {package}"


def _resolve(name: str) -> type[Manifold]:
    entry = _registered.get(name)
    if isinstance(entry, type):
        return entry
    if entry is None and ":" in name:
        return _import(name, f"'{name}'")
    if entry is not None:
        manifold = _import(entry, f"Manifold '{name}' ({entry})")
    else:
        plugins = _plugins()
        if name not in plugins:
            raise UnknownManifold(
                f"No manifold is called '{name}'; {suggestion(name, _registered.keys() | plugins.keys())}"
            )
        manifold = _import(plugins[name].value, f"Manifold '{name}' of plugin {_origin(plugins[name])}")
    manifold.registered_name = name
    _registered[name] = manifold
    return manifold


def _import(target: str, what: str) -> type[Manifold]:
    module, _, qualified_name = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualified_name.split("."):
            found = getattr(found, part)
    except Exception as error:  # a plugin's import may fail in any way, and must break nothing else
        raise PluginError(f"{what} could not be imported: {type(error).__name__}: {error}.") from error
    _check_class(found, what)
    return found  # type: ignore[no-any-return]


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"name", "kwargs"}:
        return make(**value)
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value
