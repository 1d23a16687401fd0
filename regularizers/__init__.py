"""Regularizers: from a manifold and an embedding to penalty coefficients, composable in Python."""

from moduli.regularizers.algebra import Regularizer
from moduli.regularizers.communicability import Communicability
from moduli.regularizers.errors import (
    InvalidCoefficients,
    InvalidExpression,
    MissingWeight,
    ShapeMismatch,
)
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.inhibitors import (
    DifferenceOfGaussians,
    Diffusion,
    Gaussian,
    Inhibitor,
    Ripple,
    Uniform,
)
from moduli.regularizers.parsing import make_regularizer
from moduli.regularizers.penalties import penalty, proximal
from moduli.regularizers.registry import register_regularizer, registered_regularizers

__all__ = [
    "Communicability",
    "DifferenceOfGaussians",
    "Diffusion",
    "Gaussian",
    "Geometry",
    "Inhibitor",
    "InvalidCoefficients",
    "InvalidExpression",
    "MissingWeight",
    "Regularizer",
    "Ripple",
    "ShapeMismatch",
    "Uniform",
    "make_regularizer",
    "penalty",
    "proximal",
    "register_regularizer",
    "registered_regularizers",
]
