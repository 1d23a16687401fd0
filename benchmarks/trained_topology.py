"""Print which Betti numbers are found in trained path integrators: in their graphs, and in their activity.

First `moduli compare navigation --preset small --initialization uniform --seeds 3`, then
`python benchmarks/trained_topology.py runs`.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import torch

from moduli.models.analysis.topology import cloud_topology, graph_topology
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.presets import METHODS, preset
from moduli.tasks.experiments.runs.files import read_tensors
from moduli.tasks.experiments.runs.stages import STAGES
from moduli.tasks.navigation.task import Navigation

SMALL = preset("navigation", "small")
CONFIGURATION = replace(SMALL, task=replace(SMALL.task, initialization="uniform"))
WEIGHT = "recurrent.weight_hh_l0"
WALKS = 40
SEEDS = range(3)


def main(out: Path) -> None:
    """Print the table."""
    comparison = Comparison(CONFIGURATION, METHODS, SEEDS, out, "navigation-small")
    print("| method | stage | graph | activity |\n| --- | --- | --- | --- |")
    for name, sparsity in comparison.rows:
        for stage in STAGES:
            graphs: Counter[tuple[int, ...]] = Counter()
            clouds: Counter[tuple[int, ...]] = Counter()
            for seed in SEEDS:
                folder = comparison.run(name, sparsity, seed).stage(stage)
                weights = read_tensors(folder / "weights.safetensors")
                if sparsity:
                    graphs[graph_topology(weights[WEIGHT]).betti] += 1
                clouds[cloud_topology(activity(weights, seed)).betti] += 1
            print(f"| {name} | {stage} | {counted(graphs)} | {counted(clouds)} |", flush=True)


@torch.no_grad()
def activity(weights: dict[str, torch.Tensor], seed: int) -> torch.Tensor:
    """Return the hidden states of a network along a few walks, ``(walks * steps, units)``."""
    task = Navigation(CONFIGURATION.task, WALKS, seed)
    model = task.model()
    model.load_state_dict(weights)
    walks = task.batch(0)
    return model.hidden(task.cells.activity(walks.start), walks.velocities).flatten(0, 1)


def counted(found: Counter[tuple[int, ...]]) -> str:
    """Return what was found, the most frequent first, and in how many seeds."""
    return "; ".join(f"{', '.join(map(str, betti))} ({times})" for betti, times in found.most_common())


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else "runs"))
