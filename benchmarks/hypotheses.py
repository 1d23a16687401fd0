"""Test the four hypotheses of docs/preregistration.md in another world: of a comparison's folder.

    python benchmarks/hypotheses.py results/navigation-95

Reads ``results.json`` and ``results.csv`` of a comparison of torus, torus rewired and cliques, and writes
``hypotheses.json`` beside them. Trained networks and tickets are families of their own, as in the plan.
"""

import argparse
import csv
from pathlib import Path

from which_property import Network, hypotheses, primary, provenance_of

from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.runs.files import write_json
from moduli.tasks.experiments.runs.stages import Stage


def networks(folder: Path, stage: Stage) -> list[Network]:
    """Return what a comparison's table knows of its networks."""
    summary = Summary.read(folder / "results.json")
    floor, still = (
        dict(zip(summary.seeds, summary.references[name], strict=True))
        for name in ("floor: decoding the true activity", "standing still at the start")
    )
    with (folder / "results.csv").open() as file:
        return [
            Network(
                method=line["method"],
                seed=int(line["seed"]),
                stage=stage,
                score=float(line["score"]),
                long=float(line["long walks: error"]),
                floor=floor[int(line["seed"])],
                still=still[int(line["seed"])],
                seconds=float(line["seconds"]),
                commit=summary.commit or "",
            )
            for line in csv.DictReader(file)
            if line["stage"] == stage
        ]


def main() -> None:
    """Print and write the verdicts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = {}
    for stage in Summary.read(folder / "results.json").stages:
        print(f"\n{folder.name}, {stage}")
        found[stage] = hypotheses(primary(networks(folder, stage)))
    write_json(folder / "hypotheses.json", found | provenance_of())


if __name__ == "__main__":
    main()
