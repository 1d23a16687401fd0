"""The global generators of random numbers, and whether one has moved."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def watched_generators() -> Iterator[Callable[[], list[str]]]:
    """Tell which global generators moved, and put them back.

    Yields
    ------
    callable
        Returns the names of the generators that have moved since the block was entered.
    """
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()

    def moved() -> list[str]:
        now = torch.get_rng_state(), np.random.get_state(), random.getstate()
        same = {
            "torch's global generator": torch.equal(now[0], states[0]),
            "numpy's global generator": str(now[1]) == str(states[1]),
            "Python's global generator": now[2] == states[2],
        }
        return [name for name, unchanged in same.items() if not unchanged]

    try:
        yield moved
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
