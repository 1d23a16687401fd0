"""What a run uses that is not this library's own: for its workers, and for who the run is."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from moduli.manifolds.registry import MANIFOLDS
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.registry import LIBRARY, Registry
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.experiments.runs.sources import digest
from moduli.tasks.registry import TASKS
from moduli.tasks.task import task_class

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (MANIFOLDS, REGULARIZERS, MASK_FAMILIES, TASKS)
}
"""The registries, by what they hold."""


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


def _of_the_library(thing: Any) -> bool:
    return getattr(thing, "__module__", LIBRARY).partition(".")[0] == LIBRARY
