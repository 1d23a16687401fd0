"""`moduli compare` and `moduli run`."""

import dataclasses
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
from moduli.tasks.experiments.comparisons.choices import SHORT, WORDS
from moduli.tasks.experiments.comparisons.comparison import Comparison, usual_control
from moduli.tasks.experiments.comparisons.search import SettingSearch
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.presets import presets_of, with_style
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.configuration.toml_files import write_toml
from moduli.tasks.experiments.methods import split_methods
from moduli.tasks.experiments.runs.run import Run, readable
from moduli.tasks.experiments.runs.stages import Stage
from moduli.tasks.experiments.training.devices import resolved
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.report.terminal import Announcements, Progress, print_summary

SHARING = 6
"""Runs that share an accelerator. They take turns, and six took 1.7 times the steps a second of twelve."""


def execute(command: CompareCommand | RunCommand, arguments: Sequence[str]) -> bool:
    """Carry out all runs, print their table and draw their figures; or print the settings alone."""
    comparison = _comparison(command)
    searches = _searches(command, comparison)
    if command.print_config:
        print(write_toml(command.configuration), end="")
        return True
    require(command.jobs is None or command.jobs > 0, "jobs", "positive", command.jobs)
    most = max(len(runs) for runs in [comparison.runs, *(each.runs for each in searches)])
    on_cpu = resolved(command.device).startswith("cpu")
    jobs, threads = _shared_out(1 if command.devices > 1 else command.jobs, most, on_cpu)
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
    for each in searches:
        search = dataclasses.replace(each, comparison=comparison)  # with what was chosen before
        words = f"{len(search.runs)} networks to choose {WORDS[search.setting]}s by"
        console.print(f"{words}, {where}, in {command.out}")
        with _progress(console, search.runs, ("trained",)):
            comparison = search.carry_out(jobs, execution, command.dask)
        for choice in comparison.choices:
            if choice.setting == search.setting:
                console.print(str(choice))
    count = len(comparison.runs)
    console.print(f"{count} {'run' if count == 1 else 'runs'}, {where}, in {command.out}")
    with _progress(console, comparison.runs, comparison.stages):
        results = comparison.carry_out(jobs, execution, command.dask)
    summary = comparison.summarize(results, f"moduli {shlex.join(arguments)}")
    print_summary(console, comparison, summary)
    if command.json:
        print(json.dumps(summary.as_dict(), indent=2, default=str))
    draw_comparison(comparison, summary)
    return True


def _progress(console: Console, runs: Sequence[Run], stages: Sequence[Stage]) -> Live | Announcements:
    """Return what shows how far runs are, on a terminal or in a file."""
    if console.is_terminal:
        return Live(Progress(runs, stages), console=console, refresh_per_second=2, transient=True)
    return Announcements(console, runs, stages)


def _shared_out(jobs: int | None, runs: int, on_cpu: bool = True) -> tuple[int, int]:
    """Return how many runs are carried out at once, and the threads of each.

    Together they take the processors that this process was granted; OMP_NUM_THREADS limits each. Unless told
    otherwise, few share an accelerator.
    """
    processors: int = joblib.cpu_count()
    jobs = min(jobs or (processors if on_cpu else min(processors, SHARING)), runs)
    return jobs, max(1, min(processors // jobs, torch.get_num_threads()))


def _comparison(command: CompareCommand | RunCommand) -> Comparison:
    name = _folder_name(command)
    if isinstance(command, RunCommand):
        return Comparison(
            command.configuration,
            [command.method],
            [command.seed],
            command.out,
            name,
            tickets=command.tickets,
        )
    methods = split_methods(command.methods)
    return Comparison(
        command.configuration,
        methods,
        range(command.first_seed, command.first_seed + command.seeds),
        command.out,
        name,
        _numbers("sparsities", command.sparsities, "0.9,0.98"),
        command.control or usual_control(methods),
        command.margin,
        command.family,
        tickets=command.tickets,
    )


def _searches(command: CompareCommand | RunCommand, comparison: Comparison) -> list[SettingSearch]:
    """Return the searches for learning rates and strengths, where several are given, in this order."""
    return [SettingSearch(comparison, setting, values) for setting, values in _tried(command).items()]


def _tried(command: CompareCommand | RunCommand) -> dict[Tuned, list[float]]:
    """Return the learning rates and the strengths that each method chooses from."""
    if isinstance(command, RunCommand):
        return {}
    rates, strengths = command.learning_rates, command.strengths
    tried: dict[Tuned, list[float]] = {}
    if rates:
        tried["learning_rate"] = _numbers("learning-rates", rates, "1e-3,4e-3")
    if strengths:
        tried["strength"] = _numbers("strengths", strengths, "1,10")
    return tried


def _numbers(option: str, text: str, example: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",") if word.strip()]
    except ValueError:
        raise InvalidConfiguration(
            f"--{option} takes numbers with commas between, such as {example}; got '{text}'."
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
    for setting, values in _tried(command).items():
        tried = ",".join(repr(value).replace("+", "") for value in sorted(values))
        words += [f"{SHORT[setting]}s", tried]
    if command.configuration != usual:
        words.append(command.configuration.digest())
    return readable("-".join(words))
