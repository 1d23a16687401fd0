"""What the examined thing raised, and where in its own code."""

import traceback
from pathlib import Path

from moduli.packages import somebodys_own
from moduli.registry import LIBRARY


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
        if somebodys_own(str(frame.f_globals.get("__name__", LIBRARY)))
    ]
    place = " ({}, line {}, in {})".format(*own[-1]) if own else ""
    return f"It raised {type(error).__name__}: {error}{place}"
