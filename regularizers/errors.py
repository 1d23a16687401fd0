"""The errors of regularizers and penalties."""

from moduli.manifolds import ModuliError


class InvalidCoefficients(ModuliError, ValueError):
    """Coefficients are negative, infinite or NaN, or cannot be normalised."""


class ShapeMismatch(ModuliError, ValueError):
    """A weight and its coefficients do not fit together."""
