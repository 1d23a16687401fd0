"""The errors of manifolds."""

from moduli.errors import ModuliError
from moduli.verification import BrokenClause


class UnknownParameter(ModuliError, TypeError):
    """A constructor was called with arguments that it does not take."""


class InvalidPoints(ModuliError, ValueError):
    """A tensor does not hold points of the manifold that it was given to."""


class InvalidDistance(ModuliError, ValueError):
    """A manifold's ``distance`` returned something that cannot be a distance."""


class NotDifferentiable(ModuliError, RuntimeError):
    """A gradient was asked for where there is none."""


class UnknownManifold(ModuliError, LookupError):
    """No manifold is registered under the given name."""


class MetricAxiomError(BrokenClause):
    """A manifold breaks a clause of what a metric space must do."""
