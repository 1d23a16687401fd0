"""What the examined thing raised, and where in its own code."""

import sys
import traceback
from pathlib import Path

from moduli.registry import LIBRARY

INSTALLED = sys.stdlib_module_names | {LIBRARY, "geomstats", "hypothesis", "numpy", "scipy", "torch"}
"""Packages whose lines say little about a mistake in somebody's own code."""


def what_was_raised(error: Exception) -> str:
    """Return the name and the text of an error, with the innermost line that is somebody's own.

    Parameters
    ----------
    error : Exception
        What was raised and caught.

    Returns
    -------
    str
        A sentence; without a line if the error comes from the library and from what it uses alone.

    Examples
    --------
    >>> try:
    ...     [].pop()
    ... except IndexError as error:
    ...     what_was_raised(error).partition(" (")[0]
    'It raised IndexError: pop from empty list'
    """
    own = [
        (Path(frame.f_code.co_filename).name, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__", LIBRARY)).partition(".")[0] not in INSTALLED
    ]
    place = " ({}, line {}, in {})".format(*own[-1]) if own else ""
    return f"It raised {type(error).__name__}: {error}{place}"
