"""Finite metric spaces: points are numbered, and a distance is looked up."""

from abc import abstractmethod

import torch
from torch import Tensor

from moduli.manifolds.errors import InvalidPoints, NotDifferentiable
from moduli.manifolds.manifold import Manifold


class FiniteSpace(Manifold):
    """A finite set of points; a point is its number, in a vector of length 1.

    A finite set has no tangents: points that require a gradient are refused.
    """

    point_shape = (1,)

    @property
    @abstractmethod
    def count(self) -> int:
        """How many points there are; they are numbered from 0."""

    @abstractmethod
    def lookup(self, i: Tensor, j: Tensor) -> Tensor:
        """Return distances in float64.

        Parameters
        ----------
        i, j : Tensor
            Numbers of points, in integers; their shapes broadcast.

        Returns
        -------
        Tensor
            Distances, of the broadcast shape.
        """

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances between numbered points.

        Raises
        ------
        NotDifferentiable
            If a gradient with respect to the points is asked for.
        InvalidPoints
            If a number is not that of a point.
        """
        if torch.is_grad_enabled() and (x.requires_grad or y.requires_grad):
            raise NotDifferentiable(f"Distances in {self!r} have no gradient; keep its points fixed.")
        return self.lookup(self._numbers(x), self._numbers(y)).to(x)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly: without repetition as long as there are enough of them.

        Beyond that, all points come again in another order, so that their frequencies differ by one at most.
        """
        device = None if generator is None else generator.device
        rounds = [
            torch.randperm(self.count, generator=generator, device=device)
            for _ in range(max(1, -(-n // self.count)))
        ]
        return torch.cat(rounds)[:n, None].to(torch.get_default_dtype())

    def project(self, x: Tensor) -> Tensor:
        """Return the nearest number of a point."""
        return x.round().clamp(0, self.count - 1)

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether it is the number of a point."""
        return self.project(x)[..., 0] == x[..., 0]

    def _numbers(self, x: Tensor) -> Tensor:
        if 2 / torch.finfo(x.dtype).eps < self.count - 1:
            raise InvalidPoints(
                f"{x.dtype} cannot number the {self.count} points of {self!r}; "
                "convert the points with .float() or .double()."
            )
        numbers = x[..., 0].round().long()
        if not x.is_meta and numbers.numel() and not 0 <= numbers.min() <= numbers.max() < self.count:
            outside = numbers[(numbers < 0) | (numbers >= self.count)].flatten()[0]
            raise InvalidPoints(
                f"Points of {self!r} are numbered from 0 to {self.count - 1}, got {int(outside)}."
            )
        return numbers
