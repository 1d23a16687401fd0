"""What a comparison shows on a terminal: progress while it runs, and its table."""

import time
from statistics import mean
from typing import Any

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from moduli.tasks.comparison import Comparison, Estimate
from moduli.tasks.protocol import STAGES, Run
from moduli.tasks.runs import read_metrics


class Progress:
    """The state of all runs of a comparison, read from their folders each time it is drawn.

    Parameters
    ----------
    comparison : Comparison
        What is being carried out.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.started = time.monotonic()

    def __rich__(self) -> Group:
        """Draw one line a run."""
        table = Table.grid(padding=(0, 2))
        for _ in range(8):
            table.add_column(no_wrap=True)
        for run in self.comparison.runs:
            table.add_row(*self._line(run))
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        return Group(
            table, Text(f"{minutes}:{seconds:02d}  Ctrl-C stops; the same command continues.", "dim")
        )

    def _line(self, run: Run) -> list[Any]:
        stage = "ticket" if (run.stage("trained") / "results.json").exists() else "trained"
        rows = read_metrics(run.stage(stage))
        total = self.comparison.configuration.training.steps
        name = [run.method, f"seed {run.seed}", stage]
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
            f"loss {last['loss']:.2f}",
            f"validation {last['validation']:.1f}",
        ]


def result_table(summary: dict[str, Any]) -> Table:
    """Return the table of a comparison.

    Parameters
    ----------
    summary : dict
        What ``Comparison.summarize`` returned.
    """
    count = len(summary["seeds"])
    seeds = "1 seed" if count == 1 else f"{count} seeds, mean ± 95% interval"
    table = Table(title=f"{summary['score_name']}, {seeds}", title_justify="left")
    table.add_column("method")
    table.add_column("sparsity", justify="right")
    table.add_column("wiring", justify="right")
    for stage in STAGES:
        table.add_column(stage, justify="right")
    for row in summary["rows"]:
        scores = [str(Estimate.of(row[stage])) for stage in STAGES]
        wiring = "" if None in row["wiring"] else f"{mean(row['wiring']):.0%}"
        table.add_row(row["method"], f"{row['sparsity']:.1%}", wiring, *scores)
    table.add_section()
    for name, values in summary["references"].items():
        table.add_row(name, "", "", str(Estimate.of(values)), "")
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
    console.print(
        f"Pruned: {covered}, to {pruning.sparsity:.1%} zeros. A ticket has the same mask and fresh weights."
    )
    console.print("Wiring: mean distance that surviving recurrent weights bridge, relative to chance.")
    if len(comparison.seeds) == 1:
        console.print("One seed says little: --seeds 5 gives intervals, and keeps what is here.")
    console.print(f"Results, weights and figures: {comparison.folder}")
