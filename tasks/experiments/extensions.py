"""What a run uses that is registered and not this library's own: for its workers, and for who the run is."""

import hashlib
import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from moduli.manifolds.registry import MANIFOLDS
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.registry import LIBRARY, Registry
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.registry import TASKS

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (MANIFOLDS, REGULARIZERS, MASK_FAMILIES, TASKS)
}
"""The registries, by what they hold."""

_DIGESTS: "WeakKeyDictionary[Any, str | None]" = WeakKeyDictionary()


class Extension(NamedTuple):
    """A registered thing that is not the library's own.

    Parameters
    ----------
    kind, name : str
        Under what it is registered.
    thing : object
        What is registered.
    digest : str or None
        Of its source; None where there is none.
    """

    kind: str
    name: str
    thing: Any
    digest: str | None


def extensions(words: Iterable[str]) -> list[Extension]:
    """Return what this process has registered that is not the library's own, if a word holds its name.

    Parameters
    ----------
    words : iterable of str
        Such as the names of a method and of a task.
    """
    whole = " ".join(words)
    return [
        Extension(kind, name, thing, _digest(thing))
        for kind, registry in REGISTRIES.items()
        for name, thing in registry.registered().items()
        if name in whole and getattr(thing, "__module__", LIBRARY).partition(".")[0] != LIBRARY
    ]


def register_extensions(found: Iterable[Extension]) -> None:
    """Register things under the names that they have in another process, which also knows their sources."""
    for each in found:
        REGISTRIES[each.kind].add(each.name, each.thing, override=True)
        _DIGESTS[each.thing] = each.digest


def _digest(thing: Any) -> str | None:
    """Return a digest of the module that holds a thing, since a formula may be anywhere in it.

    Of a thing in a notebook its own source counts. It is read once: later changes of a file are not at work.
    """
    if thing not in _DIGESTS:
        try:
            path = inspect.getsourcefile(thing)
            in_file = path is not None and Path(path).is_file()
            source = Path(path).read_text() if in_file and path is not None else inspect.getsource(thing)
            _DIGESTS[thing] = hashlib.sha256(source.encode()).hexdigest()[:10]
        except (OSError, TypeError):
            _DIGESTS[thing] = None
    return _DIGESTS[thing]
