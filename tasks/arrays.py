"""Arrays from files that users bring; nothing in them is unpickled."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moduli.errors import ModuliError


def read_arrays(path: Path, names: Sequence[str], kind: type[ModuliError], what: str) -> dict[str, Any]:
    """Return arrays of an ``.npz`` file by name.

    Parameters
    ----------
    path : Path
        The file, as ``numpy.savez`` writes it.
    names : sequence of str
        The arrays that it must hold.
    kind : type
        The error to raise.
    what : str
        What such a file is called, as the error's second half begins: ``"a file of images"``.

    Returns
    -------
    dict of str to numpy.ndarray

    Raises
    ------
    ModuliError
        Of the given kind, if the file is missing, is not an ``.npz`` file or lacks an array.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except Exception as error:  # a file that is damaged, or of another kind, can fail in any way
        raise kind(f"{path} cannot be read ({error}); {what} holds the arrays {', '.join(names)}.") from error
