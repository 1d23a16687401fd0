"""Regularizers, and the expressions that sums, products and wrappers make of them.

An expression is an immutable tree, equal by value, whose ``repr`` evaluates back to it. All terms
of one expression share one distance matrix, through the `Geometry` on which it is evaluated.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, fields
from functools import cached_property, reduce
from numbers import Real
from operator import add, mul

import torch
from torch import Tensor

from moduli.manifolds import InvalidParameter, Manifold
from moduli.regularizers.errors import InvalidCoefficients


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the neurons at both ends of a weight matrix are.

    Parameters
    ----------
    manifold : Manifold
        The space.
    targets : Tensor
        Points of the neurons that receive, of shape ``(n_targets, *point_shape)``.
    sources : Tensor, optional
        Points of the neurons that send; the targets themselves when absent.
    """

    manifold: Manifold
    targets: Tensor
    sources: Tensor | None = None

    @cached_property
    def distance(self) -> Tensor:
        """Distances of shape ``(n_targets, n_sources)``, computed once."""
        return self.manifold.pairwise(self.targets, self.sources)

    @property
    def is_recurrent(self) -> bool:
        """Whether both ends are the same neurons, so that the diagonal holds self-connections."""
        return self.sources is None


class Regularizer(ABC):
    """A map from a manifold and the neurons' places in it to penalty coefficients.

    Regularizers add, multiply, and scale by non-negative numbers; a number that is added counts
    as that multiple of ``Uniform()``. A subclass defines ``coefficients``.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.regularizers import Diffusion, Uniform
    >>> regularizer = 0.5 * Diffusion() + 0.1 * Uniform()
    >>> regularizer
    0.5 * Diffusion() + 0.1 * Uniform()
    >>> regularizer(Torus(2), torch.tensor([[0.0, 0.0], [2.0, 0.0]]))
    tensor([[0.1000, 2.1000],
            [2.1000, 0.1000]])
    """

    # NumPy scalars would otherwise try to multiply elementwise themselves.
    __array_ufunc__ = None

    @abstractmethod
    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the coefficients, of shape ``(n_targets, n_sources)``."""

    def __call__(self, manifold: Manifold, targets: Tensor, sources: Tensor | None = None) -> Tensor:
        """Return the coefficient of every weight.

        Parameters
        ----------
        manifold : Manifold
            The space in which the neurons are.
        targets : Tensor
            Points of the neurons that receive, of shape ``(n_targets, *point_shape)``.
        sources : Tensor, optional
            Points of the neurons that send; the targets themselves when absent.

        Returns
        -------
        Tensor
            Finite, non-negative coefficients of shape ``(n_targets, n_sources)``, indexed like a
            PyTorch weight ``[target, source]``; dtype and device of the points.

        Raises
        ------
        InvalidPoints
            If the tensors do not hold points of the manifold.
        InvalidCoefficients
            If a coefficient comes out negative, infinite or NaN.
        """
        geometry = Geometry(manifold, targets, sources)
        coefficients = self.coefficients(geometry)
        check_coefficients(coefficients, geometry, self)
        return coefficients

    def permuted(self, seed: int = 0) -> "Regularizer":
        """Return this regularizer with its coefficients dealt out at random: the paper's control."""
        return Permuted(self, seed)

    def normalized(self) -> "Regularizer":
        """Return this regularizer scaled so that its mean off-diagonal coefficient is 1."""
        return Normalized(self)

    def __repr__(self) -> str:
        """Return a constructor call that leaves out what has its default value."""
        changed = [
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
            if field.default is MISSING or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __add__(self, other: object) -> "Regularizer":
        term = _as_regularizer(other)
        return NotImplemented if term is None else Sum((*_terms(self), *_terms(term)))

    def __radd__(self, other: object) -> "Regularizer":
        if isinstance(other, int) and other == 0:  # where sum() starts
            return self
        term = _as_regularizer(other)
        return NotImplemented if term is None else Sum((*_terms(term), *_terms(self)))

    def __mul__(self, other: object) -> "Regularizer":
        if _is_number(other):
            return Multiple(float(other), self)  # type: ignore[arg-type]
        if isinstance(other, Regularizer):
            return Product((*_factors(self), *_factors(other)))
        return NotImplemented

    def __rmul__(self, other: object) -> "Regularizer":
        return self * other if _is_number(other) else NotImplemented


@dataclass(frozen=True, repr=False)
class Sum(Regularizer):
    """The sum of several regularizers; written ``a + b``."""

    terms: tuple[Regularizer, ...]

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the sum of the terms' coefficients."""
        return reduce(add, (term.coefficients(geometry) for term in self.terms))

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.terms))


@dataclass(frozen=True, repr=False)
class Product(Regularizer):
    """The elementwise product of several regularizers; written ``a * b``."""

    factors: tuple[Regularizer, ...]

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the product of the factors' coefficients."""
        return reduce(mul, (factor.coefficients(geometry) for factor in self.factors))

    def __repr__(self) -> str:
        return " * ".join(_parenthesised(factor, Sum, Multiple) for factor in self.factors)


@dataclass(frozen=True, repr=False)
class Multiple(Regularizer):
    """A non-negative multiple of a regularizer; written ``number * a``."""

    factor: float
    regularizer: Regularizer

    def __post_init__(self) -> None:
        if not 0 <= self.factor < math.inf:
            raise InvalidParameter(
                f"A regularizer is multiplied by a non-negative finite number, got {self.factor!r}: "
                "a negative coefficient would reward large weights without bound."
            )

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the multiple of the regularizer's coefficients."""
        return self.factor * self.regularizer.coefficients(geometry)

    def __repr__(self) -> str:
        return f"{self.factor!r} * {_parenthesised(self.regularizer, Sum, Product, Multiple)}"


@dataclass(frozen=True, repr=False)
class Permuted(Regularizer):
    """A regularizer whose coefficients are dealt out at random, once for each seed.

    Off-diagonal coefficients change places with one another and the diagonal stays, so that the
    strength of the penalty is kept and its geometry is lost. Between two populations, all
    coefficients change places.

    Parameters
    ----------
    regularizer : Regularizer
        What is permuted.
    seed : int
        Seed of the permutation.
    """

    regularizer: Regularizer
    seed: int = 0

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the permuted coefficients."""
        original = self.regularizer.coefficients(geometry)
        places = _free_places(original, geometry)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(places), generator=generator).to(places.device)
        flat = original.flatten()
        return flat.index_put((places,), flat[places[order]]).view_as(original)

    def __repr__(self) -> str:
        return f"{_parenthesised(self.regularizer, Sum, Product, Multiple)}.permuted(seed={self.seed})"


@dataclass(frozen=True, repr=False)
class Normalized(Regularizer):
    """A regularizer scaled to a mean coefficient of 1, so that methods compare at equal strength.

    The mean is over off-diagonal coefficients, or over all of them between two populations.

    Parameters
    ----------
    regularizer : Regularizer
        What is scaled.
    """

    regularizer: Regularizer

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the scaled coefficients.

        Raises
        ------
        InvalidCoefficients
            If the mean is not positive.
        """
        original = self.regularizer.coefficients(geometry)
        total, count = original.sum(), original.numel()
        if geometry.is_recurrent:
            total, count = total - original.diagonal().sum(), count - len(original)
        if count == 0 or not total > 0:
            raise InvalidCoefficients(
                f"{self.regularizer!r} cannot be normalised: its mean off-diagonal coefficient over "
                f"{len(original)} neurons is not positive."
            )
        return original * (count / total)

    def __repr__(self) -> str:
        return f"{_parenthesised(self.regularizer, Sum, Product, Multiple)}.normalized()"


def check_coefficients(coefficients: Tensor, geometry: Geometry, owner: Regularizer) -> None:
    """Raise unless coefficients are finite and non-negative, naming where they are not.

    Raises
    ------
    InvalidCoefficients
        With the owner, the value and the distance at which it occurs.
    """
    with torch.no_grad():
        # Comparisons with NaN are false: one pass finds negative, infinite and NaN values alike.
        if coefficients.numel() == 0 or (coefficients.amin() >= 0 and coefficients.amax() < math.inf):
            return
        bad = ~((coefficients >= 0) & (coefficients < math.inf))
        row, column = (int(index) for index in bad.nonzero()[0])
        raise InvalidCoefficients(
            f"{owner!r} gives the coefficient {float(coefficients[row, column]):g} at distance "
            f"{float(geometry.distance[row, column]):g} (neurons {row} and {column}); "
            "coefficients must be finite and non-negative."
        )


def _is_number(value: object) -> bool:
    # A boolean factor is almost surely a mistake.
    return isinstance(value, Real) and not isinstance(value, bool)


def _as_regularizer(value: object) -> Regularizer | None:
    if isinstance(value, Regularizer):
        return value
    if _is_number(value):
        from moduli.regularizers.inhibitors import Uniform  # Uniform is itself a regularizer

        return Multiple(float(value), Uniform())  # type: ignore[arg-type]
    return None


def _terms(regularizer: Regularizer) -> tuple[Regularizer, ...]:
    return regularizer.terms if isinstance(regularizer, Sum) else (regularizer,)


def _factors(regularizer: Regularizer) -> tuple[Regularizer, ...]:
    return regularizer.factors if isinstance(regularizer, Product) else (regularizer,)


def _parenthesised(regularizer: Regularizer, *kinds: type[Regularizer]) -> str:
    return f"({regularizer!r})" if isinstance(regularizer, kinds) else repr(regularizer)


def _free_places(coefficients: Tensor, geometry: Geometry) -> Tensor:
    """Return the flat indices of the coefficients that are no self-connection's."""
    places = torch.arange(coefficients.numel(), device=coefficients.device)
    return places[places % (len(coefficients) + 1) != 0] if geometry.is_recurrent else places
