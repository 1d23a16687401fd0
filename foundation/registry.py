"""The one registry: names for things that plug in, from this library, its users and their plugins.

A registered thing is an object, or an import string ``"package.module:Class"`` that is imported when it is
first used. Installed packages offer things through entry points; a plugin is imported when its name is
first asked for, and ``MODULI_NO_PLUGINS=1`` turns all plugins off. A name that is registered in the
process always means that thing, this library's own above all: a plugin that wants it is named in a warning
and gets nothing.
"""

import importlib
import inspect
import os
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any, Generic, TypeVar

from moduli.errors import ModuliError, PluginConflict, PluginError, RegistrationError, suggestion

T = TypeVar("T")

LIBRARY = __name__.partition(".")[0]
"""The package whose things no plugin can displace."""


class Registry(Generic[T]):
    """Names for things of one kind.

    Parameters
    ----------
    kind : str
        What is registered, as errors call it: ``"manifold"``.
    check : callable
        Takes what is to be registered and what errors call it, and raises `RegistrationError` unless it is
        of the right kind.
    group : str
        The entry-point group of plugins.
    unknown : type
        The error for a name that nobody registered.
    """

    def __init__(
        self, kind: str, check: Callable[[object, str], None], group: str, unknown: type[ModuliError]
    ) -> None:
        self.kind, self.check, self.group, self.unknown = kind, check, group, unknown
        self._entries: dict[str, T | str] = {}
        self._asked: set[str] = set()
        self._lock = RLock()

    def add(self, name: str, thing: T | str, *, override: bool = False) -> None:
        """Register a thing, or its import string, under a name.

        Raises
        ------
        RegistrationError
            If the name is not a word, is taken by another thing, or the thing is of another kind.
        """
        self.check_name(name)
        if isinstance(thing, str):
            if thing.count(":") != 1:
                raise RegistrationError(f"An import string looks like 'package.module:Class', got '{thing}'.")
        else:
            self.check(thing, f"'{name}'")
        with self._lock:
            before = self._entries.get(name)
            if not override:
                self._require_free(name, thing)
                if isinstance(thing, str) and before is not None and not isinstance(before, str):
                    return  # the same claim, and what it stands for is here already
            self._enter(name, thing)

    def check_name(self, name: object) -> None:
        """Raise `RegistrationError` unless a name is a word that may be registered."""
        if not isinstance(name, str) or not name or ":" in name:
            raise RegistrationError(
                f"A {self.kind}'s name must be a non-empty string without ':', got {name!r}."
            )

    def get(self, name: str) -> T:
        """Return the thing of a name.

        Raises
        ------
        ModuliError
            The registry's own error if no thing has this name; `PluginError` if it cannot be imported, or
            two plugins want the name; `RegistrationError` if it is of another kind.
        """
        if not isinstance(name, str):
            raise self.unknown(f"A {self.kind}'s name is a string, got {name!r}.")
        entry = self._entries.get(name)
        if entry is not None and name not in self._asked:
            self._asked.add(name)
            self._plugins()  # warns of those that want the name
        if entry is not None and not isinstance(entry, str):
            return entry
        # No lock is held during an import, which may wait for another thread's.
        if entry is not None:
            thing = self._import(entry, f"The {self.kind} '{name}' ({entry})")
        else:
            thing = self._from_plugin(name)
        with self._lock:
            self._enter(name, thing)
        return thing

    def load(self, target: str) -> T:
        """Return the thing that an import string ``"package.module:Class"`` names.

        Raises
        ------
        ModuliError
            `PluginError` if it cannot be imported, `RegistrationError` if it is of another kind.
        """
        return self._import(target, f"'{target}'")

    def loaded(self, target: str) -> T:
        """Return the thing that an import string names in a module that is imported already.

        Nothing is imported and no code of the module runs, so that a string may come from a file.

        Raises
        ------
        ModuliError
            The registry's own error if the module is not imported, `PluginError` if it has no such name,
            `RegistrationError` if the thing is of another kind.
        """
        module, _, qualified_name = target.partition(":")
        if module not in sys.modules:
            raise self.unknown(
                f"'{target}' is in a module that is not imported, and a name imports nothing: import "
                f"{module} first, or register the {self.kind} under a name."
            )
        found: Any = sys.modules[module]
        for part in qualified_name.split("."):
            try:
                found = inspect.getattr_static(found, part)
            except AttributeError as error:
                raise PluginError(f"'{target}' could not be found: AttributeError: {error}.") from error
        self.check(found, f"'{target}'")
        thing: T = found
        return thing

    def names(self) -> set[str]:
        """Return every name, those of plugins included; nothing is imported."""
        return self._entries.keys() | self._plugins().keys()

    def registered(self) -> dict[str, T]:
        """Return what is registered in this process and imported, by name."""
        entries = sorted(self.snapshot().items(), key=lambda item: item[0])
        return {name: entry for name, entry in entries if not isinstance(entry, str)}

    def describe(self) -> dict[str, str]:
        """Return every name with one line about its thing; nothing is imported.

        What is not imported yet is described by where it comes from.
        """
        lines = {
            name: f"Plugin {' and plugin '.join(map(_origin, plugins))}."
            for name, plugins in self._plugins().items()
        }
        for name, entry in self.snapshot().items():
            if isinstance(entry, str):
                lines[name] = f"Imported from {entry} when used."
            else:
                lines[name] = (inspect.getdoc(entry) or "").partition("\n")[0]
        return dict(sorted(lines.items()))

    def snapshot(self) -> dict[str, T | str]:
        """Return all entries, to be restored after a test that registers things."""
        return dict(self._entries)

    def restore(self, entries: dict[str, T | str]) -> None:
        """Forget what was registered since a snapshot."""
        with self._lock:
            changed = [*self._entries.values(), *entries.values()]
            self._entries = dict(entries)
            for thing in changed:
                self._tell_name(thing)

    def _require_free(self, name: str, thing: T | str) -> None:
        if (entry := self._entries.get(name)) is not None:
            owners = [] if _claim(entry) == _claim(thing) else [_import_string(entry)]
        elif _claim(thing)[0] == LIBRARY:
            owners = []  # the library's own things come before those of plugins
        else:
            plugins = self._plugins().get(name, [])
            same = any(_claim(_target(plugin)) == _claim(thing) for plugin in plugins)
            owners = [] if same else [_origin(plugin) for plugin in plugins]
        if owners:
            raise RegistrationError(
                f"The name '{name}' is taken by {' and '.join(owners)}; "
                "choose another or pass override=True to replace it."
            )

    def _enter(self, name: str, thing: T | str) -> None:
        before = self._entries.get(name)
        self._entries[name] = thing
        for changed in (before, thing):
            self._tell_name(changed)

    def _tell_name(self, thing: T | str | None) -> None:
        """Tell a class the first name that means it; another name is an alias and changes nothing."""
        if isinstance(thing, type):
            names = (name for name, entry in self._entries.items() if entry is thing)
            thing.registered_name = next(names, None)  # type: ignore[attr-defined]

    def _plugins(self) -> dict[str, list[EntryPoint]]:
        """Return who wants each name that is still free."""
        if os.environ.get("MODULI_NO_PLUGINS", "") not in ("", "0"):
            return {}
        wanted: dict[str, dict[str, EntryPoint]] = {}
        for plugin in entry_points(group=self.group):
            wanted.setdefault(plugin.name, {})[_target(plugin)] = plugin
        for name in wanted.keys() & self.snapshot().keys():
            for value, plugin in wanted.pop(name).items():
                if _claim(value) != _claim(self._entries[name]):
                    warnings.warn(
                        f"Plugin {_origin(plugin)} wants the name '{name}' of a {self.kind} that is "
                        "registered already; it is ignored.",
                        PluginConflict,
                        stacklevel=3,
                    )
        return {name: sorted(plugins.values(), key=_target) for name, plugins in wanted.items()}

    def _from_plugin(self, name: str) -> T:
        plugins = self._plugins().get(name, [])
        if not plugins:
            raise self.unknown(
                f"No {self.kind} is called '{name}'; {suggestion(name, self.names())} One of your own must "
                f"be registered first: by an import, or by an installed plugin (entry points '{self.group}')."
            )
        if len(plugins) > 1:
            raise PluginError(
                f"Two plugins want the {self.kind} name '{name}': {' and '.join(map(_origin, plugins))}; "
                f"uninstall one, or use an import string such as '{_target(plugins[0])}'."
            )
        what = f"The {self.kind} '{name}' of plugin {_origin(plugins[0])}"
        return self._import(_target(plugins[0]), what)

    def _import(self, target: str, what: str) -> T:
        found: T = import_string(target, what)
        self.check(found, what)
        return found


def import_string(target: str, what: str) -> Any:
    """Return the object that ``"package.module:name"`` names.

    Parameters
    ----------
    target : str
        The import string.
    what : str
        What errors call it.

    Raises
    ------
    PluginError
        If it cannot be imported.

    Examples
    --------
    >>> import_string("math:pi", "The ratio")
    3.141592653589793
    """
    module, _, qualified_name = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in qualified_name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # an import may fail in any way, and must break nothing else
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        remedy = "; install it, or put its folder on PYTHONPATH, as in PYTHONPATH=. before the command"
        raise PluginError(
            f"{what} could not be imported: {type(error).__name__}: {error}{remedy if absent else ''}."
        ) from error
    return found


def _import_string(thing: object) -> str:
    if isinstance(thing, str):
        return thing
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"


def _claim(thing: object) -> tuple[str, str]:
    """Return the package and the name of a thing, which tell whether two registrations mean the same.

    A cell of a notebook that runs again claims a name twice, and so does a plugin that registers its class
    by a decorator as well as by an entry point, which may name another module that holds it.
    """
    module, _, name = _import_string(thing).partition(":")
    return module.partition(".")[0], name


def _target(plugin: EntryPoint) -> str:
    """Return a plugin's import string, without the extras that may follow it."""
    return plugin.value.partition("[")[0].strip()


def _origin(plugin: EntryPoint) -> str:
    package = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist is not None else "an unnamed package"
    return f"{_target(plugin)} of {package}"
