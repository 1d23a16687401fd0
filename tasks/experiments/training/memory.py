"""The error of a machine without enough memory, with the run that needs it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from moduli.tasks.errors import OutOfMemory


@contextmanager
def named_shortage(what: str) -> Iterator[None]:
    """Name what needed more memory than there is, and what takes less.

    Parameters
    ----------
    what : str
        What is done: ``"The run torus-dog 90%"``.

    Raises
    ------
    OutOfMemory
        In the place of the errors by which Python and PyTorch's allocators say so.

    Examples
    --------
    >>> with named_shortage("The run"):
    ...     torch.empty(10**9, 10**9)
    Traceback (most recent call last):
        ...
    moduli.tasks.errors.OutOfMemory: The run needs more memory than there is (... bytes...); choose fewer ...
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        if not isinstance(error, MemoryError | torch.OutOfMemoryError) and "allocate memory" not in reason:
            raise
        reason = re.sub(r"^\[.*?\] .*?\. ", "", reason).rstrip(".") or "Python has none left"
        raise OutOfMemory(
            f"{what} needs more memory than there is ({reason}); choose fewer units, a smaller batch or "
            "fewer --jobs."
        ) from error
