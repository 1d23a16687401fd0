"""Walks of RatInABox's agents, which move as rats were seen to."""

from functools import lru_cache

import numpy as np
import torch

from moduli.requirements import require_package
from moduli.tasks.navigation.recordings import Recording, Samples
from moduli.tasks.seeds import numpy_stream

AGENT = "ratinabox"
"""How walks of agents are asked for."""
SECONDS = 600
"""How long an agent walks: as long as the rats of Sargolini et al. (2006), whom its motion was fitted to."""


def agent_walk(width: float, height: float, seed: int, device: torch.device | str = "cpu") -> Recording:
    """Return the walk of an agent in a rectangle, as if it had been recorded.

    Its motion is RatInABox's own, with that package's defaults: George, Rastogi, de Cothi, Clopath,
    Stachenfeld and Barry, "RatInABox, a toolkit for modelling locomotion and neuronal activity in continuous
    environments", eLife 2024. It depends on the rectangle and the seed alone; NumPy's global generator, from
    which the package draws, is left as it was.

    Parameters
    ----------
    width, height : float
        Size of the rectangle in metres.
    seed : int
        Seed of the walk.
    device : torch.device or str
        Where walks are made.

    Raises
    ------
    MissingDependency
        If RatInABox is not installed.
    """
    times, points = _walked(width, height, seed)
    return Recording.of(times, points, f"{AGENT}, seed {seed}", device, box=(width, height))


@lru_cache(maxsize=8)
def _walked(width: float, height: float, seed: int) -> tuple[Samples, Samples]:
    """Return times and positions of an agent; a walk takes seconds, which the runs of a process share."""
    package = require_package("ratinabox", "Walks of agents", "recordings")
    with numpy_stream(seed, "agent"):
        rectangle = package.Environment(params={"scale": height, "aspect": width / height})
        agent = package.Agent(rectangle)
        samples = round(SECONDS / agent.dt)
        for _ in range(samples):
            agent.update()
    return agent.dt * np.arange(samples), np.array(agent.history["pos"])
