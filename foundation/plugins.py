"""Plugins: what installed packages offer by name, and import strings such as ``"package.module:Class"``.

Installed packages offer things through entry points. A plugin is imported when its name is first asked for,
and ``MODULI_NO_PLUGINS=1`` turns all plugins off.
"""

import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from moduli.errors import PluginConflict, PluginError


class Plugins:
    """What installed packages offer in one entry-point group.

    Parameters
    ----------
    kind : str
        What they offer, as errors call it: ``"manifold"``.
    group : str
        The entry-point group.
    """

    def __init__(self, kind: str, group: str) -> None:
        self.kind, self.group = kind, group

    def offers(self, taken: Mapping[str, object]) -> dict[str, list[EntryPoint]]:
        """Return who offers a thing under each name that is free; nothing is imported.

        Parameters
        ----------
        taken : mapping of str to object
            What the names that are not free mean. A plugin that wants one of them for another thing is named
            in a warning.
        """
        if os.environ.get("MODULI_NO_PLUGINS", "") not in ("", "0"):
            return {}
        offered: dict[str, dict[str, EntryPoint]] = {}
        for plugin in entry_points(group=self.group):
            offered.setdefault(plugin.name, {})[target_of(plugin)] = plugin
        for name in offered.keys() & taken.keys():
            for target, plugin in offered.pop(name).items():
                if claim(target) != claim(taken[name]):
                    warnings.warn(
                        f"Plugin {origin(plugin)} wants the name '{name}' of a {self.kind} that is "
                        "registered already; it is ignored.",
                        PluginConflict,
                        stacklevel=3,
                    )
        return {name: sorted(plugins.values(), key=target_of) for name, plugins in offered.items()}

    def only(self, name: str, plugins: Sequence[EntryPoint]) -> EntryPoint:
        """Return the one plugin that offers a name.

        Raises
        ------
        PluginError
            If there are several.
        """
        if len(plugins) > 1:
            raise PluginError(
                f"Two plugins want the {self.kind} name '{name}': {' and '.join(map(origin, plugins))}; "
                f"uninstall one, or use an import string such as '{target_of(plugins[0])}'."
            )
        return plugins[0]


def import_string(target: str, what: str) -> Any:
    """Return the object that ``"package.module:name"`` names.

    Parameters
    ----------
    target : str
        The import string.
    what : str
        Its name in error messages.

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


def string_of(thing: object) -> str:
    """Return the import string of a thing, or the thing if it is one.

    Examples
    --------
    >>> string_of(Plugins)
    'moduli.plugins:Plugins'
    """
    if isinstance(thing, str):
        return thing
    return f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"


def claim(thing: object) -> tuple[str, str]:
    """Return the package and the name of a thing, which tell whether two registrations mean the same.

    A cell of a notebook that runs again claims a name twice, and so does a plugin that registers its class
    by a decorator as well as by an entry point, which may name another module that holds it.

    Examples
    --------
    >>> claim("my_spaces.rings:Ring") == claim("my_spaces:Ring")
    True
    """
    module, _, name = string_of(thing).partition(":")
    return module.partition(".")[0], name


def target_of(plugin: EntryPoint) -> str:
    """Return a plugin's import string, without the extras that may follow it."""
    return plugin.value.partition("[")[0].strip()


def origin(plugin: EntryPoint) -> str:
    """Return where a plugin comes from: its import string, and its package with the version."""
    package = f"{plugin.dist.name} {plugin.dist.version}" if plugin.dist is not None else "an unnamed package"
    return f"{target_of(plugin)} of {package}"
