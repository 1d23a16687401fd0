"""Manifolds of dimension 1 and 2 as they are drawn: curved in space, or flat around one point."""

from functools import singledispatch

import torch
from torch import Tensor

from moduli.errors import ModuliError
from moduli.manifolds import Cylinder, Euclidean, KleinBottle, Manifold, MobiusBand, Scaled, Sphere, Torus

TUBE = 0.4
"""Thickness of a drawn torus, Klein bottle or ring, relative to the radius of its axis."""


class CannotDraw(ModuliError, TypeError):
    """A manifold has no picture of the kind that was asked for."""


@singledispatch
def immerse(manifold: Manifold, points: Tensor) -> Tensor:
    """Return where points of a manifold are drawn in space, in a ball of radius about 1.

    Circle, sphere, torus, cylinder and Möbius band have their usual shapes, the Klein bottle is the
    figure-eight immersion (Gray, Abbena and Salamon, "Modern Differential Geometry of Curves and
    Surfaces", section 11.4). Only the circle and the sphere keep their distances.

    Parameters
    ----------
    manifold : Manifold
        The space.
    points : Tensor
        Points ``(..., *point_shape)``.

    Returns
    -------
    Tensor
        Coordinates ``(..., 3)``, the same for all representatives of a point.

    Raises
    ------
    CannotDraw
        If the space is none of these.

    Examples
    --------
    >>> immerse(Torus(2), torch.tensor([0.0, 0.0]))
    tensor([1., 0., 0.])
    """
    raise CannotDraw(
        f"{manifold!r} is not drawn in space; circles, spheres, tori, Klein bottles, cylinders and Möbius "
        "bands of dimension 1 or 2 are. draw_weight_against_distance draws weights on any space."
    )


@immerse.register
def _immerse_scaled(manifold: Scaled, points: Tensor) -> Tensor:
    return immerse(manifold.manifold, points)


@immerse.register
def _immerse_sphere(manifold: Sphere, points: Tensor) -> Tensor:
    if manifold.dim > 2:
        raise CannotDraw(f"{manifold!r} is not drawn in space; only spheres of dimension 1 or 2 are.")
    flat = torch.zeros_like(points[..., :1])
    return points if manifold.dim == 2 else torch.cat([points, flat], dim=-1)


@immerse.register
def _immerse_torus(manifold: Torus, points: Tensor) -> Tensor:
    if manifold.dim != 2:
        raise CannotDraw(f"{manifold!r} is not drawn in space; only tori of dimension 2 are.")
    along, around = (2 * torch.pi * points / points.new_tensor(manifold.periods)).unbind(-1)
    return _turned(along, TUBE * around.cos(), TUBE * around.sin())


@immerse.register
def _immerse_klein(manifold: KleinBottle, points: Tensor) -> Tensor:
    along, around = (2 * torch.pi * points / manifold.period).unbind(-1)
    return _turned(along, *_half_twisted(along, TUBE * around.sin(), TUBE * (2 * around).sin()))


@immerse.register
def _immerse_cylinder(manifold: Cylinder, points: Tensor) -> Tensor:
    along = 2 * torch.pi * points[..., 0] / manifold.period
    return _turned(along, torch.zeros_like(along), points[..., 1] / manifold.height - 0.5)


@immerse.register
def _immerse_mobius(manifold: MobiusBand, points: Tensor) -> Tensor:
    along = 2 * torch.pi * points[..., 0] / manifold.period
    across = points[..., 1] / manifold.height - 0.5
    return _turned(along, *_half_twisted(along, across, torch.zeros_like(across)))


def sheet(manifold: Manifold, resolution: int) -> tuple[Tensor, Tensor]:
    """Return a grid of points that covers a manifold, and where it is drawn in space.

    The circle is drawn as a ring with a breadth, across which its points repeat.

    Parameters
    ----------
    manifold : Manifold
        A space that `immerse` draws.
    resolution : int
        Points along each side of the grid.

    Returns
    -------
    points : Tensor
        Points ``(resolution, resolution, *point_shape)``.
    places : Tensor
        Coordinates ``(resolution, resolution, 3)``.

    Raises
    ------
    CannotDraw
        If the space is not drawn.
    """
    while isinstance(manifold, Scaled):
        manifold = manifold.manifold
    rows, columns = torch.cartesian_prod(*[torch.linspace(0, 1, resolution)] * 2).unbind(-1)
    if isinstance(manifold, Sphere):
        angle = 2 * torch.pi * rows
        polar = torch.pi * columns.clamp(1e-3, 1 - 1e-3)  # at the very poles a sheet has no normal
        breadth = 1 + 0.2 * (columns - 0.5)
        around = torch.stack([angle.cos(), angle.sin()], dim=-1)
        if manifold.dim == 1:
            points, places = around, breadth[:, None] * immerse(manifold, around)
        else:
            points = torch.cat([around * polar.sin()[:, None], polar.cos()[:, None]], dim=-1)
            places = immerse(manifold, points)
    else:
        width, height = sides(manifold)
        points = torch.stack([rows * width, columns * height], dim=-1)
        places = immerse(manifold, points)
    grid = (resolution, resolution)
    return points.reshape(*grid, -1), places.reshape(*grid, 3)


def offsets(manifold: Manifold, origin: Tensor, points: Tensor) -> Tensor:
    """Return the straight line from one point of a flat space to each other point, where it is shortest.

    Parameters
    ----------
    manifold : Manifold
        The plane, or a torus, cylinder, Klein bottle or Möbius band.
    origin : Tensor
        Points ``(..., 2)`` from which the lines start.
    points : Tensor
        Points ``(..., 2)`` where they end; the leading dimensions broadcast.

    Returns
    -------
    Tensor
        Vectors ``(..., 2)``, whose lengths are the geodesic distances.

    Raises
    ------
    CannotDraw
        If the space is another one.

    Examples
    --------
    >>> offsets(Torus(2), torch.tensor([1.0, 1.0]), torch.tensor([[9.0, 2.0]]))
    tensor([[-2.,  1.]])
    """
    if isinstance(manifold, KleinBottle | MobiusBand):
        one, other = (
            offsets(manifold.cover, origin, representative)
            for representative in (points, manifold.deck(points))
        )
        nearer = one.norm(dim=-1, keepdim=True) <= other.norm(dim=-1, keepdim=True)
        return torch.where(nearer, one, other)
    line = points - origin
    if isinstance(manifold, Euclidean) and manifold.dim == 2:
        return line
    if isinstance(manifold, Torus) and manifold.dim == 2:
        half = line.new_tensor(manifold.periods) / 2
        return (line + half).remainder(2 * half) - half
    if isinstance(manifold, Cylinder):
        half = line.new_tensor(manifold.period) / 2
        return torch.stack([(line[..., 0] + half).remainder(2 * half) - half, line[..., 1]], dim=-1)
    raise CannotDraw(
        f"{manifold!r} is not drawn flat; the plane, and tori, cylinders, Klein bottles and Möbius bands of "
        "dimension 2 are. draw_weight_against_distance draws weights on any space."
    )


def sides(manifold: Manifold) -> tuple[float, float]:
    """Return the sides of the rectangle from which a flat space is glued, in units of length.

    Raises
    ------
    CannotDraw
        If the space is not a torus, cylinder, Klein bottle or Möbius band of dimension 2.
    """
    if isinstance(manifold, Torus) and manifold.dim == 2:
        return manifold.periods[0], manifold.periods[1]
    if isinstance(manifold, KleinBottle):
        return manifold.period, manifold.period
    if isinstance(manifold, Cylinder | MobiusBand):
        return manifold.period, manifold.height
    raise CannotDraw(f"{manifold!r} is not glued from a rectangle, as tori and Klein bottles are.")


def _turned(angle: Tensor, out: Tensor, up: Tensor) -> Tensor:
    """Return points at an angle about the axis, ``1 + out`` from it."""
    return torch.stack([(1 + out) * angle.cos(), (1 + out) * angle.sin(), up], dim=-1) / (1 + TUBE)


def _half_twisted(angle: Tensor, out: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    cosine, sine = (angle / 2).cos(), (angle / 2).sin()
    return cosine * out - sine * up, sine * out + cosine * up
