"""The code that decides what a thing of a user's own does."""

import ast
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from moduli.packages import somebodys_own

_SOURCES: "WeakKeyDictionary[Any, frozenset[bytes]]" = WeakKeyDictionary()


def digest(*things: Any) -> str | None:
    """Return a digest of the code that decides what things do.

    A formula may be anywhere in the module that holds a thing, in a base class, and in files that these
    import. Packages that are installed do not count, but for the one that offers the thing. Of a thing
    in a notebook its own source counts; of a partial function, its numbers and words as well.

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
        if somebodys_own(each.__module__)
    ]
    sources = [option.encode() for option in options] + sorted(frozenset().union(*map(_sources, kin)))
    return hashlib.sha256(b"".join(sources)).hexdigest()[:10] if sources else None


def _sources(thing: Any) -> frozenset[bytes]:
    """Return the sources behind a thing, as they were when it was first asked for.

    Later changes of a file are not at work in this process.
    """
    if thing not in _SOURCES:
        try:
            path = Path(inspect.getsourcefile(thing) or "")
            if path.is_file():
                files = {path: b""}
                _read(path, thing.__module__, files)
                _SOURCES[thing] = frozenset(files.values())
            else:
                _SOURCES[thing] = frozenset({inspect.getsource(thing).encode()})
        except (OSError, TypeError):
            _SOURCES[thing] = frozenset()
    return _SOURCES[thing]


def _read(path: Path, module: str, files: dict[Path, bytes]) -> None:
    """Read a module's file, and those of the user's own modules that it imports, each after its name."""
    source = path.read_bytes()
    files[path] += source
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for name in _imported(source, package):
        spec = _spec(name)
        origin = Path(spec.origin or "") if spec is not None else Path()
        offered_together = name.partition(".")[0] == module.partition(".")[0]
        own = somebodys_own(name) and (offered_together or not _installed(origin))
        if own and origin.suffix == ".py" and origin not in files:
            files[origin] = f"{name}\n".encode()
            _read(origin, name, files)


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Yield the names of modules that a source imports, their parents before them.

    What follows ``from package import`` may be a module or not; both are named. A file that Python cannot
    parse imports nothing.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level <= len(package.split(".")) * bool(package):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names += [f"{base}.{alias.name}" for alias in node.names]
    for name in dict.fromkeys(names):
        words = name.split(".")
        yield from (".".join(words[:count]) for count in range(1, len(words) + 1))


def _spec(name: str) -> ModuleSpec | None:
    """Return where a module is, without importing anything; None if it is not found."""
    if sys.modules.get(name) is not None:
        return getattr(sys.modules[name], "__spec__", None)
    package, _, _ = name.rpartition(".")
    if not package:
        return PathFinder.find_spec(name)
    parent = _spec(package)
    folders = None if parent is None else parent.submodule_search_locations
    return None if folders is None else PathFinder.find_spec(name, folders)


def _installed(path: Path) -> bool:
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return "site-packages" in path.parts or any(path.is_relative_to(folder) for folder in folders)
