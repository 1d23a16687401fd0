"""Inhibitors: coefficients as functions of geodesic distance.

The defaults are the constants of Mackey, Schizas, Deighton, Boothe and Maroulas, "Geometric
sparsification in recurrent neural networks", arXiv 2406.06290, in that paper's units of length
(a torus of period 10, a circle and a sphere of radius 5).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.registry import register_regularizer
from moduli.regularizers.regularizer import Regularizer
from moduli.requirements import require_positive


class Inhibitor(Regularizer):
    """Coefficients that depend on distance alone: ``Inhibitor(function)``, or a named subclass.

    A subclass is a frozen dataclass that defines ``profile``; ``@register_regularizer(name)`` gives
    it a word in expressions and specs.

    Parameters
    ----------
    function : callable
        Elementwise map from a tensor of distances to a tensor of coefficients.

    Examples
    --------
    >>> from moduli.manifolds import Circle
    >>> embedding = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    >>> Inhibitor(torch.tanh)(Circle(radius=0.1), embedding)
    tensor([[0.0000, 0.3042],
            [0.3042, 0.0000]])
    """

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def profile(self, distance: Tensor) -> Tensor:
        """Return the coefficient at each distance, elementwise."""
        return self.function(distance)

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the profile of the distances; of a copy, since other terms read them as well."""
        return self.profile(geometry.distance.clone())

    def __eq__(self, other: object) -> bool:
        return type(other) is Inhibitor and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        if is_dataclass(self):
            return super().__repr__()
        name = getattr(self.function, "__qualname__", None) or repr(self.function)
        return f"Inhibitor({name})"


@register_regularizer("uniform")
@dataclass(frozen=True, repr=False)
class Uniform(Inhibitor):
    """The same coefficient everywhere: the plain L1 penalty, without geometry.

    Formula: ``c(d) = 1``. Landmarks: 1 at every distance.

    Examples
    --------
    >>> Uniform().profile(torch.tensor([0.0, 1.0, 5.0]))
    tensor([1., 1., 1.])
    """

    def __init__(self) -> None:
        """Take no arguments."""

    def profile(self, distance: Tensor) -> Tensor:
        """Return ones."""
        return torch.ones_like(distance)


@register_regularizer("diffusion")
@dataclass(frozen=True, repr=False)
class Diffusion(Inhibitor):
    """Coefficients that grow with the square of distance, free at distance zero.

    Formula: ``c(d) = (d / length)²``. Landmarks: 0 at distance 0, 1 at ``length``.

    Parameters
    ----------
    length : float
        Distance at which the coefficient is 1, in units of length.

    Examples
    --------
    >>> Diffusion().profile(torch.tensor([0.0, 1.0, 5.0]))
    tensor([ 0.,  1., 25.])
    """

    length: float = 1.0

    def __post_init__(self) -> None:
        _require_positive(self)

    def profile(self, distance: Tensor) -> Tensor:
        """Return ``(d / length)²``."""
        return (distance / self.length).square()


@register_regularizer("gaussian")
@dataclass(frozen=True, repr=False)
class Gaussian(Inhibitor):
    """Coefficients that are largest between near neurons and fall off with distance.

    Formula: ``c(d) = amplitude exp(-d² / length²)``; with the paper's constants
    ``100 exp(-d²/3)``. Landmarks: ``amplitude`` at distance 0, ``amplitude / e`` at ``length``,
    0 far away: weights over long distances are free.

    Parameters
    ----------
    length : float
        Distance at which the coefficient has fallen to 1/e of its maximum, in units of length.
    amplitude : float
        Coefficient at distance 0.

    Examples
    --------
    >>> Gaussian().profile(torch.tensor([0.0, 3**0.5, 5.0]))
    tensor([1.0000e+02, 3.6788e+01, 2.4037e-02])
    """

    length: float = math.sqrt(3)
    amplitude: float = 100.0

    def __post_init__(self) -> None:
        _require_positive(self)

    def profile(self, distance: Tensor) -> Tensor:
        """Return ``amplitude exp(-d² / length²)``."""
        return self.amplitude * (-(distance / self.length).square()).exp()


@register_regularizer("ripple")
@dataclass(frozen=True, repr=False)
class Ripple(Inhibitor):
    """Coefficients that oscillate with distance, so that several rings of distances are free.

    Formula: ``c(d) = amplitude (1 + cos(frequency d)) / 2``; with the paper's constants
    ``50 + 50 cos(2 d)``. Landmarks: ``amplitude`` at distance 0 and at every multiple of
    ``2π / frequency``, 0 halfway between; with the paper's constants 0 at 1.57, 4.71, ….

    Parameters
    ----------
    frequency : float
        Angle per distance, in radians per unit of length.
    amplitude : float
        Largest coefficient.

    Examples
    --------
    >>> Ripple().profile(torch.tensor([0.0, torch.pi / 2, torch.pi]))
    tensor([100.,   0., 100.])
    """

    frequency: float = 2.0
    amplitude: float = 100.0

    def __post_init__(self) -> None:
        _require_positive(self)

    def profile(self, distance: Tensor) -> Tensor:
        """Return ``amplitude (1 + cos(frequency d)) / 2``."""
        return self.amplitude / 2 * (1 + (self.frequency * distance).cos())


LEAST = 1e-100
"""The least length of a Gaussian in a difference of two."""


@register_regularizer("dog")
@dataclass(frozen=True, repr=False)
class DifferenceOfGaussians(Inhibitor):
    """Coefficients that are least at a preferred distance: an inverted Mexican hat.

    Formula: ``c(d) = amplitude (g(d*) - g(d))`` with ``g(d) = exp(-d²/outer²) - exp(-d²/inner²)``
    and its maximum at ``d*² = ln(b/a) / (b - a)``, ``a = 1/outer²``, ``b = 1/inner²``. With the
    paper's constants: ``g(d) = exp(-d²/5) - exp(-4 d²)``. Landmarks: 81.1 at distance 0, zero at
    ``d* = 0.888`` and again 81.1 far away. The maximum is the analytic one, so that a coefficient
    does not depend on which distances happen to occur.

    Parameters
    ----------
    inner, outer : float
        Lengths of the narrow and of the wide Gaussian, ``inner < outer``, in units of length.
    amplitude : float
        Factor of the whole.

    Examples
    --------
    >>> inhibitor = DifferenceOfGaussians()
    >>> inhibitor.profile(torch.tensor([0.0, inhibitor.preferred_distance, 30.0]))
    tensor([81.1425,  0.0000, 81.1425])
    """

    inner: float = 0.5
    outer: float = math.sqrt(5)
    amplitude: float = 100.0

    def __post_init__(self) -> None:
        _require_positive(self)
        if self.inner >= self.outer:
            raise InvalidParameter(
                f"DifferenceOfGaussians needs inner < outer, got {self.inner!r} and {self.outer!r}."
            )
        if not LEAST <= self.inner < self.outer <= 1 / LEAST:
            raise InvalidParameter(
                f"DifferenceOfGaussians needs lengths from {LEAST:g} to {1 / LEAST:g}, "
                f"whose squares a number can hold; got {self.inner!r} and {self.outer!r}."
            )

    @property
    def preferred_distance(self) -> float:
        """The distance d* at which the coefficient is zero."""
        narrow, wide = self.inner**-2, self.outer**-2
        return math.sqrt(math.log(narrow / wide) / (narrow - wide))

    def profile(self, distance: Tensor) -> Tensor:
        """Return ``amplitude (g(d*) - g(d))``."""
        best = distance.new_tensor(self.preferred_distance)
        # Rounding may leave a value of the order of -1e-6 beside the maximum.
        return self.amplitude * (self._hat(best) - self._hat(distance)).clamp_min(0)

    def _hat(self, distance: Tensor) -> Tensor:
        return (-(distance / self.outer).square()).exp() - (-(distance / self.inner).square()).exp()


def _require_positive(inhibitor: Inhibitor) -> None:
    """Make every field of an inhibitor a positive float, or raise."""
    for field in fields(inhibitor):  # type: ignore[arg-type]  # subclasses are dataclasses
        value = require_positive(type(inhibitor).__name__, field.name, getattr(inhibitor, field.name))
        object.__setattr__(inhibitor, field.name, value)
