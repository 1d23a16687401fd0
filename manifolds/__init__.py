"""Manifolds: metric spaces on which neurons are placed."""

from moduli.manifolds.combinators import Product, Scaled
from moduli.manifolds.commands import check_command
from moduli.manifolds.counterexamples import Counterexample, MetricAxiomError
from moduli.manifolds.errors import (
    InvalidDistance,
    InvalidParameter,
    InvalidPoints,
    ModuliError,
    NotDifferentiable,
    PluginError,
    RegistrationError,
    UnknownManifold,
    UnknownParameter,
    suggestion,
)
from moduli.manifolds.flat import Cylinder, Euclidean, KleinBottle, MobiusBand, Torus
from moduli.manifolds.geomstats import GeomstatsManifold, from_geomstats
from moduli.manifolds.graphs import Graph, from_graph
from moduli.manifolds.hyperbolic import Hyperbolic
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.matrix import SPD, Grassmannian, Rotations
from moduli.manifolds.registry import available, make, register
from moduli.manifolds.spherical import Circle, ProjectivePlane, ProjectiveSpace, Sphere
from moduli.manifolds.verification import Report, check_manifold, verify

__all__ = [
    "SPD",
    "Circle",
    "Counterexample",
    "Cylinder",
    "Euclidean",
    "GeomstatsManifold",
    "Graph",
    "Grassmannian",
    "Hyperbolic",
    "InvalidDistance",
    "InvalidParameter",
    "InvalidPoints",
    "Isometry",
    "KleinBottle",
    "Manifold",
    "MetricAxiomError",
    "MobiusBand",
    "ModuliError",
    "NotDifferentiable",
    "PluginError",
    "Product",
    "ProjectivePlane",
    "ProjectiveSpace",
    "RegistrationError",
    "Report",
    "Rotations",
    "Scaled",
    "Sphere",
    "Torus",
    "UnknownManifold",
    "UnknownParameter",
    "available",
    "check_command",
    "check_manifold",
    "from_geomstats",
    "from_graph",
    "make",
    "register",
    "suggestion",
    "verify",
]
