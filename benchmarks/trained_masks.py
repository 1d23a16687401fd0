"""Print what the masks of a comparison share: self-connections, and connections to and fro.

python benchmarks/trained_masks.py runs/navigation-small-becbc05f
"""

import sys
from pathlib import Path

from moduli.models import graph_statistics
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.runs.files import read_json, read_tensors

WEIGHT = "recurrent.weight_hh_l0"


def main(folder: Path) -> None:
    """Print a row for each sparse method."""
    print("| method | connections | of a unit to itself | others with their reverse |")
    print("| --- | ---: | ---: | ---: |")
    for row in read_json(folder / "results.json")["rows"]:
        if not row["sparsity"]:
            continue
        masks = [
            read_tensors(folder.parent / run / "trained" / "weights.safetensors")[WEIGHT] != 0
            for run in row["folders"]
        ]
        own = Estimate.of([float(mask.diagonal().sum()) for mask in masks])
        reciprocity = Estimate.of([100 * graph_statistics(mask).reciprocity for mask in masks])
        count = int(masks[0].sum())
        print(f"| {row['method']} | {count} | {own.text(0)} | {reciprocity.text(0)}% |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
