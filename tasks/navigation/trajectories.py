"""Random walks in an arena: where an animal was, and how it moved.

The statistics are those of Banino et al., "Vector-based navigation using grid-like representations
in artificial agents", Nature 2018 (methods), as Sorscher et al., NeurIPS 2019, and the paper,
arXiv 2406.06290, use them.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from moduli.tasks.navigation.arenas import Arena

TIME_STEP = 0.02
"""Duration of a step, in seconds."""
TURN_RATE = 11.52
"""Standard deviation of the angular velocity, in radians per second.

Twice the 5.76 (330 degrees) per second of Banino et al., as in the code of Sorscher et al., ``5.76 * 2``.
"""
SPEED = 0.13 * 2 * math.pi
"""Mode of the Rayleigh-distributed speed, in metres per second."""
WALL_DISTANCE = 0.03
"""Distance from a wall at which an animal turns along it and slows down, in metres."""
WALL_SLOWING = 0.25
"""Factor of the speed near a wall."""


@dataclass(frozen=True)
class Trajectories:
    """A batch of walks.

    Parameters
    ----------
    start : Tensor
        First positions, ``(batch, 2)``, in metres from the centre of the arena.
    velocities : Tensor
        Velocity during each step, ``(batch, steps, 2)``, in metres per second unless `observed`
        has rescaled it.
    positions : Tensor
        Position after each step, ``(batch, steps, 2)``, in metres.
    """

    start: Tensor
    velocities: Tensor
    positions: Tensor

    def __getitem__(self, walks: slice) -> "Trajectories":
        return Trajectories(self.start[walks], self.velocities[walks], self.positions[walks])


def walk(batch: int, steps: int, arena: Arena, generator: torch.Generator) -> Trajectories:
    """Draw walks in an arena whose walls are avoided.

    At each step an animal moves along its heading with a Rayleigh-distributed speed, then turns by
    a Gaussian angle. Within 3 cm of a wall that it faces it slows to a quarter and turns to walk
    along it.

    Parameters
    ----------
    batch : int
        Number of walks.
    steps : int
        Number of steps of each.
    arena : Arena
        Where the animals walk.
    generator : torch.Generator
        Source of randomness; the walks are made on its device.

    Returns
    -------
    Trajectories
    """
    device = generator.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    position = arena.random_points(batch, generator)
    heading = 2 * math.pi * uniform(batch)
    # log1p(-u) with u in [0, 1) is finite; log(u) is not where u is exactly 0, which does occur.
    speeds = SPEED * (-2 * torch.log1p(-uniform(steps, batch))).sqrt()
    turns = TURN_RATE * TIME_STEP * torch.randn(steps, batch, generator=generator, device=device)
    start, velocities, positions = position, [], []
    for speed, turn in zip(speeds, turns, strict=True):
        near_wall, along_wall = _wall_ahead(position, heading, arena)
        speed = torch.where(near_wall, WALL_SLOWING * speed, speed)
        velocity = speed[:, None] * torch.stack([heading.cos(), heading.sin()], dim=-1)
        # A long last step could still leave the floor, as in the code of Sorscher et al. 0.8% of the
        # positions do in a box of 2.2 m; here the wall stops it, and the velocity says so.
        moved = arena.confine(position + TIME_STEP * velocity)
        velocities.append(arena.difference(moved, position) / TIME_STEP)
        positions.append(moved)
        position, heading = moved, heading + turn + along_wall
    return Trajectories(start, torch.stack(velocities, dim=1), torch.stack(positions, dim=1))


def observed(walks: Trajectories, noise: float, scale: float, generator: torch.Generator) -> Trajectories:
    """Return walks with the velocities that an animal believes it has; positions stay true.

    Parameters
    ----------
    walks : Trajectories
        What happened.
    noise : float
        Standard deviation of the Gaussian noise on each component, in metres per second.
    scale : float
        Factor of the velocities, noise included.
    generator : torch.Generator
        Source of the noise, on the device of the walks.

    Returns
    -------
    Trajectories
    """
    velocities = walks.velocities
    if noise > 0:
        velocities = velocities + noise * torch.randn(
            velocities.shape, generator=generator, device=velocities.device
        )
    return replace(walks, velocities=scale * velocities)


def _wall_ahead(position: Tensor, heading: Tensor, arena: Arena) -> tuple[Tensor, Tensor]:
    """Tell which animals face a wall that is near, and the turn that leads them along it."""
    distance, direction = arena.nearest_wall(position)
    angle = (heading - direction + math.pi).remainder(2 * math.pi) - math.pi
    near_wall = (distance < WALL_DISTANCE) & (angle.abs() < math.pi / 2)
    along_wall = torch.where(near_wall, angle.sign() * (math.pi / 2 - angle.abs()), 0)
    return near_wall, along_wall
