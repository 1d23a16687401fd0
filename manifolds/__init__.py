"""Manifolds: metric spaces on which neurons are placed."""

from moduli.errors import InvalidParameter, ModuliError, PluginConflict, PluginError, RegistrationError
from moduli.manifolds.errors import (
    InvalidDistance,
    InvalidPoints,
    MetricAxiomError,
    NotDifferentiable,
    UnknownManifold,
    UnknownParameter,
)
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.registry import available, make, register
from moduli.manifolds.spaces.combinators import Product, Scaled
from moduli.manifolds.spaces.distances import FiniteMetric, from_distances
from moduli.manifolds.spaces.flat import Cylinder, Euclidean, KleinBottle, MobiusBand, Torus
from moduli.manifolds.spaces.geomstats import GeomstatsManifold, from_geomstats
from moduli.manifolds.spaces.graphs import Graph, from_graph
from moduli.manifolds.spaces.hyperbolic import Hyperbolic
from moduli.manifolds.spaces.matrix import SPD, Grassmannian, Rotations
from moduli.manifolds.spaces.meshes import Mesh, from_mesh
from moduli.manifolds.spaces.spherical import Circle, ProjectivePlane, ProjectiveSpace, Sphere
from moduli.manifolds.verification.verdict import check_manifold, verify
from moduli.verification import Counterexample, Report

__all__ = [
    "SPD",
    "Circle",
    "Counterexample",
    "Cylinder",
    "Euclidean",
    "FiniteMetric",
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
    "Mesh",
    "MetricAxiomError",
    "MobiusBand",
    "ModuliError",
    "NotDifferentiable",
    "PluginConflict",
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
    "check_manifold",
    "from_distances",
    "from_geomstats",
    "from_graph",
    "from_mesh",
    "make",
    "register",
    "verify",
]
