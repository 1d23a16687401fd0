"""Test the differences of every table under results/ from its control, and write results/contrasts.csv.

    python benchmarks/retest.py

The tests are those that `moduli compare` makes: paired over seeds, corrected by Holm's method over the
whole table. What a table's own results.json tests is taken from there; tables of versions that did not
test are read again. Equivalence is tested where a page says it.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from moduli.tasks.experiments.comparisons.contrasts import Contrast, contrast, corrected
from moduli.tasks.experiments.comparisons.summary import Row, Summary, void_runs
from moduli.tasks.experiments.runs.files import write_csv

RESULTS = Path(__file__).parents[1] / "results"
MARGINS = {"navigation-never-dense": 0.3}
"""The tables of which a page says that methods are equivalent, and within what."""
STILL = "standing still at the start"


def tests(summary: Summary, margin: float | None) -> Iterator[Contrast]:
    """Yield the contrast of every row with the control at its sparsity, or with the only one there is."""
    controls = [row for row in summary.rows if row.method == summary.control]
    still = summary.references.get(STILL)
    for row in summary.rows:
        same = [each for each in controls if round(each.sparsity, 3) == round(row.sparsity, 3)]
        chosen = same or (controls if len(controls) == 1 else [])
        if not chosen or row.method == summary.control:
            continue
        for stage, scores in row.scores.items():
            control = chosen[0].scores[stage]
            void, control_void = (void_runs(each, still) for each in (scores, control))
            found = contrast(row.method, shown(row), stage, scores, control, void, control_void, margin)
            if found is not None:
                yield found


def shown(row: Row) -> float:
    """Return a row's sparsity as tables show it."""
    return round(row.sparsity, 3)


def main() -> None:
    """Write the table of all tests."""
    records = []
    for path in sorted(RESULTS.glob("*/results.json")):
        summary = Summary.read(path)
        place = {"table": path.parent.name, "control": summary.control}
        records += [
            place | dataclasses.asdict(each) | {"verdict": each.verdict}
            for each in summary.contrasts or corrected(list(tests(summary, MARGINS.get(path.parent.name))))
        ]
    write_csv(RESULTS / "contrasts.csv", records)
    print(f"{len(records)} differences, {sum(record['void'] > 0 for record in records)} with void runs")


if __name__ == "__main__":
    main()
