"""Manifolds made of manifolds: products, and changes of scale."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.errors import InvalidParameter
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.registry import register
from moduli.requirements import require_positive


@register("product")
class Product(Manifold):
    """The product of several manifolds.

    A point is one vector: the coordinates of its factors' points, flattened, one after another.
    ``split`` returns the factors' points. Distance: ``sqrt(Σ (w_i d_i)²)`` with the distances d_i of
    the factors (do Carmo, "Riemannian Geometry", chapter 1, example 2.7) and weights w_i.

    Parameters
    ----------
    *manifolds : Manifold
        The factors.
    weights : sequence of float, optional
        What multiplies each factor's distance; 1 for all when absent.

    Examples
    --------
    >>> from moduli.manifolds import Circle, Euclidean
    >>> cylinder = Product(Circle(), Euclidean(1))
    >>> cylinder.point_shape
    (3,)
    >>> cylinder.distance(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, 0.0, 2.0]))
    tensor(2.)
    """

    def __init__(self, *manifolds: Manifold, weights: Sequence[float] | None = None) -> None:
        if not manifolds:
            raise InvalidParameter("Product needs at least one manifold.")
        for manifold in manifolds:
            _require_manifold("Product", manifold)
        self.factors = manifolds
        weights = [1.0] * len(manifolds) if weights is None else weights
        if len(weights) != len(manifolds):
            raise InvalidParameter(
                f"Product of {len(manifolds)} manifolds needs as many weights, got {len(weights)}."
            )
        self.weights = tuple(require_positive("Product", "each weight", weight) for weight in weights)
        self.sizes = [math.prod(manifold.point_shape) for manifold in manifolds]
        self.point_shape = (sum(self.sizes),)
        self.verification_cases = min(manifold.verification_cases for manifold in manifolds)

    def split(self, x: Tensor) -> list[Tensor]:
        """Return the factors' points, each of shape ``(..., *point_shape)`` of its factor."""
        parts = x.split(self.sizes, dim=-1)  # type: ignore[no-untyped-call]
        return [
            part.reshape((*part.shape[:-1], *manifold.point_shape))
            for manifold, part in zip(self.factors, parts, strict=True)
        ]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the points of the product whose factors' points are given."""
        flat = [
            part.reshape(*part.shape[: part.dim() - len(manifold.point_shape)], size)
            for manifold, part, size in zip(self.factors, parts, self.sizes, strict=True)
        ]
        return torch.cat(flat, dim=-1)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the norm of the factors' weighted distances."""
        lengths = [
            weight * manifold.distance(a, b)
            for weight, manifold, a, b in zip(
                self.weights, self.factors, self.split(x), self.split(y), strict=True
            )
        ]
        length: Tensor = vector_norm(torch.stack(lengths, dim=-1), dim=-1)
        return length

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw a random point of each factor, independently."""
        return self.join([manifold.random_point(n, generator) for manifold in self.factors])

    def project(self, x: Tensor) -> Tensor:
        """Return the point whose factors' points are projected."""
        parts = zip(self.factors, self.split(x), strict=True)
        return self.join([manifold.project(part) for manifold, part in parts])

    def retract(self, x: Tensor, tangent: Tensor) -> Tensor:
        """Return the point whose factors' points are retracted."""
        parts = zip(self.factors, self.split(x), self.split(tangent), strict=True)
        return self.join([manifold.retract(part, along) for manifold, part, along in parts])

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether all factors hold their points."""
        parts = zip(self.factors, self.split(x), strict=True)
        return torch.stack([manifold.contains(part) for manifold, part in parts]).all(dim=0)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the points of which one factor's point is a cut point."""
        parts = self.split(x)
        found: list[Tensor] = []
        for index, (manifold, part) in enumerate(zip(self.factors, parts, strict=True)):
            cuts = manifold.cut_points(part)
            found += [self.join([*parts[:index], cut, *parts[index + 1 :]]) for cut in cuts]
        return torch.stack(found) if found else super().cut_points(x)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry | None:
        """Return isometries of the factors, side by side; None if a factor declares none."""
        isometries = [manifold.random_isometry(generator) for manifold in self.factors]
        declared = [isometry for isometry in isometries if isometry is not None]
        if len(declared) < len(isometries):
            return None
        return lambda x: self.join([move(part) for move, part in zip(declared, self.split(x), strict=True)])


@register("scaled")
class Scaled(Manifold):
    """A manifold with all its distances multiplied by ``factor``.

    Distance: ``factor · d(x, y)``; points are those of the manifold.

    Parameters
    ----------
    manifold : Manifold
        What is scaled.
    factor : float
        The positive number that multiplies every distance.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> Scaled(Euclidean(1), 3.0).distance(torch.tensor([0.0]), torch.tensor([2.0]))
    tensor(6.)
    """

    def __init__(self, manifold: Manifold, factor: float) -> None:
        _require_manifold("Scaled", manifold)
        self.manifold = manifold
        self.factor = require_positive("Scaled", "factor", factor)
        self.point_shape = manifold.point_shape
        self.verification_cases = manifold.verification_cases

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the manifold's distance, scaled."""
        return self.factor * self.manifold.distance(x, y)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw random points of the manifold."""
        return self.manifold.random_point(n, generator)

    def project(self, x: Tensor) -> Tensor:
        """Return the manifold's projection."""
        return self.manifold.project(x)

    def retract(self, x: Tensor, tangent: Tensor) -> Tensor:
        """Return the manifold's retraction."""
        return self.manifold.retract(x, tangent)

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether the manifold holds the points."""
        return self.manifold.contains(x)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the manifold's cut points."""
        return self.manifold.cut_points(x)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry | None:
        """Return an isometry of the manifold, which is one at every scale."""
        return self.manifold.random_isometry(generator)


def _require_manifold(owner: str, manifold: object) -> None:
    if not isinstance(manifold, Manifold):
        raise InvalidParameter(
            f"{owner} needs manifolds, got {manifold!r}; make(name) makes one from its name."
        )
