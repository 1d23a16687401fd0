"""Ask whether the size of the first recurrent weights is why dense networks fall behind on cognition.

    python benchmarks/first_gain.py --out runs/first-gain

Exploratory. A mask that cuts 90% of orthogonal first weights divides their spectral radius by three. Here a
dense network starts with weights as much smaller, and a sparse one, at random places, with weights as much
larger; everything else is that of the comparison in results/cognition-others, at the learning rate 4e-3, with
the seeds 700 and 701. Writes results/cognition-others/first-gain.csv.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from moduli.tasks.cognition import network
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.files import write_csv

USUAL = network.START
GAINS = {"dense": USUAL * 0.1**0.5, "random@a-priori": USUAL / 0.1**0.5}
SEEDS = (700, 701)
SETTINGS = ("--preset", "small", "--steps", "3000", "--log-interval", "100", "--criterion", "25")
TABLE = Path(__file__).parents[1] / "results" / "cognition-others" / "first-gain.csv"


def rows(out: Path) -> Iterator[dict[str, object]]:
    """Train the networks, and yield what each scored."""
    for name, gain in GAINS.items():
        network.START = gain
        command = parse(["compare", "cognition", *SETTINGS, "--learning-rate", "4e-3"])
        folder = out / f"{gain:.3f}"  # a run's identity does not hold the gain
        for run in Comparison(command.configuration, [name], SEEDS, folder, "table").runs:
            result = carry_out(run, Execution(threads=1), ("trained",))["trained"]
            yield {"method": name, "first gain": gain, "seed": run.seed, "wrong decisions (%)": result.score}


def main() -> None:
    """Train and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/first-gain"))
    found = list(rows(parser.parse_args().out))
    write_csv(TABLE, found)
    for row in found:
        print(*row.values())


if __name__ == "__main__":
    main()
