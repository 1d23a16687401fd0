"""Gradients of distances."""

import torch
from torch import Tensor

from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold


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
    return torch.stack(torch.autograd.grad(distance.sum(), (x, y)), dim=-len(manifold.point_shape) - 1)
