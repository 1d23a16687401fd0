"""Gradients of distances, and what small steps say about them."""

import torch
from torch import Tensor

from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold
from moduli.manifolds.verification.support import Support

# Steps, as shares of the way to a third point. Quotients of the shorter ones are more exact until rounding
# takes over; where the two sizes disagree, rounding or a kink does, and the gradient may lie between.
STEPS = (1e-4, 1e-5)


def distance_gradient(manifold: Manifold, x: Tensor, y: Tensor) -> Tensor:
    """Return the gradients of distances with respect to both points, one after the other.

    Parameters
    ----------
    manifold : Manifold
        The space.
    x, y : Tensor
        Points of shape ``(..., *point_shape)``.

    Returns
    -------
    Tensor
        Shape ``(..., 2, *point_shape)``.

    Raises
    ------
    NotDifferentiable
        If the distance has no gradient.
    """
    x, y = (points.detach().clone().requires_grad_() for points in (x, y))
    with torch.enable_grad():
        distance = manifold.distance(x, y)
    if not distance.requires_grad:
        raise NotDifferentiable(f"Distances of {manifold!r} have no gradient: its points cannot be learned.")
    gradients = torch.autograd.grad(distance.sum(), (x, y), allow_unused=True, materialize_grads=True)
    return torch.stack(gradients, dim=-len(manifold.point_shape) - 1)


class Slopes:
    """How fast distances change where x moves towards z, and y as far the other way: by gradient, by steps.

    Parameters
    ----------
    support : Support
        Where the manifold's points are.
    x, y, z : Tensor
        Points of shape ``(n, *point_shape)``.

    Attributes
    ----------
    predicted : Tensor
        What the gradient says, of shape ``(n,)``.
    measured : Tensor
        What the shorter steps, forwards and backwards, say on average.
    lowest, highest : Tensor
        The ends of what all steps admit. Where the distance is smooth, the gradient lies within; at a kink
        every slope from one side's to the other's does.
    possible : Tensor
        For which points all steps stay within the manifold.
    """

    def __init__(self, support: Support, x: Tensor, y: Tensor, z: Tensor) -> None:
        self._manifold = support.manifold
        x, y = x.double(), y.double()
        self._pair = torch.stack([x, y])
        length = self._manifold.distance(*self._pair.clone())
        way = z.double() - x
        ways = torch.stack([support.tangent(x, way), support.tangent(y, -way)])
        self.possible = length.isfinite()
        sizes = torch.tensor([size * sign for size in STEPS for sign in (1, -1)], dtype=x.dtype)
        sizes = sizes.reshape(-1, *[1] * self._pair.dim())
        moved = self._moved(support, sizes * ways)
        steps = (moved - self._pair) / sizes
        change = (self._manifold.distance(*moved.unbind(dim=1)) - length) / sizes.reshape(-1, 1)
        gradient = self._gradient(torch.float64)
        error = change - _along(gradient, steps)
        self._step = steps[-1]
        self.predicted = _along(gradient, self._step)
        self.measured = self.predicted + error[-2:].mean(dim=0)
        self.lowest, self.highest = self.predicted + error.amin(dim=0), self.predicted + error.amax(dim=0)
        self.possible &= error.isfinite().all(dim=0)

    def in_single_precision(self) -> Tensor:
        """Return what the gradient in float32 says."""
        return _along(self._gradient(torch.float32).double(), self._step)

    def _moved(self, support: Support, steps: Tensor) -> Tensor:
        """Return the pairs after each of some steps; those that cannot take one stay where they are."""
        pairs = self._pair.expand_as(steps)
        ahead, kept = support.step(pairs.flatten(0, 2), steps.flatten(0, 2))
        kept = kept.reshape(steps.shape[:3])
        self.possible &= kept.all(dim=0).all(dim=0)
        return torch.where(
            kept.reshape(*kept.shape, *[1] * (steps.dim() - 3)), ahead.reshape(steps.shape), pairs
        )

    def _gradient(self, dtype: torch.dtype) -> Tensor:
        x, y = self._pair.to(dtype)
        return distance_gradient(self._manifold, x, y).movedim(1, 0)


def _along(gradient: Tensor, steps: Tensor) -> Tensor:
    """Return what gradients of n pairs, of shape ``(2, n, *point_shape)``, say about steps of both points."""
    products = gradient * steps
    leading = products.shape[: products.dim() - gradient.dim() + 2]
    return products.reshape(*leading, -1).sum(dim=(-3, -1))


def slope_by_gradient(manifold: Manifold, x: Tensor, y: Tensor, z: Tensor) -> float:
    """Return how fast d(x, y) changes as x moves towards z and y the other way, by its gradient."""
    return float(Slopes(Support(manifold), x[None], y[None], z[None]).predicted)


def slope_by_difference(manifold: Manifold, x: Tensor, y: Tensor, z: Tensor) -> float:
    """Return how fast d(x, y) changes as x moves towards z and y the other way, by small steps."""
    return float(Slopes(Support(manifold), x[None], y[None], z[None]).measured)
