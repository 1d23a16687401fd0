"""Tables with what is shown and what is sorted by, for the terminal and the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median_low

from moduli.tasks.experiments.comparisons.choices import WORDS, listed
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.comparisons.summary import Row, Summary
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.runs.run import label
from moduli.tasks.experiments.runs.stages import Stage, steps_to

COVERED = {
    "layer": "every weight matrix alone",
    "global": "all weight matrices together",
    "recurrent": (
        "every recurrent weight matrix alone; all other weights, such as those of an embedding or a decoder, "
        "stay dense"
    ),
    "erk": "all weight matrices together, small ones spared",
}
"""What is pruned, by scope."""


FEW = 4
"""Fewer seeds make intervals that may reach beyond what is possible."""


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

    @classmethod
    def steps(cls, steps: Sequence[int | None]) -> "Entry":
        """Show after how many steps something happened: the median, in which never is later than any step.

        Examples
        --------
        >>> [Entry.steps(steps).text for steps in ([1400, None, 1200], [1400, None, None], [None])]
        ['1,400, never in 1 of 3', 'never in 2 of 3', 'never']
        """
        median = median_low(math.inf if step is None else step for step in steps)
        never = steps.count(None)
        if never == len(steps):
            return cls("never", median)
        words = [f"{median:,}"] if median < math.inf else []
        words += [f"never in {never} of {len(steps)}"] if never else []
        return cls(", ".join(words), median)


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
    chosen = {setting: summary.chosen(setting) for setting in WORDS if any(summary.chosen(setting))}
    columns = ["method", *(WORDS[setting] for setting in chosen), "sparsity"]
    columns += [*(["recurrent"] if summary.several_matrices else []), "wiring", *summary.stages]
    columns += [f"{stage} − control" for stage in summary.stages if summary.compared]
    if summary.criterion is not None:
        columns += [f"{stage}: {steps_to(summary.criterion)}" for stage in summary.stages]
    all_steps = summary.steps_to_criterion or [{} for _ in summary.rows]
    count = len(summary.seeds)
    seeds = "1 seed" if count == 1 else f"{count} seeds, mean ± 95% interval"
    return Table(
        f"{summary.score_name}, {seeds}",
        columns,
        [
            [
                Entry.word(name),
                *(Entry.number(choice.chosen if choice else None, "{:.10g}") for choice in choices),
                *_entries(row, summary),
                *(Entry.steps(steps[stage]) for stage in steps),
            ]
            for name, row, steps, *choices in zip(
                summary.names, summary.rows, all_steps, *chosen.values(), strict=True
            )
        ],
    )


def notes(summary: Summary) -> list[str]:
    """Return what must be known of a table: what was pruned and tuned, and what steps to a criterion are."""
    found = []
    scope = (summary.configuration.get("pruning") or {}).get("scope")
    if scope in COVERED:
        found.append(f"Pruned: {COVERED[scope]}.")
    for setting in WORDS:
        found += _on_choices(setting, summary)
    if summary.criterion is not None:
        found.append(
            f"{steps_to(summary.criterion).capitalize()}: the first step at which a validation was at or "
            "below that, perhaps before anything was cut; the median over seeds."
        )
    return found


def _on_choices(setting: Tuned, summary: Summary) -> list[str]:
    """Return by what rows were given their learning rates or strengths, and where others should be tried."""
    labelled = zip(summary.labels, summary.chosen(setting), strict=True)
    choices = {name: choice for name, choice in labelled if choice}
    words, found = WORDS[setting], []
    ways = {name: (tuple(choice.tried), len(choice.seeds)) for name, choice in choices.items()}
    for tried, count in dict.fromkeys(ways.values()):
        rows = [name for name, way in ways.items() if way == (tried, count)]
        whose = "" if len(rows) == len(ways) else f" of {_listed(rows)}"
        found.append(
            f"{words.capitalize()}{whose}: of {listed(tried)} the one with the best last validation, the "
            f"mean of {count} seeds that are not in this table."
        )
    for value in sorted({value for choice in choices.values() for value in choice.diverged}):
        rows = [name for name, choice in choices.items() if value in choice.diverged]
        found.append(f"With the {words} {listed([value])} the training of {_listed(rows)} diverged.")
    for edge in ("smallest", "largest"):
        rows = [name for name, choice in choices.items() if choice.edge == edge]
        if rows:
            found.append(f"The {edge} {words} was the best of {_listed(rows)}: try further ones.")
    return found


def meanings(summary: Summary) -> list[str]:
    """Return what the columns and words of a table mean, of those that it has."""
    found = ["Lower scores are better. Sparsity: the share of zeros in all pruned weights."]
    if summary.several_matrices:
        found.append("Recurrent: zeros in the recurrent matrices, which are a part of what is pruned.")
    if "ticket" in summary.stages:
        found.append("Ticket: the same masks and fresh weights.")
    found.append("Wiring: mean distance that surviving recurrent weights bridge, relative to chance.")
    for row in summary.rows:
        for matrix, zeros in row.matrices.items():
            count, seeds = zeros.count(1.0), len(zeros)
            if count:
                where = f" in {count} of {seeds} seeds" if seeds > 1 else ""
                found.append(f"{row.label}: nothing is left of {matrix}{where}.")
    if summary.floor is not None and summary.ignorance is not None:
        found.append("In brackets: the share of the way from the floor to what ignorance reaches.")
    if any(any(summary.void(row, stage)) for row in summary.rows for stage in summary.stages):
        found.append(f"Void: not better than {summary.ignorance or 'any number'}; nothing was learned.")
    if summary.compared:
        found.append(
            f"Control: {summary.control}. Differences from it are taken seed by seed; below 0 is better."
        )
    elif len(summary.rows) > 1 and len(summary.seeds) > 1:
        found.append(
            f"No differences are tested: '{summary.control}' is not among the methods; --control METHOD "
            "names one of them to compare the others with."
        )
    if summary.contrasts:
        together = "all tests together" if summary.family == "table" else "each kind of network alone"
        found.append(f"d: Cohen's d of paired differences. Corrected: by Holm's method, {together}.")
    if 1 < len(summary.seeds) < FEW:
        found.append(f"With {len(summary.seeds)} seeds intervals are wide; --seeds 5 makes them narrower.")
    return found


def contrast_table(summary: Summary) -> Table:
    """Return the tests of the differences from the control; no rows where there are none."""
    columns = ["method", "network", "− control", "d", "p", "corrected"]
    columns += ["beyond the margin", "corrected"] if summary.margin is not None else []
    columns += ["seeds needed", "verdict"]
    rows = []
    for found in summary.contrasts or ():
        difference = Entry("", math.inf)
        if found.difference is not None:
            text = Estimate(found.difference, found.half_width).text(summary.decimals + 1, sign=True)
            difference = Entry(text, found.difference)
        tests = [found.p, found.corrected_p]
        if summary.margin is not None:
            tests += [found.equivalence_p, found.corrected_equivalence_p]
        verdict = found.verdict
        if found.void:
            verdict += f", {found.void} void"
        if found.rank_p is not None:
            verdict += f", ranks {_p(found.rank_p)}"
        rows.append([
            Entry.word(label(found.method, found.sparsity)),
            Entry.word(found.stage),
            difference,
            Entry.number(found.effect, "{:+.2f}"),
            *(Entry("" if p is None else _p(p), math.inf if p is None else p) for p in tests),
            Entry.number(found.seeds_needed, "{:,}"),
            Entry.word(verdict),
        ])  # fmt: skip
    margin = "" if summary.margin is None else f", margin {summary.margin:g}"
    return Table(f"Differences from the control, {summary.control}, seed by seed{margin}", columns, rows)


def reference_table(summary: Summary) -> Table:
    """Return the scores that need no network."""
    rows = [
        [Entry.word(name), Entry.estimate(values, summary.decimals)]
        for name, values in summary.references.items()
    ]
    return Table("Without any network", ["reference", summary.score_name], rows)


def shortness(summary: Summary) -> str | None:
    """Return what to say where references outdo networks, as in smoke runs; None where there is nothing."""
    rows, references = summary.outdone
    if not rows:
        return None
    who = _listed(rows) if len(rows) < 4 else f"{len(rows)} of {len(set(summary.names))} kinds of network"
    when = ", trained or as tickets" if "ticket" in summary.stages else ""
    return (
        f"{who} did worse than {_listed(references)}, without any network{when}; the training may be too "
        "short to conclude from."
    )


def _listed(names: Sequence[str]) -> str:
    """Join names by commas, and the last one by "and"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _entries(row: Row, summary: Summary) -> list[Entry]:
    entries = [Entry.number(row.sparsity, "{:.1%}")]
    if summary.several_matrices:
        entries.append(Entry.number(row.recurrent_sparsity, "{:.2%}"))
    entries.append(Entry.number(row.mean_wiring, "{:.0%}"))
    entries += [_score(row, summary, stage) for stage in summary.stages]
    if summary.compared:
        differences = row.difference or {}
        entries += [
            Entry.estimate(differences.get(stage), summary.decimals, sign=True) for stage in summary.stages
        ]
    return entries


def _score(row: Row, summary: Summary, stage: Stage) -> Entry:
    """Show a score, its share of the way from the floor to ignorance, and how many runs are void."""
    entry = Entry.estimate(row.scores[stage], summary.decimals)
    share, void = summary.share(row, stage), sum(summary.void(row, stage))
    words = [] if share is None else [f"{mean(share):.0%}"]
    words += [f"{void} void"] if void else []
    return Entry(f"{entry.text} ({', '.join(words)})" if words else entry.text, entry.value)


def _p(value: float) -> str:
    """Show a p value.

    Examples
    --------
    >>> _p(0.0312), _p(0.00002)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
