"""What a run uses that is not this library's own: for its workers, and for who the run is."""

import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from moduli.manifolds.registry import MANIFOLDS
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.registry import LIBRARY, Registry
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.registry import TASKS
from moduli.tasks.task import task_class

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (MANIFOLDS, REGULARIZERS, MASK_FAMILIES, TASKS)
}
"""The registries, by what they hold."""

INSTALLED = sys.stdlib_module_names | {LIBRARY, "torch", "lightning", "geomstats"}
"""Packages from which classes may descend without being part of who a run is: results name their versions."""

_SOURCES: "WeakKeyDictionary[Any, str | None]" = WeakKeyDictionary()


class Extension(NamedTuple):
    """A thing that is not the library's own.

    Parameters
    ----------
    kind : str
        What it is.
    name : str
        Under what it is registered, or its import string.
    thing : object
        The thing.
    digest : str or None
        Of its source; None where there is none.
    """

    kind: str
    name: str
    thing: Any
    digest: str | None


def extensions(method: str, settings: Any) -> list[Extension]:
    """Return what a run uses that is not the library's own.

    Parameters
    ----------
    method : str
        The name of its method: what this process has registered counts if its name is in there.
    settings : dataclass
        The settings of its task.

    Raises
    ------
    PluginError, RegistrationError
        If the task cannot be imported, or is not a complete one.
    """
    found = [
        Extension(kind, name, thing, digest(thing))
        for kind, registry in REGISTRIES.items()
        for name, thing in registry.registered().items()
        if registry is not TASKS and name in method and not _of_the_library(thing)
    ]
    chosen = type(settings)
    if not (_of_the_library(chosen) and _of_the_library(task_class(settings))):
        registered = TASKS.registered().get(settings.name) is chosen
        name = settings.name if registered else f"{chosen.__module__}:{chosen.__qualname__}"
        found.append(Extension(TASKS.kind, name, chosen, digest(chosen, task_class(settings))))
    return found


def register_extensions(found: Iterable[Extension]) -> None:
    """Register things under the names that they have in another process, which also knows their sources."""
    for each in found:
        if ":" not in each.name:
            REGISTRIES[each.kind].add(each.name, each.thing, override=True)


def digest(*things: Any) -> str | None:
    """Return a digest of the modules that hold things and the classes from which they descend.

    A formula may be anywhere in a module, and in a base class. Functions that such a module imports
    from elsewhere do not count, nor does what is installed beside this library. Of a thing in a
    notebook its own source counts; of a partial function, its numbers and words as well.

    Parameters
    ----------
    *things : object
        Classes or functions.

    Returns
    -------
    str or None
        None if the source of none can be read.
    """
    options = [
        f"{name}={value!r}"
        for thing in things
        if isinstance(thing, functools.partial)
        for name, value in sorted(thing.keywords.items())
        if isinstance(value, str | int | float)
    ]
    whole = [thing.func if isinstance(thing, functools.partial) else thing for thing in things]
    kin = [
        each
        for thing in whole
        for each in getattr(thing, "__mro__", (thing,))
        if each.__module__.partition(".")[0] not in INSTALLED
    ]
    sources = options + sorted({source for each in kin if (source := _source(each)) is not None})
    return hashlib.sha256("".join(sources).encode()).hexdigest()[:10] if sources else None


def _of_the_library(thing: Any) -> bool:
    return getattr(thing, "__module__", LIBRARY).partition(".")[0] == LIBRARY


def _source(thing: Any) -> str | None:
    """Return the source of the module that holds a thing, as it was when it was first asked for.

    Later changes of a file are not at work in this process.
    """
    if thing not in _SOURCES:
        try:
            path = inspect.getsourcefile(thing)
            in_file = path is not None and Path(path).is_file()
            _SOURCES[thing] = (
                Path(path).read_text() if in_file and path is not None else inspect.getsource(thing)
            )
        except (OSError, TypeError):
            _SOURCES[thing] = None
    return _SOURCES[thing]
