"""What a comparison shows on a terminal: progress while it runs, and its table."""

import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import Any

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table as RichTable
from rich.text import Text

from moduli.tasks.experiments.comparisons.choices import SHORT, WORDS
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.run_folder import is_finished
from moduli.tasks.experiments.runs.stages import STAGES, Stage
from moduli.tasks.report.table import (
    Table,
    contrast_table,
    meanings,
    notes,
    reference_table,
    score_table,
    shortness,
)

MOST_LINES = 16


class Progress:
    """The state of runs, read from their folders each time it is drawn.

    Parameters
    ----------
    runs : sequence of Run
        What is being carried out.
    stages : sequence of str
        Which stages of each.
    """

    def __init__(self, runs: Sequence[Run], stages: Sequence[Stage] = STAGES) -> None:
        self.runs = runs
        self.stages = stages
        self._differing = _differing(runs)
        self.started = time.monotonic()

    def __rich__(self) -> Group:
        """Draw one line for each run under way, and of the others as many as there is room for."""
        waiting: list[Run] = []
        busy: list[Run] = []
        done: list[Run] = []
        for run in self.runs:
            if run.finished(self.stages):
                done.append(run)
            else:
                (busy if run.folder.exists() else waiting).append(run)
        shown = (busy + done[::-1] + waiting)[:MOST_LINES]
        table = RichTable.grid(padding=(0, 2))
        for _ in range(8):
            table.add_column(no_wrap=True)
        for run in self.runs:
            if run in shown:
                table.add_row(*self._line(run))
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return Group(
            table,
            Text(
                f"{len(done)} of {len(self.runs)} runs done, {minutes}:{seconds:02d}  "
                "Ctrl-C stops; the same command continues.",
                "dim",
            ),
        )

    def _line(self, run: Run) -> list[Any]:
        stage = next((stage for stage in self.stages if not run.finished([stage])), self.stages[-1])
        rows = read_metrics(run.stage(stage))
        total = run.configuration.training.steps
        name = [run.label, _distinction(run, self._differing), stage]
        if not rows:
            return [*name, ProgressBar(total=total, completed=0, width=20), f"0/{total}", "", "", ""]
        last, before = rows[-1], rows[-2] if len(rows) > 1 else {"step": 0.0, "seconds": 0.0}
        elapsed = last["seconds"] - before["seconds"]
        rate = (last["step"] - before["step"]) / elapsed if elapsed > 0 else 0.0
        return [
            *name,
            ProgressBar(total=total, completed=last["step"], width=20),
            f"{last['step']:.0f}/{total}",
            "done" if last["step"] == total else f"{rate:.0f} steps/s",
            f"loss {last['loss']:.3g}",
            f"validation {last['validation']:.4g}",
        ]


class Announcements:
    """One line for each network that is done, where nothing can be drawn: output to a file, for instance.

    Parameters
    ----------
    console : Console
        Where to print.
    runs : sequence of Run
        What is being carried out.
    stages : sequence of str
        Which stages of each.
    """

    def __init__(self, console: Console, runs: Sequence[Run], stages: Sequence[Stage] = STAGES) -> None:
        self._console = console
        differing = _differing(runs)
        self._waiting = {
            run.stage(stage): f"{run.label}, {_distinction(run, differing)}, {stage}"
            for run in runs
            for stage in stages
        }
        self._count = len(self._waiting)
        self._over = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._waiting = {path: name for path, name in self._waiting.items() if not is_finished(path)}
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._announce()

    def _watch(self) -> None:
        while not self._over.wait(2):
            self._announce()

    def _announce(self) -> None:
        for path in [path for path in self._waiting if is_finished(path)]:
            name = self._waiting.pop(path)
            done = self._count - len(self._waiting)
            self._console.print(f"{done} of {self._count} networks: {name} is done", style="dim")


def _differing(runs: Sequence[Run]) -> list[Tuned]:
    """Return the settings that not all runs have the same value of."""
    return [setting for setting in WORDS if len({run.configuration.value_of(setting) for run in runs}) > 1]


def _distinction(run: Run, differing: Sequence[Tuned]) -> str:
    """Return what tells a run from others of its method: its seed, and settings where they differ."""
    values = (
        f"{SHORT[setting]} {run.configuration.value_of(setting):.10g}"
        for setting in differing
        if setting == "learning_rate" or run.method.penalised
    )
    return ", ".join([f"seed {run.seed}", *values])


def result_table(summary: Summary) -> RichTable:
    """Return the table of a comparison.

    Parameters
    ----------
    summary : Summary
        What ``Comparison.summarize`` returned.
    """
    return _framed(score_table(summary))


def _framed(table: Table) -> RichTable:
    shown = RichTable(title=table.title, title_justify="left")
    shown.add_column(table.columns[0], no_wrap=True)
    for name in table.columns[1:]:
        shown.add_column(name, justify="right", overflow="fold")
    for row in table.rows:
        shown.add_row(*(entry.text for entry in row))
    return shown


def _grid(table: Table) -> RichTable:
    shown = RichTable.grid(padding=(0, 2))
    for row in table.rows:
        shown.add_row(*(entry.text for entry in row))
    return shown


def print_summary(console: Console, comparison: Comparison, summary: Summary) -> None:
    """Print the table, what it rests on, and where the files are."""
    console.print(result_table(summary))
    console.print(_grid(reference_table(summary)))
    if summary.contrasts:
        console.print(_framed(contrast_table(summary)))
    for note in notes(summary):
        console.print(note)
    for meaning in meanings(summary):
        console.print(meaning)
    if (short := shortness(summary)) is not None:
        console.print(short)
    if len(comparison.seeds) == 1:
        console.print("One seed says little: --seeds 5 gives intervals, and keeps what is here.")
    console.print(f"Results, weights and figures: {comparison.folder}")
