"""Points that are watched while a manifold uses them."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from moduli.manifolds.errors import NotDifferentiable
from moduli.manifolds.manifold import Manifold


class WatchedPoints:
    """Points in the middle of their memory, which tell whether any of it has changed.

    Parameters
    ----------
    points : Tensor
        Shape ``(n, *point_shape)`` with n > 0; copied.

    Attributes
    ----------
    points : Tensor
        The copy, as a view of a longer tensor.
    """

    def __init__(self, points: Tensor) -> None:
        self._memory = torch.cat([points[:1], points, points[-1:]])
        self._before = self._memory.clone()
        self.points = self._memory[1:-1]

    def changed(self) -> bool:
        """Tell whether the points, or what lies beside them, have changed."""
        return not torch.equal(self._memory, self._before)


def calls(manifold: Manifold, few: bool) -> Mapping[str, Callable[[Tensor, Tensor], object]]:
    """Return what is called with points: all methods, or the distances alone, which are cheap for many.

    Parameters
    ----------
    manifold : Manifold
        The space.
    few : bool
        Whether the points are few.
    """
    distances: dict[str, Callable[[Tensor, Tensor], object]] = {
        "distance(x, y)": manifold.distance,
        "distance(x, y) with a gradient": partial(_with_gradient, manifold),
    }
    if not few:
        return distances
    isometry = manifold.random_isometry(torch.Generator().manual_seed(0))
    return distances | {
        "distance(x[:, None], y[None])": lambda x, y: manifold.distance(x[:, None], y[None]),
        "pairwise(x)": lambda x, _: manifold.pairwise(x),
        "pairwise(x, y)": manifold.pairwise,
        "project(x)": lambda x, _: manifold.project(x),
        "retract(x, tangent)": lambda x, y: manifold.retract(x, 0 * y),
        "contains(x)": lambda x, _: manifold.contains(x),
        "cut_points(x)": lambda x, _: manifold.cut_points(x),
        "what random_isometry returned": lambda x, _: isometry(x) if isometry else None,
    }


def _with_gradient(manifold: Manifold, x: Tensor, y: Tensor) -> None:
    """Compute distances and their gradient, if there is one, of points that share the given ones' memory."""
    x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
    try:
        distance = manifold.distance(x, y)
    except NotDifferentiable:
        return
    if distance.requires_grad:
        distance.sum().backward()  # type: ignore[no-untyped-call]
