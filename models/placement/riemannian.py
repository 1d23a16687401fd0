"""The adapter through which geoopt's optimizers step along any manifold of this library."""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.functional import jvp

from moduli.manifolds import Manifold
from moduli.models.errors import InvalidEmbedding
from moduli.requirements import require_package

with warnings.catch_warnings():
    # geoopt 0.5.1 uses torch.jit.script, which torch 2.13 calls deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    geoopt: Any = require_package("geoopt", "Riemannian steps", "learn")


def manifold_parameter(manifold: Manifold, points: Tensor) -> nn.Parameter:
    """Return points as a parameter that geoopt's optimizers keep on the manifold.

    Parameters
    ----------
    manifold : Manifold
        The space.
    points : Tensor
        Points of shape ``(n, *point_shape)``.

    Returns
    -------
    geoopt.ManifoldParameter
    """
    parameter: nn.Parameter = geoopt.ManifoldParameter(points.detach(), manifold=GeooptManifold(manifold))
    return parameter


class GeooptManifold(geoopt.manifolds.base.Manifold):  # type: ignore[misc]  # geoopt has no types
    """A manifold of this library in the terms of geoopt.

    All follows from ``retract``: the tangent part of a vector is the derivative of the retraction at
    zero, and a vector is transported by the derivative of the retraction along the step (Absil,
    Mahony and Sepulchre, "Optimization algorithms on matrix manifolds", 2008, section 8.1.2). A
    momentum thus turns with a point that crosses the Klein bottle's twisted edge.

    Parameters
    ----------
    manifold : Manifold
        The space.
    """

    name = "moduli"
    reversible = False

    def __init__(self, manifold: Manifold) -> None:
        super().__init__()
        self.manifold = manifold
        self.ndim = len(manifold.point_shape)

    def projx(self, x: Tensor) -> Tensor:
        """Return the nearest point."""
        return self.manifold.project(x)

    def proju(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the tangent part of a vector."""
        return self._along(x, torch.zeros_like(u), u)[1]

    def egrad2rgrad(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the tangent part of a gradient."""
        return self.proju(x, u)

    def retr(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the point reached along a tangent vector."""
        return self.manifold.retract(x, u)

    def expmap(self, x: Tensor, u: Tensor) -> Tensor:
        """Return the point reached along a tangent vector, to first order."""
        return self.retr(x, u)

    def transp(self, x: Tensor, y: Tensor, v: Tensor) -> Tensor:
        """Return the part of a vector that is tangent at ``y``."""
        return self.proju(y, v)

    def retr_transp(self, x: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return the point reached along ``u``, and ``v`` carried there."""
        return self._along(x, u, v)

    def inner(self, x: Tensor, u: Tensor, v: Tensor | None = None, *, keepdim: bool = False) -> Tensor:
        """Return the Euclidean inner product of the coordinates."""
        product = u * (u if v is None else v)
        return product.sum(dim=tuple(range(-self.ndim, 0)), keepdim=keepdim) if self.ndim else product

    def _along(self, x: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``retract(x, u)`` and its derivative in ``u`` along ``v``."""
        reached, carried = jvp(lambda step: self.manifold.retract(x, step), u, v)  # type: ignore[no-untyped-call]
        if not carried.isfinite().all():
            raise InvalidEmbedding(
                f"{self.manifold!r}.retract has no finite derivative, which a Riemannian step needs; "
                "override retract, or use a plain optimizer without riemannian()."
            )
        return reached, carried

    def _check_point_on_manifold(
        self, x: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5
    ) -> tuple[bool, str | None]:
        inside = bool(self.manifold.contains(x).all())
        return inside, None if inside else f"not on {self.manifold!r}"

    def _check_vector_on_tangent(
        self, x: Tensor, u: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5
    ) -> tuple[bool, str | None]:
        inside = torch.allclose(self.proju(x, u), u, atol=atol, rtol=rtol)
        return inside, None if inside else f"not tangent to {self.manifold!r}"
