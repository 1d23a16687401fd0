"""What the command line says about a manifold: ``moduli check``."""

import json
from collections.abc import Sequence
from typing import Any

from moduli.errors import InvalidParameter
from moduli.manifolds.registry import make
from moduli.manifolds.verification.verdict import check_manifold
from moduli.verification import Report


def check_command(target: str, arguments: Sequence[str] = (), cases: int | None = None) -> Report:
    """Make a manifold and check all its clauses.

    Parameters
    ----------
    target : str
        A registered name, or ``"package.module:Class"``.
    arguments : sequence of str
        The constructor's arguments as ``"name=value"``; a value is read as JSON, or else as text.
    cases : int, optional
        How many triples of points each clause tries.

    Returns
    -------
    Report
        ``print`` shows it; ``passed`` decides the exit status.

    Raises
    ------
    InvalidParameter
        If an argument is not ``name=value``.
    UnknownManifold, UnknownParameter, PluginError
        If the manifold cannot be made.

    Examples
    --------
    >>> check_command("torus", ["dim=1", "period=2.5"], cases=100).passed
    True
    """
    return check_manifold(make(target, **dict(_parsed(argument) for argument in arguments)), cases=cases)


def _parsed(argument: str) -> tuple[str, Any]:
    name, equals, value = argument.partition("=")
    if not name or not equals:
        raise InvalidParameter(f"Arguments of a manifold look like name=value, got '{argument}'.")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
