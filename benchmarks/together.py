"""Correct one row of several comparisons together, where a plan says that they are one family.

    python benchmarks/together.py torus-diffusion@a-priori results/digits-low-rate results/cognition-low-rate

Reads their ``results.json`` and writes ``together.json`` to the last folder.
"""

import argparse
import dataclasses
from pathlib import Path

from which_property import provenance_of

from moduli.tasks.experiments.comparisons.contrasts import corrected
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.runs.files import write_json


def main() -> None:
    """Print and write the tests of differences, corrected together; equivalence is left out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method")
    parser.add_argument("folders", type=Path, nargs="+")
    chosen = parser.parse_args()
    found = [
        dataclasses.replace(each, method=folder.name, equivalence_p=None)
        for folder in chosen.folders
        for each in Summary.read(folder / "results.json").contrasts or []
        if each.method == chosen.method
    ]
    if not found:
        raise SystemExit(f"No table of these folders compares '{chosen.method}' with a control.")
    tests = corrected(found)
    for each in tests:
        numbers = f"{each.difference:+.2f} ± {each.half_width:.2f}, corrected p {each.corrected_p:.2g}"
        print(f"{each.method}, {each.stage}: {numbers}, {each.verdict}")
    rows = [dataclasses.asdict(each) | {"verdict": each.verdict} for each in tests]
    report = {"method": chosen.method, "tests": rows} | provenance_of()
    write_json(chosen.folders[-1] / "together.json", report)


if __name__ == "__main__":
    main()
