"""One seed, many independent streams of random numbers."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def stream_seed(seed: int, purpose: str, index: int = 0) -> int:
    """Return the seed of one purpose's stream, independent of every other purpose's.

    NumPy's SeedSequence mixes the parts, so that neighbouring seeds share nothing.

    Parameters
    ----------
    seed : int
        The run's seed.
    purpose : str
        What the numbers are for, such as ``"weights"``.
    index : int
        Position in a sequence of such streams, such as the number of a batch.

    Returns
    -------
    int
    """
    parts = (seed, zlib.crc32(purpose.encode()), index)
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> 1)


def stream(seed: int, purpose: str, index: int = 0, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator for one purpose's stream on a device; see `stream_seed`."""
    return torch.Generator(device).manual_seed(stream_seed(seed, purpose, index))


@contextmanager
def numpy_stream(seed: int, purpose: str) -> Iterator[None]:
    """Let NumPy's global generator be one purpose's stream for a while, for packages that draw from it.

    Afterwards it goes on as if nothing had been drawn.

    Parameters
    ----------
    seed : int
        The run's seed.
    purpose : str
        What the numbers are for.

    Examples
    --------
    >>> with numpy_stream(0, "doctest"):
    ...     first = np.random.rand()
    >>> with numpy_stream(0, "doctest"):
    ...     assert np.random.rand() == first
    """
    before = np.random.get_state()
    np.random.seed(stream_seed(seed, purpose) % 2**32)
    try:
        yield
    finally:
        np.random.set_state(before)
