"""Test tickets against the trained networks that their masks are from, in a comparison's folder.

    python benchmarks/tickets.py results/cognition-98-tickets

For each row: ticket less trained network, seed by seed, paired t, all rows corrected together. Writes
``tickets.json`` beside the table.
"""

import argparse
import dataclasses
from pathlib import Path

from which_property import provenance_of

from moduli.tasks.experiments.comparisons.contrasts import contrast, corrected
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.runs.files import write_json


def main() -> None:
    """Print and write the tests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    summary = Summary.read(folder / "results.json")
    if "ticket" not in summary.stages:
        raise SystemExit(f"The networks of {folder} have no tickets.")
    found = [
        contrast(
            row.method,
            row.sparsity,
            "ticket",
            row.scores["ticket"],
            row.scores["trained"],
            summary.void(row, "ticket"),
            summary.void(row, "trained"),
        )
        for row in summary.rows
    ]
    tests = corrected([each for each in found if each is not None])
    for each in tests:
        numbers = f"{each.difference:+.2f} ± {each.half_width:.2f}, corrected p {each.corrected_p:.2g}"
        print(f"{each.method}, ticket less trained: {numbers}, {each.verdict}")
    rows = [dataclasses.asdict(each) | {"verdict": each.verdict} for each in tests]
    write_json(folder / "tickets.json", {"tests": rows} | provenance_of())


if __name__ == "__main__":
    main()
