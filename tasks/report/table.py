"""Tables with what is shown and what is sorted by, for the terminal and the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from moduli.tasks.experiments.estimates import Estimate
from moduli.tasks.experiments.stages import STAGES
from moduli.tasks.experiments.summary import Row, Summary


@dataclass(frozen=True)
class Entry:
    """One entry of a table.

    Parameters
    ----------
    text : str
        What is shown.
    value : float or str
        What the table is sorted by.
    """

    text: str
    value: float | str

    @classmethod
    def word(cls, text: str) -> "Entry":
        """Show a word."""
        return cls(text, text)

    @classmethod
    def number(cls, value: float | None, pattern: str) -> "Entry":
        """Show a number; nothing where there is none."""
        return cls("", float("inf")) if value is None else cls(pattern.format(value), value)

    @classmethod
    def estimate(cls, values: Sequence[float] | None, decimals: int, sign: bool = False) -> "Entry":
        """Show a mean with its interval; nothing where there are no values."""
        if values is None:
            return cls("", float("inf"))
        estimate = Estimate.of(values)
        return cls(estimate.text(decimals, sign), estimate.mean)


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    title : str
        What it shows.
    columns : list of str
        Their names; the first names the rows.
    rows : list of lists of Entry
        One entry a column.
    """

    title: str
    columns: list[str]
    rows: list[list[Entry]]


def score_table(summary: Summary) -> Table:
    """Return the table of a comparison: a row for each method and sparsity."""
    columns = ["method", "sparsity", *(["recurrent"] if summary.several_matrices else []), "wiring", *STAGES]
    columns += [f"{stage} − {summary.control}" for stage in STAGES if summary.compared]
    count = len(summary.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds, mean ± 95% interval"
    return Table(f"{summary.score_name}, {seeds}", columns, [_entries(row, summary) for row in summary.rows])


def reference_table(summary: Summary) -> Table:
    """Return the scores that need no network."""
    rows = [
        [Entry.word(name), Entry.estimate(values, summary.decimals)]
        for name, values in summary.references.items()
    ]
    return Table("Without any network", ["reference", summary.score_name], rows)


def _entries(row: Row, summary: Summary) -> list[Entry]:
    entries = [Entry.word(row.method), Entry.number(row.sparsity, "{:.1%}")]
    if summary.several_matrices:
        entries.append(Entry.number(row.recurrent_sparsity, "{:.2%}"))
    entries.append(Entry.number(row.mean_wiring, "{:.0%}"))
    entries += [Entry.estimate(row.scores(stage), summary.decimals) for stage in STAGES]
    if summary.compared:
        differences = row.difference or {}
        entries += [Entry.estimate(differences.get(stage), summary.decimals, sign=True) for stage in STAGES]
    return entries
