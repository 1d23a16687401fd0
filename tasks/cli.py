"""The command line ``moduli``.

Whatever imports torch is imported when a command runs, so that help appears at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from moduli.tasks.configuration import Configuration
from moduli.tasks.presets import METHODS, PRESETS

EXIT_BROKEN = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

Preset = Literal["demo", "smoke"]


@dataclass(frozen=True)
class Experiment:
    """What every command that trains has in common."""

    task: tyro.conf.Positional[Literal["navigation"]]
    """The task."""
    configuration: Configuration
    preset: Preset
    """Where the settings below come from: demo takes four minutes on two cores, smoke half of one."""
    jobs: int | None = None
    """Runs at once; as many as there are processor cores when not given."""
    device: str = "cpu"
    """PyTorch device."""
    out: Path = Path("runs")
    """Folder in which the folder of this experiment is made."""


@dataclass(frozen=True)
class Compare(Experiment):
    """Compare methods on a task, each with its lottery ticket.

    Example: moduli compare navigation --methods dense,none,l1,torus-dog --seeds 5
    """

    methods: str = ",".join(METHODS)
    """Names with commas between: dense, none, l1, MANIFOLD-INHIBITOR, permuted-MANIFOLD-INHIBITOR."""
    seeds: int = 1
    """Number of seeds; more than one gives 95% intervals."""


@dataclass(frozen=True)
class Run(Experiment):
    """Run one method on a task, and its lottery ticket.

    Example: moduli run navigation --method torus-diffusion --seed 3
    """

    method: str = "torus-diffusion"
    """dense, none, l1, MANIFOLD-INHIBITOR or permuted-MANIFOLD-INHIBITOR."""
    seed: int = 0
    """Seed of data, weights and embedding."""


@dataclass(frozen=True)
class Check:
    """Check that a manifold is a metric space; exit with 1 if a clause is broken.

    Example: moduli check torus --kwargs dim=3 period=2.5

    Example: moduli check my_package.my_module:Cylinder --kwargs height=2.0
    """

    target: tyro.conf.Positional[str]
    """A registered name, or package.module:Class."""
    kwargs: tuple[str, ...] = ()
    """The constructor's arguments as name=value."""
    cases: int | None = None
    """Triples of points that each clause tries; more is more thorough."""


@dataclass(frozen=True)
class List:
    """List the manifolds, or the regularizers, that are known by name.

    Example: moduli list manifolds
    """

    what: tyro.conf.Positional[Literal["manifolds", "regularizers"]] = "manifolds"
    """What to list."""


Command = Compare | Run | Check | List


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out a command; exit with 1 if a check fails, 2 after a mistake, and 130 after Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; ``sys.argv`` when absent.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _carry_out(_parse(given or ["--help"]))
    except KeyboardInterrupt:
        print("Interrupted. The same command continues where this one stopped.", file=sys.stderr)
        # Worker processes may still be busy with their last step; nothing waits for them.
        os._exit(EXIT_INTERRUPTED)
    except Exception as error:
        from moduli.manifolds import ModuliError

        if not isinstance(error, ModuliError):
            raise
        print(f"moduli: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)


def _parse(arguments: list[str]) -> Command:
    # A preset is chosen by an option and sets the defaults of the other options: it is read first.
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--preset", default="demo")
    given = early.parse_known_args(arguments)[0].preset
    preset: Preset = "smoke" if given == "smoke" else "demo"  # tyro refuses any other word below
    compare = Compare("navigation", PRESETS["navigation"][preset], preset)
    run = Run("navigation", PRESETS["navigation"][preset], preset)
    return tyro.cli(
        Annotated[Compare, tyro.conf.subcommand("compare", default=compare)]
        | Annotated[Run, tyro.conf.subcommand("run", default=run)]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[List, tyro.conf.subcommand("list")],
        prog="moduli",
        description="Sparse recurrent networks by geometry.",
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,),
    )


def _carry_out(command: Command) -> None:
    if isinstance(command, Check):
        from moduli.manifolds.commands import check_command

        report = check_command(command.target, command.kwargs, command.cases)
        print(report)
        if not report.passed:
            sys.exit(EXIT_BROKEN)
    elif isinstance(command, List):
        print(_listing(command.what))
    else:
        _experiment(command)


def _listing(what: Literal["manifolds", "regularizers"]) -> str:
    if what == "manifolds":
        from moduli.manifolds.commands import list_command

        return list_command()
    from moduli.regularizers import registered_regularizers

    classes = registered_regularizers()
    width = max(map(len, classes))
    return "\n".join(
        f"{name:<{width}}  {(cls.__doc__ or '').partition(chr(10))[0]}"
        for name, cls in sorted(classes.items())
    )


def _experiment(command: Compare | Run) -> None:
    from rich.console import Console
    from rich.live import Live

    from moduli.tasks.comparison import Comparison
    from moduli.tasks.display import Progress, print_summary
    from moduli.tasks.figures.comparison import draw_comparison

    if isinstance(command, Compare):
        methods, seeds = command.methods.split(","), range(command.seeds)
    else:
        methods, seeds = [command.method], range(command.seed, command.seed + 1)
    comparison = Comparison(command.configuration, methods, seeds, _folder(command))
    jobs = min(command.jobs or os.cpu_count() or 1, len(comparison.runs))
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(f"{len(comparison.runs)} runs, {jobs} at once, in {comparison.folder}")
    with Live(Progress(comparison), console=console, refresh_per_second=2, transient=True):
        results = list(comparison.carry_out(jobs, command.device))
    summary = comparison.summarize(results)
    draw_comparison(comparison, summary)
    print_summary(console, comparison, summary)


def _folder(command: Compare | Run) -> Path:
    """Return the folder of an experiment, in which no other experiment's results are."""
    name = f"{command.task}-{command.preset}"
    if isinstance(command, Run):
        name += f"-{command.method}-seed-{command.seed}"
    changed = command.configuration != PRESETS[command.task][command.preset]
    return command.out / (f"{name}-{command.configuration.digest()}" if changed else name)
