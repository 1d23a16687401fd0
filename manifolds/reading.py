"""Manifolds from text: the language of the command line."""

import ast

from moduli.errors import InvalidParameter
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.registry import make


class UnreadableManifold(InvalidParameter):
    """A text does not describe a manifold."""


def read_manifold(text: str) -> Manifold:
    """Make a manifold from ``name`` or ``name(parameter=value)``.

    Only registered names and literals are understood; nothing is evaluated, and nothing is imported but
    what is registered.

    Parameters
    ----------
    text : str
        Such as ``"torus"`` or ``"torus(dim=6, period=5.0)"``.

    Returns
    -------
    Manifold

    Raises
    ------
    UnreadableManifold
        If the text is not of this form.
    UnknownManifold
        If no manifold has this name.
    UnknownParameter
        If the manifold does not have such a parameter.

    Examples
    --------
    >>> read_manifold("torus(dim=6)")
    Torus(dim=6, period=10.0)
    >>> read_manifold("torus(6)")
    Traceback (most recent call last):
        ...
    moduli.manifolds.reading.UnreadableManifold: 'torus(6)' does not describe a manifold; write torus or ...
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        name, keywords = (tree.func, tree.keywords) if isinstance(tree, ast.Call) else (tree, [])
        if not isinstance(name, ast.Name) or (isinstance(tree, ast.Call) and tree.args):
            raise ValueError
        if any(isinstance(node, ast.Dict) for node in ast.walk(tree)):
            raise ValueError  # a dictionary would be read as a spec, which may name a class to import
        arguments = {word.arg: ast.literal_eval(word.value) for word in keywords if word.arg}
        if len(arguments) < len(keywords):
            raise ValueError
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise UnreadableManifold(
            f"{text!r} does not describe a manifold; write torus or torus(dim=6)."
        ) from None
    return make(name.id, kwargs=arguments)
