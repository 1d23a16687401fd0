"""Ask whether dense networks are only under-trained: other learning rates, and twice as many steps.

    python benchmarks/under_trained.py choose
    python benchmarks/under_trained.py test
    python benchmarks/under_trained.py table

The world is that of docs/preregistration.md, where every network has 2,000 steps and a learning rate of 2e-3
that nobody tuned. Three kinds of network are compared at 90% zeros: ``dense``, a mask of local connections
(the torus's nearest neighbours), and the same rewired at equal degrees.

``choose`` trains each with five learning rates and 2,000 steps on the seeds 400 and 401. The rate with the
smallest mean error on validation walks after the last step is the one of its kind. (The plan had four rates;
as the largest of them was the best for both masks, the fifth was added, before any network of the test was
looked at; one of them, dense, was trained.)

``test`` trains each with its rate and 4,000 steps on the seeds 410 to 414. It decides two things, by paired t
tests of the error on 50 steps, corrected by Holm's method: whether the torus has smaller errors than the
dense network still, and than the rewired one. Walks of 100 steps are a family of their own. That rates are
chosen at half of the length that they are tested at is a choice for the sake of time.
"""

import argparse
import csv
import dataclasses
from dataclasses import replace
from pathlib import Path
from statistics import mean

from matplotlib.figure import Figure
from which_property import (
    OUTCOMES,
    REWIRED,
    TORUS,
    compared,
    draw_errors,
    errors,
    network_of,
    provenance_of,
    run_of,
    short,
    tested,
    train,
)

from moduli.tasks.experiments.runs.files import write_csv, write_json
from moduli.tasks.experiments.runs.run import Run

KINDS = ("dense", TORUS, REWIRED)
RATES = (1e-3, 2e-3, 4e-3, 8e-3, 16e-3)
CHOOSING, TESTING = range(400, 402), range(410, 415)
STEPS = 2000


def trained_with(method: str, seed: int, rate: float, steps: int, out: Path) -> Run:
    """Return the run of a method and a seed with a learning rate and a number of steps."""
    run = run_of(method, seed, 0.9, out)
    training = replace(run.configuration.training, learning_rate=rate, steps=steps)
    return replace(run, configuration=replace(run.configuration, training=training))


def last_validation(run: Run) -> float:
    """Return the error on validation walks after the last step, in centimetres."""
    with (run.stage("trained") / "metrics.csv").open() as file:
        *_, last = csv.DictReader(file)
    return float(last["validation"])


def validations(out: Path) -> dict[str, dict[float, list[float]]]:
    """Return the last validation of each kind, rate and seed."""
    return {
        kind: {
            rate: [last_validation(trained_with(kind, seed, rate, STEPS, out)) for seed in CHOOSING]
            for rate in RATES
        }
        for kind in KINDS
    }


def chosen_rates(out: Path) -> dict[str, float]:
    """Return the learning rate of each kind: that with the smallest mean validation."""
    return {kind: min(found, key=lambda rate: mean(found[rate])) for kind, found in validations(out).items()}


def choosing_runs(out: Path) -> list[Run]:
    """Return the runs that the learning rates are chosen by, seed by seed."""
    return [
        trained_with(kind, seed, rate, STEPS, out) for seed in CHOOSING for rate in RATES for kind in KINDS
    ]


def testing_runs(out: Path) -> list[Run]:
    """Return the runs with chosen learning rates and twice as many steps, seed by seed."""
    rates = chosen_rates(out)
    return [trained_with(kind, seed, rates[kind], 2 * STEPS, out) for seed in TESTING for kind in KINDS]


def table(out: Path, folder: Path) -> None:
    """Print and write the validations and the chosen rates; errors and tests where all are trained."""
    found = validations(out)
    print("| network | learning rate | validation after 2,000 steps (cm) |\n|---|---:|---:|")
    for kind, of_rates in found.items():
        for rate, values in of_rates.items():
            print(f"| {kind} | {rate:g} | {', '.join(f'{value:.2f}' for value in values)} |")
    rates = chosen_rates(out)
    print(f"\nChosen: {', '.join(f'{kind} {rate:g}' for kind, rate in rates.items())}\n")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "choice.json", {"validations": found, "chosen": rates} | provenance_of())
    draw_validations(found).savefig(folder / "learning-rates.png", dpi=150)

    read = [network_of(run, "trained") for run in testing_runs(out)]
    networks = [each for each in read if each is not None]
    if len(networks) < len(read):
        raise SystemExit(f"{len(read) - len(networks)} of the {len(read)} networks are not trained yet.")
    of_networks = errors(networks)
    tests = [
        row
        for outcome in OUTCOMES
        for row in tested([compared(networks, TORUS, other, outcome, None) for other in ("dense", REWIRED)])
    ]
    report = {"chosen": rates, "errors": of_networks, "tests": tests}
    write_csv(folder / "networks.csv", [dataclasses.asdict(each) for each in networks])
    write_json(folder / "tests.json", report | provenance_of())
    draw_errors(networks).savefig(folder / "errors.png", dpi=150)


def draw_validations(found: dict[str, dict[float, list[float]]]) -> Figure:
    """Draw each kind's validation, seeds and mean, against the learning rate."""
    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    for kind, marker in zip(KINDS, "so^", strict=True):
        means = [mean(found[kind][rate]) for rate in RATES]
        (line,) = axes.plot(RATES, means, marker=marker, markersize=5, label=short(kind))
        for rate in RATES:
            values = found[kind][rate]
            axes.plot([rate] * len(values), values, marker, color=line.get_color(), alpha=0.3, markersize=4)
    axes.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="validation after 2,000 steps (cm)")
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.set_yticks([6, 8, 10, 20, 50, 100], ["6", "8", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def main() -> None:
    """Train the networks that choose, those that test, or print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("choose", "test", "table"))
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--results", type=Path, default=Path("results/under-trained"))
    chosen = parser.parse_args()
    if chosen.what == "choose":
        train(choosing_runs(chosen.out), "trained")
    elif chosen.what == "test":
        train(testing_runs(chosen.out), "trained")
    else:
        table(chosen.out, chosen.results)


if __name__ == "__main__":
    main()
