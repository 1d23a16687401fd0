"""The one registry: names for things that plug in, from this library, its users and their plugins.

A registered thing is an object, or an import string ``"package.module:Class"`` that is imported when it is
first used. A name that is registered in the process always means that thing, this library's own above all:
a plugin that wants it (`moduli.plugins`) is named in a warning and gets nothing.
"""

import inspect
import sys
from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar

from moduli.errors import ModuliError, PluginError, RegistrationError, suggestion
from moduli.plugins import Plugins, claim, import_string, origin, string_of, target_of

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
        Takes what is to be registered and its name in error messages; raises `RegistrationError` unless it is
        of the right kind.
    group : str
        The entry-point group of plugins.
    unknown : type
        The error for a name that nobody registered.
    """

    def __init__(
        self, kind: str, check: Callable[[object, str], None], group: str, unknown: type[ModuliError]
    ) -> None:
        self.kind, self.check, self.unknown = kind, check, unknown
        self._plugins = Plugins(kind, group)
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
            self._plugins.offers(self.snapshot())  # warns of those that want the name
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
        return self._entries.keys() | self._plugins.offers(self.snapshot()).keys()

    def registered(self) -> dict[str, T]:
        """Return what is registered in this process and imported, by name."""
        entries = sorted(self.snapshot().items(), key=lambda item: item[0])
        return {name: entry for name, entry in entries if not isinstance(entry, str)}

    def describe(self) -> dict[str, str]:
        """Return every name with one line about its thing; nothing is imported.

        What is not imported yet is described by where it comes from.
        """
        lines = {
            name: f"Plugin {' and plugin '.join(map(origin, plugins))}."
            for name, plugins in self._plugins.offers(self.snapshot()).items()
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
            owners = [] if claim(entry) == claim(thing) else [string_of(entry)]
        elif claim(thing)[0] == LIBRARY:
            owners = []  # the library's own things come before those of plugins
        else:
            plugins = self._plugins.offers(self.snapshot()).get(name, [])
            same = any(claim(target_of(plugin)) == claim(thing) for plugin in plugins)
            owners = [] if same else [origin(plugin) for plugin in plugins]
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

    def _from_plugin(self, name: str) -> T:
        plugins = self._plugins.offers(self.snapshot()).get(name)
        if plugins is None:
            group = self._plugins.group
            raise self.unknown(
                f"No {self.kind} is called '{name}'; {suggestion(name, self.names())} One of your own must "
                f"be registered first: by an import, or by an installed plugin (entry points '{group}')."
            )
        plugin = self._plugins.only(name, plugins)
        return self._import(target_of(plugin), f"The {self.kind} '{name}' of plugin {origin(plugin)}")

    def _import(self, target: str, what: str) -> T:
        found: T = import_string(target, what)
        self.check(found, what)
        return found
