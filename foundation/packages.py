"""Packages whose code is nobody's own: this library, Python, and what this library builds on."""

import sys

from moduli.registry import LIBRARY

FOUNDATIONS = frozenset({"geomstats", "hypothesis", "lightning", "numpy", "scipy", "torch"})
"""Packages from which users' classes descend, and through which calls of users' functions go."""


def somebodys_own(module: str) -> bool:
    """Return whether a module is a user's or a plugin's.

    Parameters
    ----------
    module : str
        Its full name.

    Returns
    -------
    bool
        False for this library, the standard library, and packages that this library builds on.

    Examples
    --------
    >>> somebodys_own("my_lab.spaces"), somebodys_own("torch.nn"), somebodys_own("abc")
    (True, False, False)
    """
    package = module.partition(".")[0]
    return package not in sys.stdlib_module_names | FOUNDATIONS | {LIBRARY}
