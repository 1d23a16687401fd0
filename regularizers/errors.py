"""The errors of regularizers and penalties."""

from moduli.errors import ModuliError
from moduli.verification import BrokenClause


class InvalidCoefficients(ModuliError, ValueError):
    """Coefficients are negative, infinite or NaN, or cannot be normalised."""


class ShapeMismatch(ModuliError, ValueError):
    """A weight, its coefficients and its neurons do not fit together in shape, dtype or device."""


class UndefinedCoefficients(InvalidCoefficients, ShapeMismatch):
    """A regularizer is not defined for these neurons, such as a mean for a single one."""


class ChangedInPlace(ModuliError, RuntimeError):
    """A regularizer wrote into points, distances or a weight that others read as well.

    Parameters
    ----------
    what : str
        What it wrote into: ``"targets"``, ``"sources"``, ``"weight"`` or ``"distance"``.
    message : str
        The sentence that a user reads.
    """

    def __init__(self, what: str, message: str) -> None:
        super().__init__(message)
        self.what = what


class BrokenRegularizer(BrokenClause):
    """A regularizer breaks a clause of what a regularizer must do."""


class MissingWeight(ModuliError, ValueError):
    """A term that depends on the weight was evaluated without one."""


class InvalidExpression(ModuliError, ValueError):
    """A text or a spec does not describe a regularizer."""


class UnknownRegularizer(InvalidExpression, LookupError):
    """No regularizer is registered under the given name."""
