"""Test another outcome of a comparison than its score, such as the error on longer walks.

    python benchmarks/other_outcomes.py results/penalties-tuned "long walks: error"
    python benchmarks/other_outcomes.py results/pairs-90 score "long walks: error"

Reads ``results.json`` and columns of ``results.csv``, and writes what it found beside them. Each method is
compared with the control of the table, seed by seed: a paired t test, and equivalence where a margin is
given, all corrected together by Holm's method. Networks whose score was void are left out, as in the table.
"""

import argparse
import csv
import dataclasses
import re
from itertools import product
from pathlib import Path
from typing import Any

from which_property import provenance_of

from moduli.tasks.experiments.comparisons.contrasts import contrast, corrected
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.comparisons.summary import Row, Summary
from moduli.tasks.experiments.runs.files import write_json
from moduli.tasks.experiments.runs.stages import Stage


def outcomes(lines: list[dict[str, str]], row: Row, stage: Stage, column: str) -> list[float]:
    """Return the numbers of a row's networks, in the order of their seeds."""
    found = [
        (int(line["seed"]), float(line[column]))
        for line in lines
        if line["method"] == row.method
        and line["stage"] == stage
        and float(line["target_sparsity"]) == row.target_sparsity
    ]
    return [value for _, value in sorted(found)]


def tests(
    summary: Summary, lines: list[dict[str, str]], columns: list[str], margin: float | None
) -> dict[str, Any]:
    """Return the mean of each row and stage, and the contrast of each with the control."""
    (control,) = [row for row in summary.rows if row.method == summary.control]
    means, contrasts = [], []
    for column, row in product(columns, summary.rows):
        for stage in row.scores:
            own, other = (outcomes(lines, each, stage, column) for each in (row, control))
            estimate = Estimate.of(own)
            method = row.method if len(columns) == 1 else f"{row.method}, {column}"
            place = {"method": method, "stage": stage}
            means.append(place | {"mean": estimate.mean, "half width": estimate.half_width})
            if row is not control:
                void = (summary.void(each, stage) for each in (row, control))
                found = contrast(method, row.sparsity, stage, own, other, *void, margin)
                contrasts += [] if found is None else [found]
    rows = [dataclasses.asdict(each) | {"verdict": each.verdict} for each in corrected(contrasts)]
    return {
        "outcome": ", ".join(columns),
        "control": summary.control,
        "margin": margin,
        "means": means,
        "tests": rows,
    }


def main() -> None:
    """Print and write the tests of an outcome."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("columns", nargs="+")
    parser.add_argument("--margin", type=float)
    chosen = parser.parse_args()
    with (chosen.folder / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    for column in chosen.columns:
        if column not in lines[0]:
            raise SystemExit(f"{chosen.folder} has no column '{column}', but {', '.join(lines[0])}.")
    found = tests(Summary.read(chosen.folder / "results.json"), lines, chosen.columns, chosen.margin)
    for each in found["means"]:
        print(f"{each['method']}, {each['stage']}: {each['mean']:.2f} ± {each['half width']:.2f}")
    for each in found["tests"]:
        numbers = (
            f"{each['difference']:+.2f} ± {each['half_width']:.2f}, corrected p {each['corrected_p']:.2g}"
        )
        print(f"{each['method']} less {found['control']}, {each['stage']}: {numbers}, {each['verdict']}")
    name = re.sub(r"[^a-z0-9]+", "-", " and ".join(chosen.columns).lower()).strip("-")
    write_json(chosen.folder / f"{name}.json", found | provenance_of())


if __name__ == "__main__":
    main()
