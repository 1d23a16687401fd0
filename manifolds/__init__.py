"""Manifolds: metric spaces on which neurons are placed."""

from moduli.manifolds.errors import (
    InvalidDistance,
    InvalidParameter,
    InvalidPoints,
    ModuliError,
    PluginError,
    RegistrationError,
    UnknownManifold,
    UnknownParameter,
    suggestion,
)
from moduli.manifolds.flat import Euclidean, KleinBottle, Torus
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.registry import available, make, register
from moduli.manifolds.spherical import Circle, Sphere

__all__ = [
    "Circle",
    "Euclidean",
    "InvalidDistance",
    "InvalidParameter",
    "InvalidPoints",
    "KleinBottle",
    "Manifold",
    "ModuliError",
    "PluginError",
    "RegistrationError",
    "Sphere",
    "Torus",
    "UnknownManifold",
    "UnknownParameter",
    "available",
    "make",
    "register",
    "suggestion",
]
