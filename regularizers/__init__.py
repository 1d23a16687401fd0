"""Regularizers: from a manifold and an embedding to penalty coefficients, composable in Python."""

from moduli.regularizers.communicability import Communicability
from moduli.regularizers.errors import (
    BrokenRegularizer,
    ChangedInPlace,
    InvalidCoefficients,
    InvalidExpression,
    MissingWeight,
    ShapeMismatch,
    UndefinedCoefficients,
    UnknownRegularizer,
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
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.verification.verdict import check_regularizer, verify_regularizer

__all__ = [
    "BrokenRegularizer",
    "ChangedInPlace",
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
    "UndefinedCoefficients",
    "Uniform",
    "UnknownRegularizer",
    "check_regularizer",
    "make_regularizer",
    "penalty",
    "proximal",
    "register_regularizer",
    "registered_regularizers",
    "verify_regularizer",
]
