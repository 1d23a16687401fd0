"""`moduli compare` and `moduli run`."""

import json
import shlex
import signal
import sys
from collections.abc import Sequence

import joblib
import torch
from rich.console import Console
from rich.live import Live

from moduli.errors import InvalidConfiguration
from moduli.requirements import require
from moduli.tasks.command_line.commands import CompareCommand, RunCommand
from moduli.tasks.experiments.comparison import Comparison, usual_control
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.methods import split_methods
from moduli.tasks.experiments.presets import presets_of, with_style
from moduli.tasks.experiments.run import readable
from moduli.tasks.experiments.toml_files import write_toml
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.report.terminal import Announcements, Progress, print_summary


def execute(command: CompareCommand | RunCommand, arguments: Sequence[str]) -> bool:
    """Carry out all runs, print their table and draw their figures; or print the settings alone."""
    if command.print_config:
        print(write_toml(command.configuration), end="")
        return True
    comparison = _comparison(command)
    require(command.jobs is None or command.jobs > 0, "jobs", "positive", command.jobs)
    jobs, threads = _shared_out(1 if command.devices > 1 else command.jobs, len(comparison.runs))
    execution = Execution(
        command.device,
        command.devices,
        threads,
        command.checkpoint_seconds,
        command.tensorboard,
        command.logger,
        command.verify,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as after Ctrl-C, what there is is saved
    console = Console(width=None if sys.stdout.isatty() else 160, quiet=command.json, markup=False)
    where = f"on {command.dask}" if command.dask else f"{jobs} at once"
    count = len(comparison.runs)
    console.print(f"{count} {'run' if count == 1 else 'runs'}, {where}, in {command.out}")
    progress = (
        Live(Progress(comparison), console=console, refresh_per_second=2, transient=True)
        if console.is_terminal
        else Announcements(console, comparison)
    )
    with progress:
        results = comparison.carry_out(jobs, execution, command.dask)
    summary = comparison.summarize(results, f"moduli {shlex.join(arguments)}")
    print_summary(console, comparison, summary)
    if command.json:
        print(json.dumps(summary.as_dict(), indent=2, default=str))
    draw_comparison(comparison, summary)
    return True


def _shared_out(jobs: int | None, runs: int) -> tuple[int, int]:
    """Return how many runs are carried out at once, and the threads of each.

    Together they take the processors that this process was granted; OMP_NUM_THREADS limits each.
    """
    processors: int = joblib.cpu_count()
    jobs = min(jobs or processors, runs)
    return jobs, max(1, min(processors // jobs, torch.get_num_threads()))


def _comparison(command: CompareCommand | RunCommand) -> Comparison:
    name = _folder_name(command)
    if isinstance(command, RunCommand):
        return Comparison(command.configuration, [command.method], [command.seed], command.out, name)
    methods = split_methods(command.methods)
    return Comparison(
        command.configuration,
        methods,
        range(command.first_seed, command.first_seed + command.seeds),
        command.out,
        name,
        _numbers(command.sparsities),
        command.control or usual_control(methods),
        command.margin,
        command.family,
    )


def _numbers(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InvalidConfiguration(
            f"--sparsities takes numbers with commas between, such as 0.9,0.98; got '{text}'."
        ) from None


def _folder_name(command: CompareCommand | RunCommand) -> str:
    """Return the name of an experiment's folder, in which no other experiment's table is."""
    settings = command.configuration.task
    words: list[str] = [settings.name, command.preset]
    usual = presets_of(type(settings))[command.preset]
    if command.style is not None:
        words.append(f"{command.style}-protocol")
        usual = with_style(usual, command.style)
    if isinstance(command, RunCommand):
        words += [command.method, "seed", str(command.seed)]
    elif command.first_seed:
        words += ["seeds from", str(command.first_seed)]
    if command.configuration != usual:
        words.append(command.configuration.digest())
    return readable("-".join(words))
