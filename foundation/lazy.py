"""Packages whose names are imported when they are first asked for (PEP 562)."""

import ast
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def lazy_names(
    package: str, origins: Callable[[], Mapping[str, str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and the ``__dir__`` of a package whose names are imported on demand.

    Parameters
    ----------
    package : str
        The package's name, for errors.
    origins : callable
        Returns, for each name, the module that holds it; called when a name is first asked for.

    Returns
    -------
    __getattr__ : callable
        Imports a name; one that is unknown is an ``AttributeError`` with a suggestion.
    __dir__ : callable
        Lists the names.
    """

    def get(name: str) -> Any:
        # Python and its tools ask modules for many names of this kind, and expect a plain answer.
        known = {} if name.startswith("_") else origins()
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else f"; dir({package}) lists its names."
            raise AttributeError(f"module '{package}' has no attribute '{name}'{hint}")
        return getattr(import_module(known[name]), name)

    return get, lambda: sorted(origins())


@cache
def exports(module: str) -> tuple[str, ...]:
    """Return a module's ``__all__``, read from its source: the module itself is not imported.

    Parameters
    ----------
    module : str
        The module's full name.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "Torus" in exports("moduli.manifolds")
    True
    """
    spec = find_spec(module)
    loader: Any = None if spec is None else spec.loader
    tree = ast.parse(loader.get_source(module))
    lists = [
        ast.literal_eval(statement.value)
        for statement in tree.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__"
    ]
    return tuple(lists[0])
