"""One case: a regularizer, a manifold and some neurons on it, with formulas evaluated on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from moduli.manifolds import Manifold, Scaled
from moduli.manifolds.verification.search import constructor
from moduli.regularizers.errors import ChangedInPlace, InvalidCoefficients, ShapeMismatch
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.inhibitors import Diffusion
from moduli.regularizers.regularizer import Regularizer
from moduli.verification import Counterexample, Violation

# Each is reported by the clause that is about it; to the other clauses such a case says nothing.
INCONCLUSIVE = (InvalidCoefficients, ShapeMismatch, ChangedInPlace)

LIBRARY = {"torch": torch, "Geometry": Geometry, "Scaled": Scaled, "Diffusion": Diffusion}
"""What formulas use beyond the case's own names; the imports of a reproduction give them."""

Definitions = Mapping[str, Mapping[str, Any]]


class Case:
    """A regularizer, a manifold and neurons on it; checks are written as formulas in these names.

    Parameters
    ----------
    regularizer : Regularizer
        What is examined.
    manifold : Manifold
        The space.
    points : Tensor
        The neurons, of shape ``(n, *point_shape)``.
    seed : int
        Of the weight, if the regularizer depends on one, and of an isometry.
    recipe : str, optional
        The Python expression that makes the points; their numbers when absent.
    known : dict, optional
        What equal cases share: coefficients and tolerances, each computed by the first that needs it.
    """

    def __init__(
        self,
        regularizer: Regularizer,
        manifold: Manifold,
        points: Tensor,
        seed: int,
        recipe: str | None = None,
        known: dict[str, Tensor] | None = None,
    ) -> None:
        self.regularizer, self.manifold, self.points, self.seed = regularizer, manifold, points, seed
        self.recipe = recipe
        self.known = {} if known is None else known
        self.weight: Tensor | None = None
        self.names: dict[str, Any] = {"regularizer": regularizer, "manifold": manifold, "points": points}
        if regularizer.depends_on_weight:
            self.weight = self.names["weight"] = random_weight(len(points), points.dtype, seed)

    @property
    def definitions(self) -> dict[str, Mapping[str, Any]]:
        """The statements that define the case's own names, with their values."""
        names, n = self.names, len(self.points)
        recipe = self.recipe or f"torch.tensor({self.points.tolist()!r}, dtype={self.points.dtype})"
        first = f"regularizer, manifold = {self.regularizer!r}, {constructor(self.manifold)}"
        found: dict[str, Mapping[str, Any]] = {
            first: {name: names[name] for name in ("regularizer", "manifold")},
            f"points = {recipe}": {"points": self.points},
        }
        if self.weight is not None:
            drawn = f"torch.randn({n}, {n}, generator=torch.Generator().manual_seed({self.seed}))"
            found[f"weight = {drawn}.to(points)"] = {"weight": self.weight}
        return found

    def call(
        self,
        expression: str = "regularizer",
        *points: str,
        manifold: str = "manifold",
        weight: str = "weight",
    ) -> str:
        """Return the formula that evaluates an expression, on the points when no others are given."""
        arguments = [manifold, *(points or ("points",))]
        if self.weight is not None:
            arguments.append(f"weight={weight}")
        return f"{expression}({', '.join(arguments)})"

    @property
    def coefficients(self) -> Tensor:
        """The coefficients, computed once; C in formulas."""
        if "coefficients" not in self.known:
            self.known["coefficients"] = self.value(self.call()).detach()
        return self.known["coefficients"]

    def geometry(self) -> Geometry:
        """Return the neurons as a regularizer is given them."""
        return Geometry(self.manifold, self.points, weight=self.weight)

    def value(self, formula: str, definitions: Definitions | None = None) -> Tensor:
        """Return what a formula gives."""
        scope: dict[str, Any] = LIBRARY | self.names
        for names in (definitions or {}).values():
            scope.update(names)
        value: Tensor = eval(formula, scope)
        return value

    def require_equal(
        self, left: str, right: str, tolerance: Tensor | float = 0.0, definitions: Definitions | None = None
    ) -> None:
        """Raise unless two formulas, in which C is the coefficients, agree up to a tolerance elementwise."""
        definitions = {f"C = {self.call()}": {"C": self.coefficients}, **(definitions or {})}
        first, second = (self.value(formula, definitions).detach() for formula in (left, right))
        same = (first.double() - second.double()).abs() <= tolerance
        if not same.all():
            place = ", ".join(str(int(index)) for index in (~same).nonzero()[0])
            raise self.violation("", [f"({left})[{place}]", f"({right})[{place}]"], definitions)

    def violation(
        self, message: str, formulas: Sequence[str], definitions: Definitions | None = None
    ) -> Violation:
        """Return what shows that formulas break a clause."""
        classes = sorted({_origin(each) for each in _parts(self.regularizer)} - {""})
        imports = "; ".join(
            ["import torch", "from moduli.manifolds import *", "from moduli.regularizers import *", *classes]
        )
        statements = self.definitions | dict(definitions or {})
        found = Counterexample.of(imports, statements, formulas, ("manifold", "points"), LIBRARY)
        return Violation(message, found)

    def tolerance(self, error: float, expression: Regularizer | None = None) -> Tensor:
        """Return how far coefficients may be off when distances are: by a share of their mean.

        An elementwise bound: twice the largest change of the coefficient when each distance grows or
        shrinks by that much, as on a slope or at a threshold, and rounding of the coefficients. Some grow
        while others shrink, since a relative length changes little when all do the same.
        """
        name = f"tolerance {error}"
        if expression is None and name in self.known:
            return self.known[name]
        geometry = self.geometry()
        exact = self.coefficients if expression is None else expression.evaluate(geometry)
        changing = expression or self.regularizer
        distance, bound = geometry.distance, torch.zeros_like(exact, dtype=torch.float64)
        signs = torch.randn(distance.shape, generator=torch.Generator().manual_seed(0)).sign().triu(1)
        step = error * geometry.mean(distance) * (signs + signs.T)
        for moved in ((distance - step).clamp_min(0), (distance + step).clamp_min(0)):
            change = changing.evaluate(geometry.with_distance(moved)) - exact
            bound = torch.maximum(bound, change.detach().abs().double())
        tolerance = 2 * bound + 1e-9 * exact.detach().abs().max()
        if expression is None:
            self.known[name] = tolerance
        return tolerance


def random_weight(n: int, dtype: torch.dtype, seed: int) -> Tensor:
    """Return a weight between n neurons, for regularizers that depend on one."""
    return torch.randn(n, n, generator=torch.Generator().manual_seed(seed)).to(dtype)


def _parts(regularizer: Regularizer) -> list[Regularizer]:
    return [regularizer, *(part for operand in regularizer.operands for part in _parts(operand))]


def _origin(regularizer: Regularizer) -> str:
    """Return the import that a regularizer's ``repr`` needs beyond the library; empty if there is none."""
    cls = type(regularizer)
    foreign = not cls.__module__.startswith("moduli.regularizers.") and "." not in cls.__qualname__
    return f"from {cls.__module__} import {cls.__name__}" if foreign else ""
