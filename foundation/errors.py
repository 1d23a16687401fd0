"""The errors that all floors share, and how they suggest what was meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class ModuliError(Exception):
    """Base of every error that this library raises on purpose."""


class InvalidParameter(ModuliError, ValueError):
    """A parameter has a value outside its domain."""


class InvalidConfiguration(ModuliError):
    """A setting is outside its domain.

    It is not a ValueError: the parser of the command line would wrap those in words of its own.
    """


class MissingDependency(ModuliError, ImportError):
    """An optional package is needed and not installed."""


class RegistrationError(ModuliError, ValueError):
    """Something cannot be registered as it was given."""


class PluginError(ModuliError, ImportError):
    """Something that is registered could not be imported."""


class PluginConflict(UserWarning):
    """A plugin wants a name that it cannot have."""


def suggestion(word: object, options: Iterable[str]) -> str:
    """Return a sentence that names the option closest to a mistyped word, and all of them.

    Parameters
    ----------
    word : object
        What was given; usually a string.
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
    close = get_close_matches(str(word), names, n=1)
    listed = ", ".join(names) or "nothing"
    return f"did you mean '{close[0]}'? Available: {listed}." if close else f"available: {listed}."
