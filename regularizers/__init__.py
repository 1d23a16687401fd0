"""Regularizers: from a manifold and an embedding to penalty coefficients, composable in Python."""

from moduli.regularizers.algebra import Regularizer
from moduli.regularizers.errors import InvalidCoefficients, ShapeMismatch
from moduli.regularizers.inhibitors import DifferenceOfGaussians, Diffusion, Inhibitor, Uniform
from moduli.regularizers.penalties import penalty

__all__ = [
    "DifferenceOfGaussians",
    "Diffusion",
    "Inhibitor",
    "InvalidCoefficients",
    "Regularizer",
    "ShapeMismatch",
    "Uniform",
    "penalty",
]
