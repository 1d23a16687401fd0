"""Train tiles beside other masks, and dense networks beside both: their errors, and what a step costs.

    python benchmarks/tile_networks.py train --part bridges
    python benchmarks/tile_networks.py table --part bridges
    python benchmarks/tile_networks.py steps

The world is that of docs/preregistration.md. The part ``bridges`` asks which share of the weights should
connect neighbouring tiles. The default, none, changes to the smallest share with less error on walks of 100
steps by a paired t test (five seeds, corrected for three shares by Holm's method) and at most 0.3 cm more on
walks of 50 steps. By this rule it did not change: the smallest corrected p was 0.07. The part ``longer`` asks
again, of one share, 0.2, with ten seeds that nobody has looked at; its question is one paired t test on walks
of 100 steps. The part ``errors`` has ten other seeds, at 90, 95 and 98% zeros; its networks are those of
benchmarks/which_property.py where both have them. ``steps`` times training steps, in turns, on one thread.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import which_property
from which_property import (
    REWIRED,
    TORUS,
    Network,
    compared,
    draw_errors,
    errors,
    network_of,
    provenance_of,
    run_of,
    tested,
    train,
)

from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.files import write_csv, write_json
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import Stage

TILES = "torus-tiles@a-priori"
SHARES = (0.1, 0.2, 0.3)
BRIDGED = tuple(f"torus-tiles(bridges={share})@a-priori" for share in SHARES)
SPARSITIES = (0.9, 0.95, 0.98)
PARTS: dict[str, tuple[tuple[str, ...], range, tuple[float, ...]]] = {
    "bridges": ((TILES, *BRIDGED), range(300, 305), (0.9,)),
    "longer": ((TILES, BRIDGED[1]), range(310, 320), (0.9,)),
    "errors": ((TILES, TORUS, REWIRED, "narrow", "dense"), range(200, 210), SPARSITIES),
}
"""The methods, the seeds and the sparsities of each part."""

TIMED = ("dense", "narrow", TILES, f"{TILES}@survivors", TORUS, f"{TORUS}@survivors", REWIRED)


def runs_of(part: str, sparsity: float, out: Path) -> list[Run]:
    """Return the runs of a part at a sparsity, seed by seed."""
    methods, seeds, _ = PARTS[part]
    return [run_of(method, seed, sparsity, out) for seed in seeds for method in methods]


def table(part: str, stage: Stage, out: Path, folder: Path) -> None:
    """Print and write errors, and differences from tiles, where all networks of a sparsity are trained."""
    _, _, sparsities = PARTS[part]
    folder.mkdir(parents=True, exist_ok=True)
    for sparsity in sparsities:
        found = [network_of(run, stage) for run in runs_of(part, sparsity, out)]
        networks = [each for each in found if each is not None]
        print(f"\n{sparsity:.0%} zeros, {stage}: {len(networks)} of {len(found)} networks are trained.\n")
        if len(networks) < len(found):
            continue
        report = {"sparsity": sparsity, "stage": stage, "errors": errors(networks)}
        report["differences from tiles"] = differences(networks)
        name = f"{part}-{stage}-{100 * sparsity:.4g}"
        write_csv(folder / f"{name}.csv", [dataclasses.asdict(each) for each in networks])
        write_json(folder / f"{name}.json", report | provenance_of())
        draw_errors(networks).savefig(folder / f"{name}.png", dpi=150)


def differences(networks: Sequence[Network]) -> list[dict[str, object]]:
    """Print and return how each method differs from the tiles; each outcome is a family of its own."""
    others = [name for name in dict.fromkeys(each.method for each in networks) if name != TILES]
    return [
        row
        for outcome in which_property.OUTCOMES
        for row in tested([compared(networks, name, TILES, outcome, None) for name in others])
    ]


def steps(rounds: int, count: int, folder: Path) -> None:
    """Time training steps of each method in turns, and print them over those of the dense network."""
    seconds: dict[tuple[str, float], list[float]] = {}
    for _ in range(rounds):
        for sparsity in SPARSITIES:
            for method in TIMED:
                with tempfile.TemporaryDirectory() as out:
                    run = run_of(method, 0, sparsity, Path(out))
                    training = replace(run.configuration.training, steps=count, log_interval=count)
                    run = replace(run, configuration=replace(run.configuration, training=training))
                    result = carry_out(run, Execution(threads=1), ("trained",))["trained"]
                seconds.setdefault((method, sparsity), []).append(result.seconds / count)
    print("| zeros | method | ms a step | over dense |\n|---|---|---:|---:|")
    rows = []
    for (method, sparsity), found in seconds.items():
        ratio = median(one / dense for one, dense in zip(found, seconds["dense", sparsity], strict=True))
        print(f"| {sparsity:.0%} | {method} | {1e3 * median(found):.3g} | {ratio:.2f} |")
        rows.append({"sparsity": sparsity, "method": method, "seconds": found, "over dense": ratio})
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "steps.json", {"steps": count, "rows": rows} | provenance_of())


def main() -> None:
    """Train, print tables, or time steps."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "table", "steps"))
    parser.add_argument("--part", choices=list(PARTS), default="bridges")
    parser.add_argument("--stage", choices=("trained", "ticket"), default="trained")
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--results", type=Path, default=Path("results/tile-networks"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    if chosen.what == "train":
        for sparsity in PARTS[chosen.part][2]:
            train(runs_of(chosen.part, sparsity, chosen.out), chosen.stage)
    elif chosen.what == "table":
        table(chosen.part, chosen.stage, chosen.out, chosen.results)
    else:
        steps(chosen.rounds, chosen.steps, chosen.results)


if __name__ == "__main__":
    main()
