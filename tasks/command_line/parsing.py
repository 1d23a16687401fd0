"""How the command line is read; free of torch.

`moduli compare` and `moduli run` have a sub-command for each task. Only the task that is named is imported,
and only its sub-command has options: a broken plugin is seen by nobody who does not name it.
"""

import argparse
import contextlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Union, get_args

import tyro

from moduli.errors import InvalidConfiguration, ModuliError, suggestion
from moduli.tasks.command_line.commands import (
    EXPERIMENTS,
    CheckCommand,
    Command,
    CompareCommand,
    ExperimentCommand,
    ListCommand,
    ReportCommand,
    RunCommand,
)
from moduli.tasks.experiments.configuration.presets import PruningStyle, preset, with_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.configuration.toml_files import read_toml
from moduli.tasks.registry import available_tasks

OTHERS: dict[str, type[Any]] = {"check": CheckCommand, "list": ListCommand, "report": ReportCommand}

SEVERAL = {
    "--learning-rate": "--learning-rates",
    "--sparsity": "--sparsities",
    "--strength": "--strengths",
}
"""Options that take one number, and those of `moduli compare` that take several."""

DESCRIPTION = (
    "Sparse recurrent networks by geometry. Exit status: 0 done, 1 a check failed, 2 a mistake, 130 "
    "interrupted. --version prints the version, --tyro-print-completion {bash,zsh,tcsh} a shell's "
    "completions."
)


@dataclass(frozen=True)
class _Listed:
    """A sub-command that is named in a list, and not asked for."""


@dataclass(frozen=True)
class _Defaults:
    """What the settings of a task are without further options, and the options that decided so."""

    configuration: Configuration
    preset: str = "demo"
    style: PruningStyle | None = None


def parse(arguments: Sequence[str]) -> Command:
    """Return the command that a command line gives.

    Parameters
    ----------
    arguments : sequence of str
        The command line without the program's name.

    Raises
    ------
    ModuliError
        If the task, its preset or the file of its settings cannot be read.
    SystemExit
        If the command line asks for help, or has another mistake.

    Examples
    --------
    >>> parse(["run", "adding", "--units", "16", "--preset", "smoke"]).configuration.task
    AddingSettings(units=16, length=10, test_sequences=500, initialization='uniform')
    """
    word, task = [*arguments, "", ""][:2]
    completing = any(argument.startswith("--tyro-") for argument in arguments)
    chosen: dict[str, _Defaults] = {}
    if completing:
        chosen = _all_defaults()
    elif word in EXPERIMENTS and task not in ("", "-h", "--help"):
        _require_one_number(arguments)
        chosen = {task: _defaults(task, arguments[2:])}
    members: list[Any] = [
        _with_tasks(name, kind, chosen) if completing or name == word else _listed(name, _text(kind))
        for name, kind in EXPERIMENTS.items()
    ]
    members += [Annotated[kind, tyro.conf.subcommand(name)] for name, kind in OTHERS.items()]
    commands: Any = Union[tuple(members)]  # noqa: UP007
    command: Command = tyro.cli(
        commands,
        prog="moduli",
        description=DESCRIPTION,
        args=list(arguments),
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
    )
    return command


def _with_tasks(name: str, kind: type[ExperimentCommand], chosen: Mapping[str, _Defaults]) -> Any:
    """Return a command with a sub-command for each task; those that are chosen have options."""
    tasks = {task: _listed(task, line) for task, line in available_tasks().items()}
    for task, defaults in chosen.items():
        command = kind(defaults.configuration, defaults.preset, defaults.style)
        tasks[task] = Annotated[kind, tyro.conf.subcommand(task, default=command, description=_text(kind))]
    return Annotated[
        Union[tuple(tasks.values())],  # noqa: UP007
        tyro.conf.subcommand(name, description=_text(kind)),
    ]


def _listed(name: str, description: str) -> Any:
    return Annotated[_Listed, tyro.conf.subcommand(name, description=description)]


def _text(kind: type[Any]) -> str:
    return inspect.getdoc(kind) or ""


def _all_defaults() -> dict[str, _Defaults]:
    """Return the defaults of every task that can be imported, for a shell's completions."""
    found = {}
    for task in available_tasks():
        with contextlib.suppress(ModuliError):
            found[task] = _defaults(task, [])
    return found


def _defaults(task: str, arguments: Sequence[str]) -> _Defaults:
    """Return the defaults of a task's settings; some options decide on those of the others."""
    if task.startswith("-"):
        raise InvalidConfiguration(
            f"A task comes before its options, such as {task}; {suggestion(task, available_tasks())}"
        )
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--preset", nargs="?")
    early.add_argument("--protocol", nargs="?")
    early.add_argument("--config", nargs="?", type=Path)
    given = early.parse_known_args(arguments)[0]
    chosen = "demo" if given.preset is None else given.preset
    configuration = preset(task, chosen)
    _require_own_options(type(configuration.task))
    # A style that is none of the words, or an option without its value, is refused by tyro.
    style: PruningStyle | None = given.protocol if given.protocol in get_args(PruningStyle) else None
    if style is not None:
        configuration = with_style(configuration, style)
    if given.config is not None:
        configuration = read_toml(given.config, configuration)
    return _Defaults(configuration, chosen, style)


def _require_one_number(arguments: Sequence[str]) -> None:
    """Refuse several numbers where an option takes one, and name the option that takes several."""
    words = [part for argument in arguments for part in argument.split("=", 1)]
    for option, value in pairwise(words):
        if option in SEVERAL and "," in value:
            several = f"{SEVERAL[option]} of moduli compare takes several"
            raise InvalidConfiguration(f"{option} takes one number, got '{value}'; {several}.")


def _require_own_options(settings: type[Any]) -> None:
    """Refuse settings that would be options of the same names as others."""
    others = {"help", "protocol"}
    for kind in (CompareCommand, RunCommand, TrainingSettings, PruningSettings):
        others |= {field.name for field in fields(kind)}
    for field in fields(settings):
        if field.name in others:
            raise InvalidConfiguration(
                f"{settings.__name__}.{field.name} cannot be an option, because "
                f"--{field.name.replace('_', '-')} means something else already; rename the field."
            )
