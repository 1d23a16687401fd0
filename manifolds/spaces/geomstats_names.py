"""The spaces of geomstats by name: nothing else that a spec names is imported or called."""

import ast
import importlib.util
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from moduli.errors import InvalidParameter
from moduli.manifolds.spaces.surroundings import import_module

PACKAGES = ("geometry", "information_geometry")
"""Where geomstats keeps its spaces."""

CHOOSERS = ("SpecialOrthogonal", "SpecialEuclidean")
"""Classes of geomstats that are not spaces themselves, but choose one by their arguments."""


def find_space(name: str) -> Callable[..., Any]:
    """Return a class of geomstats that makes a space.

    Parameters
    ----------
    name : str
        Its name, or ``"geomstats.geometry.module:Class"``.

    Raises
    ------
    InvalidParameter
        If geomstats has no such class, or it is not a space; nothing is imported then but geomstats.

    Examples
    --------
    >>> find_space("Hypersphere").__name__
    'Hypersphere'
    >>> find_space("os:system")
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: geomstats has no space called 'os:system'; ...
    """
    names = class_names()
    module, _, word = name.rpartition(":")
    if word not in names or module not in ("", names[word]):
        close = get_close_matches(word, names, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "its documentation lists its spaces."
        raise InvalidParameter(f"geomstats has no space called '{name}'; {hint}")
    found = getattr(import_module(names[word]), word)
    space = import_module("geomstats.geometry.manifold").Manifold
    if word not in CHOOSERS and not issubclass(found, space):
        raise InvalidParameter(f"'{name}' of geomstats is not a space, but a {found.__mro__[1].__name__}.")
    maker: Callable[..., Any] = found
    return maker


@cache
def class_names() -> dict[str, str]:
    """Return the public classes of geomstats' geometries and the module of each, read but not imported."""
    found = importlib.util.find_spec("geomstats")
    assert found is not None  # a dependency
    assert found.origin is not None
    root = Path(found.origin).parent
    return {
        node.name: f"geomstats.{package}.{path.stem}"
        for package in PACKAGES
        for path in sorted((root / package).glob("[a-z]*.py"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
