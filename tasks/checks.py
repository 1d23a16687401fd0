"""What the command line says about anything that plugs in: ``moduli check``."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold, check_manifold
from moduli.manifolds.reading import read_manifold
from moduli.models.verification.masks import check_masks
from moduli.models.verification.schedules import check_schedule
from moduli.models.verification.sparsifiers import check_sparsifier
from moduli.regularizers import check_regularizer
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.verification import CLAUSES as METHOD_CLAUSES
from moduli.tasks.experiments.verification import MethodSearch
from moduli.tasks.subjects import Kind, find_subject
from moduli.verification import Report

CHECKS: Mapping[Kind, Callable[[Any, int | None], Report]] = {
    "manifold": lambda manifold, cases: check_manifold(manifold, cases=cases),
    "mask family": lambda make, cases: check_masks(make, cases=cases),
    "sparsifier": lambda make, cases: check_sparsifier(make, cases=cases),
    "schedule": lambda schedule, cases: check_schedule(schedule),
    "method": lambda name, cases: METHOD_CLAUSES.report(MethodSearch(_small_run(name))),
}
"""How each kind is checked, except a regularizer, which is checked somewhere."""

WITHOUT_CASES: tuple[Kind, ...] = ("schedule", "method")
"""What is checked in one way only."""


def check_command(
    target: str, arguments: Sequence[str] = (), cases: int | None = None, on: str | None = None
) -> Report:
    """Find what a text names and check all clauses of its kind.

    Parameters
    ----------
    target : str
        A manifold's name, a regularizer's expression, a mask family's name, a schedule's, a method's, or
        ``"package.module:Thing"``; see `moduli.tasks.subjects.find_subject`.
    arguments : sequence of str
        Arguments as ``"name=value"``; a value is read as JSON, or else as text.
    cases : int, optional
        How many cases each clause tries.
    on : str, optional
        The manifold on which a regularizer is checked, such as ``"torus(dim=3)"``; a spread of built-in ones
        when absent.

    Returns
    -------
    Report
        ``print`` shows it; ``passed`` decides the exit status.

    Raises
    ------
    InvalidParameter
        If an argument is not ``name=value``, or the kind has no use for ``cases`` or ``on``.
    UnknownSubject
        If the text names nothing that can be checked.
    ModuliError
        If what it names cannot be made.

    Examples
    --------
    >>> check_command("torus", ["dim=1", "period=2.5"], cases=100).passed
    True
    >>> check_command("dog + 0.1*uniform", on="torus", cases=4).passed
    True
    >>> check_command("torus", on="sphere")
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: 'torus' is a manifold; --on is for regularizers, so leave it out.
    """
    kind, subject = find_subject(target, dict(_parsed(argument) for argument in arguments))
    if cases is not None and kind in WITHOUT_CASES:
        raise InvalidParameter(f"'{target}' is a {kind}, of which all is looked at; leave --cases out.")
    if kind == "regularizer":
        manifold: Manifold | None = None if on is None else read_manifold(on)
        return check_regularizer(subject, manifold, cases=cases)
    if on is not None:
        raise InvalidParameter(f"'{target}' is a {kind}; --on is for regularizers, so leave it out.")
    return CHECKS[kind](subject, cases)


def _small_run(method: str) -> Run:
    """Return a run of a method on a small network, which is never carried out."""
    return Run(preset("adding", "smoke"), method, 0, Path())


def _parsed(argument: str) -> tuple[str, Any]:
    name, equals, value = argument.partition("=")
    if not name or not equals:
        raise InvalidParameter(f"Arguments look like name=value, got '{argument}'.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value
