"""Arenas: floor plans in which an animal walks, with walls or without.

Every arena is centred at the origin; lengths are in metres, points are tensors ``(..., 2)``.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from moduli.tasks.navigation.settings import NavigationSettings

TOLERANCE = 1e-5
"""A point this close to a wall, in metres, counts as being on the floor."""


class Arena(ABC):
    """A floor plan.

    Attributes
    ----------
    extent : (float, float)
        Width and height of the smallest box around the floor.
    """

    extent: tuple[float, float]

    @abstractmethod
    def random_points(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, 2)``, uniform on the floor, on the generator's device."""

    @abstractmethod
    def contains(self, points: Tensor) -> Tensor:
        """Tell which points are on the floor, its walls included."""

    @abstractmethod
    def confine(self, points: Tensor) -> Tensor:
        """Return where steps end that aim at points: there, or at the wall before."""

    @abstractmethod
    def nearest_wall(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the nearest wall, and the direction of its outward normal in radians."""

    def difference(self, points: Tensor, origins: Tensor) -> Tensor:
        """Return the shortest displacement from origins to points."""
        return points - origins

    def distance(self, points: Tensor, origins: Tensor) -> Tensor:
        """Return the length of the shortest displacement."""
        return _length(self.difference(points, origins))

    def closeness(self, points: Tensor, centres: Tensor) -> Tensor:
        """Return -|x - c|²/2 of every point x and centre c, plus a number that depends on x alone.

        Parameters
        ----------
        points : Tensor
            Points ``(..., 2)``.
        centres : Tensor
            Centres ``(cells, 2)``.

        Returns
        -------
        Tensor
            ``(..., cells)``; a softmax over cells does not see the number that is added.
        """
        # -|x - c|²/2 = x·c - |c|²/2 - |x|²/2
        return points @ centres.T - centres.square().sum(dim=-1) / 2

    def mean(self, points: Tensor) -> Tensor:
        """Return the mean over the last but one axis of points that lie close together."""
        return points.mean(dim=-2)


@final
@dataclass(frozen=True)
class Rectangle(Arena):
    """A rectangle with four walls.

    Parameters
    ----------
    width, height : float
        Its sides.

    Examples
    --------
    >>> Rectangle(2.0, 1.0).confine(torch.tensor([0.9, 0.7]))
    tensor([0.9000, 0.5000])
    """

    width: float
    height: float

    @property
    def extent(self) -> tuple[float, float]:  # type: ignore[override]
        """Width and height."""
        return self.width, self.height

    def random_points(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, 2)``, uniform on the floor."""
        uniform = torch.rand(count, 2, generator=generator, device=generator.device)
        return (uniform - 0.5) * uniform.new_tensor(self.extent)

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points are on the floor."""
        return (points.abs() <= points.new_tensor(self.extent) / 2 + TOLERANCE).all(dim=-1)

    def confine(self, points: Tensor) -> Tensor:
        """Return the points of the floor that are nearest."""
        corner = points.new_tensor(self.extent) / 2
        return points.clamp(-corner, corner)

    def nearest_wall(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the nearest wall, and its direction."""
        east, north = points.unbind(dim=-1)
        right, top = self.width / 2, self.height / 2
        distance, wall = torch.stack([right - east, top - north, right + east, top + north]).min(dim=0)
        return distance, wall * (math.pi / 2)


@final
@dataclass(frozen=True)
class PeriodicBox(Arena):
    """A flat torus: what leaves on one side enters on the opposite one; no walls.

    Parameters
    ----------
    width, height : float
        Its two periods.

    Examples
    --------
    >>> PeriodicBox(2.0, 2.0).difference(torch.tensor([0.9, 0.0]), torch.tensor([-0.9, 0.0]))
    tensor([-0.2000,  0.0000])
    """

    width: float
    height: float

    @property
    def extent(self) -> tuple[float, float]:  # type: ignore[override]
        """Width and height."""
        return self.width, self.height

    def random_points(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, 2)``, uniform on the floor."""
        return Rectangle(self.width, self.height).random_points(count, generator)

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points have coordinates in the box that stands for the torus."""
        return Rectangle(self.width, self.height).contains(points)

    def confine(self, points: Tensor) -> Tensor:
        """Return the same points of the torus, with coordinates in the box."""
        periods = points.new_tensor(self.extent)
        return points - periods * (points / periods).round()

    def nearest_wall(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return infinity: there is no wall."""
        return torch.full_like(points[..., 0], math.inf), torch.zeros_like(points[..., 0])

    def difference(self, points: Tensor, origins: Tensor) -> Tensor:
        """Return the shortest displacement from origins to points, perhaps across the seam."""
        return self.confine(points - origins)

    def closeness(self, points: Tensor, centres: Tensor) -> Tensor:
        """Return -|x - c|²/2 of every point x and centre c."""
        return self.difference(points[..., None, :], centres).square().sum(dim=-1) / -2

    def mean(self, points: Tensor) -> Tensor:
        """Return the mean over the last but one axis, taken around the first point."""
        first = points[..., :1, :]
        return self.confine(first[..., 0, :] + self.difference(points, first).mean(dim=-2))


@final
@dataclass(frozen=True)
class Disc(Arena):
    """A round arena.

    Parameters
    ----------
    diameter : float
        Its diameter.

    Examples
    --------
    >>> Disc(2.0).confine(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """

    diameter: float

    @property
    def extent(self) -> tuple[float, float]:  # type: ignore[override]
        """The diameter, twice."""
        return self.diameter, self.diameter

    def random_points(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, 2)``, uniform on the floor."""
        area, turn = torch.rand(2, count, generator=generator, device=generator.device).unbind()
        angle = 2 * math.pi * turn
        return self.diameter / 2 * area.sqrt()[:, None] * torch.stack([angle.cos(), angle.sin()], dim=-1)

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points are on the floor."""
        return _length(points) <= self.diameter / 2 + TOLERANCE

    def confine(self, points: Tensor) -> Tensor:
        """Return the points of the floor that are nearest."""
        radius = _length(points)[..., None]
        return points * (self.diameter / 2 / radius).clamp(max=1)

    def nearest_wall(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the wall, and the direction away from the centre."""
        radius = _length(points)
        return self.diameter / 2 - radius, torch.atan2(points[..., 1], points[..., 0])


@final
@dataclass(frozen=True)
class Polygon(Arena):
    """A polygon without crossings, convex or not.

    Parameters
    ----------
    corners : tuple of (float, float)
        Its corners, counterclockwise.

    Examples
    --------
    >>> Polygon.l_shape(2.0).contains(torch.tensor([[0.5, 0.5], [-0.5, 0.5]]))
    tensor([False,  True])
    """

    corners: tuple[tuple[float, float], ...]

    @classmethod
    def l_shape(cls, side: float) -> "Polygon":
        """Return a square without its upper right quarter."""
        s = side / 2
        return cls(((-s, -s), (s, -s), (s, 0.0), (0.0, 0.0), (0.0, s), (-s, s)))

    @property
    def extent(self) -> tuple[float, float]:  # type: ignore[override]
        """Width and height of the smallest box around the polygon that is centred at the origin."""
        across, along = zip(*self.corners, strict=True)
        return 2 * max(map(abs, across)), 2 * max(map(abs, along))

    def random_points(self, count: int, generator: torch.Generator) -> Tensor:
        """Return points ``(count, 2)``, uniform on the floor: those of the box that fall on it."""
        box = Rectangle(*self.extent)
        points = torch.empty(0, 2, device=generator.device)
        while len(points) < count:
            candidates = box.random_points(count, generator)
            points = torch.cat([points, candidates[self._encloses(candidates)]])
        return points[:count]

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points are on the floor."""
        _, distance, _ = self._nearest_edge(points)
        return self._encloses(points) | (distance <= TOLERANCE)

    def confine(self, points: Tensor) -> Tensor:
        """Return the points of the floor that are nearest."""
        nearest, _, _ = self._nearest_edge(points)
        return torch.where(self._encloses(points)[..., None], points, nearest)

    def nearest_wall(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distance to the nearest wall, and the direction of its outward normal."""
        _, distance, edge = self._nearest_edge(points)
        starts, ends = self._edges(points)
        across, along = (ends - starts).unbind(dim=-1)
        return distance, torch.atan2(-across, along)[edge]

    def _edges(self, points: Tensor) -> tuple[Tensor, Tensor]:
        starts = points.new_tensor(self.corners)
        return starts, starts.roll(-1, dims=0)

    def _nearest_edge(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the nearest point of the walls, its distance, and the number of its edge."""
        starts, ends = self._edges(points)
        along = ends - starts
        share = ((points[..., None, :] - starts) * along).sum(dim=-1) / along.square().sum(dim=-1)
        feet = starts + share.clamp(0, 1)[..., None] * along
        distance, edge = _length(points[..., None, :] - feet).min(dim=-1)
        nearest = feet.gather(-2, edge[..., None, None].expand(*edge.shape, 1, 2)).squeeze(dim=-2)
        return nearest, distance, edge

    def _encloses(self, points: Tensor) -> Tensor:
        """Tell from which points a ray to the east crosses the walls an odd number of times."""
        starts, ends = self._edges(points)
        across, along = points[..., None, :].unbind(dim=-1)
        straddles = (starts[:, 1] > along) != (ends[:, 1] > along)
        slope = (ends[:, 0] - starts[:, 0]) / (ends[:, 1] - starts[:, 1])
        crossing = starts[:, 0] + (along - starts[:, 1]) * slope
        return (straddles & (across < crossing)).sum(dim=-1) % 2 == 1


def make_arena(settings: NavigationSettings) -> Arena:
    """Return the arena that settings describe.

    Examples
    --------
    >>> make_arena(NavigationSettings(box=1.0, aspect=2.0))
    Rectangle(width=2.0, height=1.0)
    """
    if settings.arena == "disc":
        return Disc(settings.box)
    if settings.arena == "l-shape":
        return Polygon.l_shape(settings.box)
    kind = PeriodicBox if settings.arena == "periodic" else Rectangle
    return kind(settings.aspect * settings.box, settings.box)


def _length(vectors: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return length
