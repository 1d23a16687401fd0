"""What a comparison shows on a terminal: progress while it runs, and its table."""

import time
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from moduli.tasks.experiments.comparison import Comparison, label
from moduli.tasks.experiments.estimates import Estimate, decimals_of_table
from moduli.tasks.experiments.metrics import read_metrics
from moduli.tasks.experiments.protocol import STAGES, Run

MOST_LINES = 16


class Progress:
    """The state of the runs of a comparison, read from their folders each time it is drawn.

    Parameters
    ----------
    comparison : Comparison
        What is being carried out.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.runs = comparison.runs
        self.started = time.monotonic()

    def __rich__(self) -> Group:
        """Draw one line for each run under way, and of the others as many as there is room for."""
        waiting: list[Run] = []
        busy: list[Run] = []
        done: list[Run] = []
        for run in self.runs:
            if (run.stage("ticket") / "results.json").exists():
                done.append(run)
            else:
                (busy if run.folder.exists() else waiting).append(run)
        shown = (busy + done[::-1] + waiting)[:MOST_LINES]
        table = Table.grid(padding=(0, 2))
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
        stage = "ticket" if (run.stage("trained") / "results.json").exists() else "trained"
        rows = read_metrics(run.stage(stage))
        total = run.configuration.training.steps
        pruning = run.pruning
        name = [label(run.method_name, pruning.sparsity if pruning else 0.0), f"seed {run.seed}", stage]
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


def result_table(summary: dict[str, Any]) -> Table:
    """Return the table of a comparison.

    Parameters
    ----------
    summary : dict
        What ``Comparison.summarize`` returned.
    """
    rows = summary["rows"]
    decimals = decimals_of_table(summary)
    control = summary["control"]
    compared = any(row["difference"] for row in rows)
    count = len(summary["seeds"])
    seeds = "1 seed" if count == 1 else f"{count} seeds, mean ± 95% interval"
    table = Table(title=f"{summary['score_name']}, {seeds}", title_justify="left")
    table.add_column("method", no_wrap=True)
    # Where several matrices are pruned together, a nearly empty recurrent one hides in their mean.
    several = any(len(row["matrices"]) > 1 for row in rows)
    columns = ["sparsity", *(["recurrent"] if several else []), "wiring", *STAGES]
    for name in columns + [f"{stage} − {control}" for stage in STAGES if compared]:
        table.add_column(name, justify="right")
    for row in rows:
        wiring = "" if None in row["wiring"] else f"{mean(row['wiring']):.0%}"
        scores = [Estimate.of(row[stage]).text(decimals) for stage in STAGES]
        differences = [
            Estimate.of(row["difference"][stage]).text(decimals, sign=True) if row["difference"] else ""
            for stage in STAGES
            if compared
        ]
        recurrent = [_recurrent_sparsity(row["matrices"])] if several else []
        table.add_row(row["method"], f"{row['sparsity']:.1%}", *recurrent, wiring, *scores, *differences)
    return table


def _recurrent_sparsity(matrices: Mapping[str, Sequence[float]]) -> str:
    """Return the mean fraction of zeros in recurrent matrices, all of which have one size."""
    zeros = [value for name, values in matrices.items() if "weight_hh" in name for value in values]
    return f"{mean(zeros):.2%}" if zeros else ""


def reference_table(summary: dict[str, Any]) -> Table:
    """Return the scores that need no network.

    Parameters
    ----------
    summary : dict
        What ``Comparison.summarize`` returned.
    """
    table = Table.grid(padding=(0, 2))
    for name, values in summary["references"].items():
        table.add_row(name, Estimate.of(values).text(decimals_of_table(summary)))
    return table


def print_summary(console: Console, comparison: Comparison, summary: dict[str, Any]) -> None:
    """Print the table, what it rests on, and where the files are."""
    pruning = comparison.configuration.pruning
    covered = {
        "layer": "every weight matrix alone",
        "global": "all weight matrices together",
        "recurrent": "every recurrent weight matrix alone",
        "erk": "all weight matrices together, small ones spared",
    }[pruning.scope]
    console.print(result_table(summary))
    console.print(reference_table(summary))
    console.print(f"Pruned: {covered}. A ticket has the same masks and fresh weights.")
    if any(len(row["matrices"]) > 1 for row in summary["rows"]):
        console.print("Recurrent: zeros in the recurrent matrices, which are a part of what is pruned.")
    for cell, row in zip(comparison.cells, summary["rows"], strict=True):
        for matrix, zeros in row["matrices"].items():
            if 1.0 in zeros:
                count, seeds = zeros.count(1.0), len(zeros)
                where = f" in {count} of {seeds} seeds" if seeds > 1 else ""
                console.print(f"{label(*cell)}: nothing is left of {matrix}{where}.")
    console.print("Wiring: mean distance that surviving recurrent weights bridge, relative to chance.")
    if any(row["difference"] for row in summary["rows"]):
        console.print(f"Differences from {comparison.control} are taken seed by seed; below 0 is better.")
    if len(comparison.seeds) == 1:
        console.print("One seed says little: --seeds 5 gives intervals, and keeps what is here.")
    console.print(f"Results, weights and figures: {comparison.folder}")
