"""Inhibitors: coefficients as functions of geodesic distance.

The defaults are the constants of Mackey, Schizas, Deighton, Boothe and Maroulas, "Geometric
sparsification in recurrent neural networks", arXiv 2406.06290, in that paper's units of length
(a torus of period 10, a circle and a sphere of radius 5).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass

import torch
from torch import Tensor

from moduli.manifolds import InvalidParameter
from moduli.manifolds.parameters import require_positive
from moduli.regularizers.algebra import Geometry, Regularizer, check_coefficients


class Inhibitor(Regularizer):
    """Coefficients that depend on distance alone: ``Inhibitor(function)``, or a named subclass.

    A subclass is a frozen dataclass that defines ``profile``.

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
        """Return the profile of the distances.

        Raises
        ------
        InvalidCoefficients
            If the profile is negative, infinite or NaN, or changes the shape or dtype.
        """
        distance = geometry.distance
        coefficients = self.profile(distance)
        check_coefficients(coefficients, geometry, self)
        return coefficients

    def __eq__(self, other: object) -> bool:
        return type(other) is Inhibitor and self.function == other.function

    def __hash__(self) -> int:
        return hash(self.function)

    def __repr__(self) -> str:
        if is_dataclass(self):
            return super().__repr__()
        name = getattr(self.function, "__qualname__", None) or repr(self.function)
        return f"Inhibitor({name})"


@dataclass(frozen=True, repr=False)
class Uniform(Inhibitor):
    """The same coefficient everywhere: the plain L1 penalty, without geometry.

    Formula: ``c(d) = 1``.
    """

    def __init__(self) -> None:
        """Take no arguments."""

    def profile(self, distance: Tensor) -> Tensor:
        """Return ones."""
        return torch.ones_like(distance)


@dataclass(frozen=True, repr=False)
class Diffusion(Inhibitor):
    """Coefficients that grow with the square of distance, free at distance zero.

    Formula: ``c(d) = (d / length)²``.

    Parameters
    ----------
    length : float
        Distance at which the coefficient is 1, in units of length.
    """

    length: float = 1.0

    def __post_init__(self) -> None:
        require_positive(type(self).__name__, "length", self.length)

    def profile(self, distance: Tensor) -> Tensor:
        """Return ``(d / length)²``."""
        return (distance / self.length).square()


@dataclass(frozen=True, repr=False)
class DifferenceOfGaussians(Inhibitor):
    """Coefficients that are least at a preferred distance: an inverted Mexican hat.

    Formula: ``c(d) = amplitude (g(d*) - g(d))`` with ``g(d) = exp(-d²/outer²) - exp(-d²/inner²)``
    and its maximum at ``d*² = ln(b/a) / (b - a)``, ``a = 1/outer²``, ``b = 1/inner²``. With the
    paper's constants: ``g(d) = exp(-d²/5) - exp(-4 d²)``; the coefficient is 81.1 at distance 0,
    zero at ``d* = 0.888`` and again 81.1 far away. The maximum is the analytic one, so that a
    coefficient does not depend on which distances happen to occur.

    Parameters
    ----------
    inner, outer : float
        Lengths of the narrow and of the wide Gaussian, ``inner < outer``, in units of length.
    amplitude : float
        Factor of the whole.
    """

    inner: float = 0.5
    outer: float = math.sqrt(5)
    amplitude: float = 100.0

    def __post_init__(self) -> None:
        for name in ("inner", "outer", "amplitude"):
            require_positive(type(self).__name__, name, getattr(self, name))
        if self.inner >= self.outer:
            raise InvalidParameter(
                f"DifferenceOfGaussians needs inner < outer, got {self.inner!r} and {self.outer!r}."
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
