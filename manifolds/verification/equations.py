"""The polynomial equations of low degree that all points of a set satisfy."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.linalg import vector_norm

# Monomials of this degree or less, for so many coordinates at most; beyond, each coordinate's square alone.
DEGREES = {4: 4, 6: 3, 16: 2}

# For more coordinates, equations would take longer to learn than all else.
MOST_COORDINATES = 1024

# A singular value, relative to the largest, below which a combination of monomials counts as zero: points
# drawn in float32 satisfy their equations to about 1e-7.
NEGLIGIBLE = 1e-5


class Equations:
    """The equations that random points satisfy, learnt when they are first asked for.

    Parameters
    ----------
    sample : callable
        Returns at least n random points of shape ``(n, coordinates)``, given n.
    """

    def __init__(self, sample: Callable[[int], Tensor]) -> None:
        self._sample = sample
        self._first = sample(1)
        self._coordinates = self._first.shape[1]

    @property
    def unknown(self) -> bool:
        """Whether there are too many coordinates to learn equations."""
        return self._coordinates > MOST_COORDINATES

    def hold(self, points: Tensor) -> Tensor:
        """Tell which points, of shape ``(n, coordinates)``, satisfy all equations as random ones do."""
        residuals = self._monomials(points) @ self._learnt[0]
        return (residuals.abs() <= self._learnt[1]).all(dim=-1)

    def tangent(self, points: Tensor, directions: Tensor) -> Tensor:
        """Return the part of directions along which the equations stay satisfied to first order."""
        if self.unknown or self._learnt[0].shape[1] == 0:
            return directions

        normals = self._normals(points)
        # Equations depend on each other where there are several, up to rounding; this driver finds the rank.
        weights = torch.linalg.lstsq(normals, directions[..., None], rcond=1e-3, driver="gelsd").solution
        across: Tensor = (normals @ weights)[..., 0]
        return directions - across

    @cached_property
    def _learnt(self) -> tuple[Tensor, Tensor]:
        """Coefficients of the k equations that the random points satisfy, and how accurately they do."""
        monomials = len(self._factors)
        values = self._monomials(self._sample(2 * monomials))
        gram = values.T @ values
        largest = vector_norm(gram)
        bound = NEGLIGIBLE**2 * largest
        identity = torch.eye(monomials, dtype=gram.dtype)
        if torch.linalg.cholesky_ex(gram - bound * identity).info == 0:
            return gram[:, :0], gram.new_empty(0)  # no eigenvalue is below the bound
        squares, vectors = torch.linalg.eigh(gram)
        equations = vectors[:, squares < bound]
        return equations, 2 * (values @ equations).abs().amax(dim=0)

    @cached_property
    def _scale(self) -> tuple[Tensor, Tensor]:
        """The middle of the points, and their spread in each coordinate."""
        spread = self._first.std(dim=0)
        middle = (self._first.amin(dim=0) + self._first.amax(dim=0)) / 2
        return middle, torch.where(spread > 0, spread, 1)

    @cached_property
    def _factors(self) -> Tensor:
        """Numbers of the coordinates that each monomial multiplies, from 1; 0 stands for the number one."""
        degree = next((degree for most, degree in DEGREES.items() if self._coordinates <= most), None)
        numbers = torch.arange(self._coordinates + 1)
        if degree is not None:
            return torch.combinations(numbers, degree, with_replacement=True)
        alone, squares = torch.stack([0 * numbers, numbers], dim=1), torch.stack([numbers, numbers], dim=1)
        return torch.cat([alone, squares[1:]])

    def _extended(self, points: Tensor) -> Tensor:
        """Return the number one and the scaled coordinates of each point."""
        middle, spread = self._scale
        return torch.cat([torch.ones_like(points[:, :1]), (points - middle) / spread], dim=1)

    def _monomials(self, points: Tensor) -> Tensor:
        """Return all monomials of low degree, divided by their norm, at each point."""
        values = _product(self._extended(points), self._factors.unbind(dim=1))
        length: Tensor = vector_norm(values, dim=-1, keepdim=True)
        return values / length

    def _normals(self, points: Tensor) -> Tensor:
        """Return gradients of the k equations, up to a factor for each point: ``(n, coordinates, k)``."""
        x, columns = self._extended(points), self._factors.unbind(dim=1)
        normals = x.new_zeros(*x.shape, self._learnt[0].shape[1])
        for place, column in enumerate(columns):
            others = _product(x, columns[:place] + columns[place + 1 :])
            normals.index_add_(1, column, others[..., None] * self._learnt[0])
        return normals[:, 1:] / self._scale[1][:, None]


def _product(x: Tensor, columns: tuple[Tensor, ...]) -> Tensor:
    """Return the products of some columns of x: one of each list in every product."""
    values = x[:, columns[0]]
    for column in columns[1:]:
        values = values * x[:, column]
    return values
