"""The errors of regularizers and penalties."""

from moduli.errors import ModuliError


class InvalidCoefficients(ModuliError, ValueError):
    """Coefficients are negative, infinite or NaN, or cannot be normalised."""


class ShapeMismatch(ModuliError, ValueError):
    """A weight, its coefficients and its neurons do not fit together in shape, dtype or device."""


class MissingWeight(ModuliError, ValueError):
    """A term that depends on the weight was evaluated without one."""


class InvalidExpression(ModuliError, ValueError):
    """A text or a spec does not describe a regularizer."""


class UnknownRegularizer(InvalidExpression, LookupError):
    """No regularizer is registered under the given name."""
