"""The errors of the library's foundation, and how they suggest what was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class ModuliError(Exception):
    """Base of every error that this library raises on purpose."""


class InvalidParameter(ModuliError, ValueError):
    """A parameter has a value outside its domain."""


class UnknownParameter(ModuliError, TypeError):
    """A constructor was called with arguments that it does not take."""


class InvalidPoints(ModuliError, ValueError):
    """A tensor does not hold points of the manifold that it was given to."""


class InvalidDistance(ModuliError, ValueError):
    """A manifold's ``distance`` returned something that cannot be a distance."""


class NotDifferentiable(ModuliError, RuntimeError):
    """A gradient was asked for where there is none."""


class UnknownManifold(ModuliError, LookupError):
    """No manifold is registered under the given name."""


class RegistrationError(ModuliError, ValueError):
    """A manifold cannot be registered as it was given."""


class PluginError(ModuliError, ImportError):
    """A registered manifold could not be imported."""


def suggestion(word: str, options: Iterable[str]) -> str:
    """Return a sentence that names the option closest to a mistyped word, and all of them.

    Parameters
    ----------
    word : str
        What was given.
    options : iterable of str
        What would have been accepted.

    Returns
    -------
    str

    Examples
    --------
    >>> suggestion("sphre", ["torus", "sphere"])
    "did you mean 'sphere'? Available: sphere, torus."
    >>> suggestion("x", ["torus", "sphere"])
    'available: sphere, torus.'
    """
    names = sorted(options)
    close = get_close_matches(word, names, n=1)
    listed = ", ".join(names) or "nothing"
    return f"did you mean '{close[0]}'? Available: {listed}." if close else f"available: {listed}."
