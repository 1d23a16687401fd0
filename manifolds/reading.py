"""Manifolds from text: the language of the command line."""

from moduli.errors import InvalidParameter
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.registry import make
from moduli.reading import UnreadableCall, read_call


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
        name, arguments = read_call(text)
    except UnreadableCall:
        raise UnreadableManifold(
            f"{text!r} does not describe a manifold; write torus or torus(dim=6)."
        ) from None
    return make(name, kwargs=arguments)
