"""Wrappers: one regularizer made of another, written as a method of it."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds.tensors import require_tensor
from moduli.regularizers.errors import UndefinedCoefficients
from moduli.regularizers.expressions import ElementwiseProduct, Multiple, Sum, parenthesised
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.registry import register_regularizer
from moduli.regularizers.regularizer import Regularizer
from moduli.requirements import is_number, require_non_negative, require_seed


@dataclass(frozen=True, repr=False)
class Wrapper(Regularizer):
    """A regularizer made of another; it is registered under the name of the method that makes it."""

    regularizer: Regularizer

    @property
    def operands(self) -> tuple[Regularizer, ...]:
        """The regularizer that is wrapped."""
        return (self.regularizer,)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{field.name}={getattr(self, field.name)!r}" for field in fields(self)[1:])
        wrapped = parenthesised(self.regularizer, Sum, ElementwiseProduct, Multiple)
        return f"{wrapped}.{self.registered_name}({arguments})"


@register_regularizer("permuted")
@dataclass(frozen=True, repr=False)
class Permuted(Wrapper):
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

    seed: int = 0

    is_equivariant = False
    is_local = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", require_seed(self.seed))

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the permuted coefficients."""
        original = self.regularizer.evaluate(geometry)
        places = _free_places(original, geometry)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(places), generator=generator).to(places.device)
        flat = original.flatten()
        return flat.index_put((places,), flat[places[order]]).view_as(original)


@register_regularizer("permuted_in_pairs")
@dataclass(frozen=True, repr=False)
class PermutedInPairs(Permuted):
    """A regularizer whose coefficients are dealt out at random, those of i to j and of j to i together.

    Distance is symmetric, so that weights of small coefficients come in pairs: short loops, in which a
    network can keep what it knows. `Permuted` loses them along with the geometry; this control keeps
    them and loses only what more than two neurons have in common. Between two populations, where there
    are no such pairs, it is `Permuted`.

    Parameters
    ----------
    regularizer : Regularizer
        What is permuted.
    seed : int
        Seed of the permutation.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> from moduli.regularizers import Diffusion
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> Diffusion().permuted_in_pairs(seed=0)(Euclidean(1), line)
    tensor([[0., 4., 1.],
            [4., 0., 9.],
            [1., 9., 0.]])
    """

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the permuted coefficients."""
        if not geometry.is_recurrent:
            return super().coefficients(geometry)
        original = self.regularizer.evaluate(geometry)
        neurons = len(original)
        rows, columns = torch.tril_indices(neurons, neurons, offset=-1, device=original.device)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(rows), generator=generator).to(rows.device)
        below, above = original[rows, columns][order], original[columns, rows][order]
        return original.index_put((rows, columns), below).index_put((columns, rows), above)


@register_regularizer("normalized")
@dataclass(frozen=True, repr=False)
class Normalized(Wrapper):
    """A regularizer scaled to a mean coefficient of 1, so that methods compare at equal strength.

    The mean is over off-diagonal coefficients, or over all of them between two populations.

    Parameters
    ----------
    regularizer : Regularizer
        What is scaled.
    """

    is_local = False

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the scaled coefficients.

        Raises
        ------
        UndefinedCoefficients
            If the mean is not positive.
        """
        original = self.regularizer.evaluate(geometry)
        mean = geometry.mean(original)
        if not mean.is_meta and not mean > 0:
            raise UndefinedCoefficients(
                f"{self.regularizer!r} cannot be normalised: its mean off-diagonal coefficient over "
                f"{len(original)} neurons is not positive."
            )
        return original / mean


@register_regularizer("with_diagonal")
@dataclass(frozen=True, repr=False)
class WithDiagonal(Wrapper):
    """A regularizer whose self-connections have a coefficient of their own.

    Inhibitors differ in what they charge a neuron's connection to itself: diffusion nothing, a
    difference of Gaussians and a ripple the most. That connection is a neuron's memory, so that a
    comparison of geometries that leaves it alone may compare memories.

    Formula: ``c_ii = share * mean of c_ij over i != j``; all else stays. Between two populations
    there are no self-connections, and nothing changes.

    Parameters
    ----------
    regularizer : Regularizer
        What gives the other coefficients.
    share : float
        Coefficient of a self-connection, as a share of the mean of the others: 0 is free.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> from moduli.regularizers import Diffusion
    >>> line = torch.tensor([[0.0], [1.0], [2.0]])
    >>> Diffusion().with_diagonal(share=0.5)(Euclidean(1), line)
    tensor([[1., 1., 4.],
            [1., 1., 1.],
            [4., 1., 1.]])
    """

    share: float

    is_local = False

    def __post_init__(self) -> None:
        require_non_negative("The share of with_diagonal", self.share)

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the coefficients with another diagonal."""
        original = self.regularizer.evaluate(geometry)
        if not geometry.is_recurrent:
            return original
        diagonal = self.share * geometry.mean(original).expand(len(original))
        return original.diagonal_scatter(diagonal)


@register_regularizer("clamped")
@dataclass(frozen=True, repr=False)
class Clamped(Wrapper):
    """A regularizer whose coefficients are moved into an interval.

    Formula: ``min(max(c, low), high)``.

    Parameters
    ----------
    regularizer : Regularizer
        What is clamped.
    low : float
        Least coefficient, at least 0: no weight is freer than this.
    high : float or None
        Largest coefficient; None leaves large ones as they are.
    """

    low: float = 0.0
    high: float | None = None

    def __post_init__(self) -> None:
        require_non_negative("The low of clamped", self.low)
        high = math.inf if self.high is None else self.high
        if not (is_number(high) and self.low <= high):
            raise InvalidParameter(
                f"clamped needs 0 <= low <= high, got low={self.low!r} and high={self.high!r}."
            )

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the clamped coefficients."""
        return self.regularizer.evaluate(geometry).clamp(self.low, self.high)


@register_regularizer("threshold")
@dataclass(frozen=True, repr=False)
class Thresholded(Wrapper):
    """A regularizer whose small coefficients are set to zero, so that those weights are free.

    Formula: ``c if c >= value else 0``.

    Parameters
    ----------
    regularizer : Regularizer
        What is thresholded.
    value : float
        Least coefficient that stays.
    """

    value: float

    def __post_init__(self) -> None:
        require_non_negative("The value of threshold", self.value)

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the coefficients that reach the value, and zeros."""
        original = self.regularizer.evaluate(geometry)
        return torch.where(original >= self.value, original, torch.zeros_like(original))


@register_regularizer("relative")
@dataclass(frozen=True, repr=False)
class Relative(Wrapper):
    """A regularizer whose lengths are in units of the mean distance between distinct neurons.

    Spaces of different size are thus compared fairly: scaling the manifold changes nothing. The
    paper's lengths are absolute; on its torus of period 10, whose mean distance is 3.83, its
    difference of Gaussians has the relative lengths 0.131 and 0.584.

    Parameters
    ----------
    regularizer : Regularizer
        What is evaluated on relative distances.

    Examples
    --------
    >>> from moduli.manifolds import Circle
    >>> from moduli.regularizers import Diffusion
    >>> points = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> Diffusion().relative()(Circle(radius=7.0), points)
    tensor([[0., 1.],
            [1., 0.]])
    """

    is_local = False

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the regularizer's coefficients at relative distances."""
        return self.regularizer.evaluate(geometry.relative)


def _free_places(coefficients: Tensor, geometry: Geometry) -> Tensor:
    """Return the flat indices of the coefficients of connections between two neurons."""
    require_tensor(coefficients, "What is permuted", UndefinedCoefficients, with_values=True)
    places = torch.arange(coefficients.numel(), device=coefficients.device)
    return places[places % (len(coefficients) + 1) != 0] if geometry.is_recurrent else places
