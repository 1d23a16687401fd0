"""The command line ``moduli``.

Whatever imports torch is imported when a command runs, so that help appears at once.
"""

import argparse
import dataclasses
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from moduli.requirements import require
from moduli.tasks.experiments.presets import METHODS, PRESETS, protocol
from moduli.tasks.experiments.settings import Configuration

EXIT_BROKEN = 1
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

TaskName = Literal["navigation", "language", "adding"]
Preset = Literal["demo", "small", "paper", "smoke"]
Protocol = Literal["recovery", "paper"]


@dataclass(frozen=True)
class Experiment:
    """What every command that trains has in common."""

    task: tyro.conf.Positional[TaskName]
    """The task."""
    configuration: Configuration
    preset: Preset
    """Where the settings below come from. demo: minutes on two cores; small: under an hour; paper: as
    published, for a GPU; smoke: seconds, too short to learn much."""
    protocol: Protocol | None = None
    """How networks are pruned, if not as the preset says. recovery: each recurrent matrix, with steps left
    to recover; paper: all matrices together, linearly over the last epoch, as published."""
    config: Path | None = None
    """TOML file with settings that replace the preset's; the options below replace both."""
    print_config: bool = False
    """Print all settings as TOML and stop."""
    jobs: int | None = None
    """Runs at once; as many as there are processor cores when not given."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers do the work, such as tcp://host:8786."""
    device: str = "cpu"
    """PyTorch device."""
    devices: int = 1
    """Devices that share each run, through Lightning Fabric."""
    checkpoint_seconds: float = 10.0
    """Seconds between two checkpoints of a run."""
    tensorboard: bool = False
    """Write metrics for TensorBoard as well."""
    out: Path = Path("runs")
    """Folder of all experiments."""
    json: bool = False
    """Print the results as JSON, and nothing else."""


@dataclass(frozen=True)
class Compare(Experiment):
    """Compare methods on a task, each with its lottery ticket.

    Example: moduli compare navigation --methods dense,none,l1,torus-dog --sparsities 0.9,0.98 --seeds 5
    """

    methods: str = ",".join(METHODS)
    """Names with commas between: dense, none, l1, MANIFOLD-INHIBITOR, MANIFOLD:EXPRESSION,
    permuted- or pair-permuted-MANIFOLD-INHIBITOR; NAME@SCOPE or NAME@SCHEDULE for one that has its own;
    NAME@free-diagonal, NAME@charged-diagonal, NAME@a-priori."""
    sparsities: str = ""
    """Fractions of zeros with commas between; the one below when not given."""
    seeds: int = 1
    """Number of seeds; more than one gives 95% intervals."""
    control: str = "none"
    """The method from which differences, seed by seed, are taken."""


@dataclass(frozen=True)
class Run(Experiment):
    """Run one method on a task, and its lottery ticket.

    Example: moduli run navigation --method torus-diffusion --seed 3
    """

    method: str = "torus-diffusion"
    """A method's name, as compare takes it."""
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
    json: bool = False
    """Print the verdicts as JSON."""


@dataclass(frozen=True)
class List:
    """List the manifolds, or the regularizers, that are known by name.

    Example: moduli list manifolds
    """

    what: tyro.conf.Positional[Literal["manifolds", "regularizers"]] = "manifolds"
    """What to list."""
    json: bool = False
    """Print names and descriptions as JSON."""


@dataclass(frozen=True)
class Report:
    """Write one HTML page about finished experiments: tables, figures, graphs, and how to repeat them.

    Example: moduli report runs/navigation-demo
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of comparisons, or of single networks."""
    output: Path | None = None
    """The page; report.html in the first folder when not given."""


Command = Compare | Run | Check | List | Report


def main(arguments: Sequence[str] | None = None) -> None:
    """Carry out a command; exit with 1 if a check fails, 2 after a mistake, and 130 when interrupted.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; ``sys.argv`` when absent.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _carry_out(_parse(given or ["--help"]), given)
    except BrokenPipeError:
        # The reader of a pipe has gone; Python would complain when it closes the output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN)
    except KeyboardInterrupt:
        print("Interrupted. The same command continues where this one stopped.", file=sys.stderr)
        # Worker processes may still be busy with their last step; nothing waits for them.
        os._exit(EXIT_INTERRUPTED)
    except Exception as error:
        from moduli.errors import ModuliError

        if not isinstance(error, ModuliError):
            raise
        print(f"moduli: {error}", file=sys.stderr)
        sys.exit(EXIT_MISTAKE)


def _parse(arguments: list[str]) -> Command:
    task = _task(arguments)
    base = _base(task, arguments)
    compare = Compare(task, base, "demo")
    run = Run(task, base, "demo")
    command: Command = tyro.cli(
        Annotated[Compare, tyro.conf.subcommand("compare", default=compare)]
        | Annotated[Run, tyro.conf.subcommand("run", default=run)]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[List, tyro.conf.subcommand("list")]
        | Annotated[Report, tyro.conf.subcommand("report")],
        prog="moduli",
        description=(
            "Sparse recurrent networks by geometry. Exit status: 0 done, 1 a check failed, 2 a mistake, "
            "130 interrupted. --tyro-print-completion {bash,zsh,tcsh} prints a shell's completions."
        ),
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.AvoidSubcommands),
    )
    if isinstance(command, Experiment) and command.task != task:
        from moduli.errors import InvalidConfiguration

        raise InvalidConfiguration(f"Name the task, '{command.task}', before all options.")
    return command


def _task(arguments: list[str]) -> TaskName:
    """Return the task that is named right after the command; its settings decide which options there are."""
    named = arguments[1] if len(arguments) > 1 else None
    return next((task for task in get_args(TaskName) if task == named), "navigation")


def _base(task: TaskName, arguments: list[str]) -> Configuration:
    """Return the defaults of the settings; some options decide on those of the others."""
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    early.add_argument("--preset", default="demo")
    early.add_argument("--protocol")
    early.add_argument("--config", type=Path)
    given = early.parse_known_args(arguments)[0]
    presets = PRESETS[task]
    # A word that is none of these is refused by the command line itself, with the choices.
    base = presets.get(given.preset, presets["demo"])
    if given.protocol in get_args(Protocol):
        pruning = dataclasses.replace(base.pruning, **protocol(given.protocol, task))
        base = dataclasses.replace(base, pruning=pruning)
    if given.config is None:
        return base
    from moduli.tasks.experiments.toml_files import read_toml

    return read_toml(given.config, base)


def _carry_out(command: Command, arguments: list[str]) -> None:
    if isinstance(command, Check):
        from moduli.tasks.checks import check_command

        report = check_command(command.target, command.kwargs, command.cases)
        print(_json(report.as_dict()) if command.json else report)
        if not report.passed:
            sys.exit(EXIT_BROKEN)
    elif isinstance(command, List):
        found = _catalogue(command.what)
        width = max(map(len, found))
        lines = (f"{name:<{width}}  {line}" for name, line in found.items())
        print(_json(found) if command.json else "\n".join(lines))
    elif isinstance(command, Report):
        from moduli.tasks.report import write_report

        print(write_report(command.folders, command.output))
    elif command.print_config:
        from moduli.tasks.experiments.toml_files import write_toml

        print(write_toml(command.configuration), end="")
    else:
        _experiment(command, arguments)


def _catalogue(what: Literal["manifolds", "regularizers"]) -> dict[str, str]:
    if what == "manifolds":
        from moduli.manifolds import available

        return dict(available())
    from moduli.regularizers import registered_regularizers

    return {
        name: (cls.__doc__ or "").partition("\n")[0]
        for name, cls in sorted(registered_regularizers().items())
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2, default=str)


def _experiment(command: Compare | Run, arguments: list[str]) -> None:
    from rich.console import Console
    from rich.live import Live

    from moduli.tasks.experiments.comparison import Comparison
    from moduli.tasks.experiments.execution import Execution
    from moduli.tasks.experiments.methods import split_methods
    from moduli.tasks.figures.comparison import draw_comparison
    from moduli.tasks.report.terminal import Progress, print_summary

    name = _name(command)
    if isinstance(command, Compare):
        comparison = Comparison(
            command.configuration,
            split_methods(command.methods),
            range(command.seeds),
            command.out,
            name,
            _numbers(command.sparsities),
            command.control,
        )
    else:
        comparison = Comparison(command.configuration, [command.method], [command.seed], command.out, name)
    require(command.jobs is None or command.jobs > 0, "jobs", "positive", command.jobs)
    jobs = 1 if command.devices > 1 else min(command.jobs or os.cpu_count() or 1, len(comparison.runs))
    execution = Execution(
        command.device,
        command.devices,
        max(1, (os.cpu_count() or 1) // jobs),
        command.checkpoint_seconds,
        command.tensorboard,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C, what there is is saved
    console = Console(width=None if sys.stdout.isatty() else 160, quiet=command.json)
    where = f"on {command.dask}" if command.dask else f"{jobs} at once"
    count = len(comparison.runs)
    console.print(f"{count} {'run' if count == 1 else 'runs'}, {where}, in {command.out}")
    with Live(Progress(comparison), console=console, refresh_per_second=2, transient=True):
        results = comparison.carry_out(jobs, execution, command.dask)
    summary = comparison.summarize(results, f"moduli {shlex.join(arguments)}")
    print_summary(console, comparison, summary)
    if command.json:
        print(_json(summary.as_dict()))
    draw_comparison(comparison, summary)


def _numbers(text: str) -> list[float]:
    from moduli.errors import InvalidConfiguration

    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InvalidConfiguration(
            f"--sparsities takes numbers with commas between, such as 0.9,0.98; got '{text}'."
        ) from None


def _name(command: Compare | Run) -> str:
    """Return the name of an experiment's folder, in which no other experiment's table is."""
    words: list[str] = [command.task, command.preset]
    if command.protocol is not None:
        words.append(f"{command.protocol}-protocol")
    if isinstance(command, Run):
        words += [command.method, "seed", str(command.seed)]
    options = [] if command.protocol is None else ["--protocol", command.protocol]
    if command.configuration != _base(command.task, ["--preset", command.preset, *options]):
        words.append(command.configuration.digest())
    return "-".join(words)
