"""Draw what geometry does in every world that it was tested in: one line for each test.

    python benchmarks/local_or_rewired.py

Each line is a mean of differences over seeds, with its 95% interval: of local masks less the same masks
rewired at equal degrees, or of a penalty by distance less its coefficients permuted in pairs. Worlds have
different units, so that a difference is drawn in the margins of their plans: 0.3 cm, or two percentage
points. All is read from the tables under results/; nothing is trained. Written: results/local-or-rewired.csv
and .png.
"""

import csv
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from which_property import REWIRED, TORUS

from moduli.tasks.experiments.comparisons.contrasts import contrast
from moduli.tasks.experiments.comparisons.summary import Summary, void_runs
from moduli.tasks.experiments.runs.files import write_csv
from moduli.tasks.experiments.runs.stages import Stage
from moduli.tasks.figures.colours import colour

RESULTS = Path(__file__).parents[1] / "results"
CENTIMETRES, POINTS = 0.3, 2.0
"""Margins: differences smaller than that do not matter."""

ONE_RATE, OWN_RATES = "one learning rate for both", "a rate for each"
MASKS, PENALTIES = "mask: torus less torus rewired", "penalty: torus less permuted in pairs"


@dataclass(frozen=True)
class Line:
    """One test: where, on how many seeds, and what the difference was, in the unit of its margin."""

    question: str
    world: str
    settings: str
    stage: Stage
    seeds: int
    difference: float
    half_width: float
    margin: float

    @property
    def name(self) -> str:
        """How the figure calls its world."""
        return f"{self.world}, {self.seeds} seeds"


def lines() -> Iterator[Line]:
    """Yield the tests of every world, those with one setting for both methods first."""
    stages: tuple[Stage, ...] = ("trained", "ticket")
    for stage in stages:
        read = json.loads((RESULTS / "which-property" / f"tests-{stage}-90.json").read_text())["primary"]
        yield _line(MASKS, "navigation", ONE_RATE, stage, read[0], CENTIMETRES)
    yield _line(MASKS, "navigation, 4,096 units", ONE_RATE, "trained", _wide(), CENTIMETRES)
    for world, folder in (("digits", "digits-low-rate"), ("cognition", "cognition-low-rate")):
        for found in _tests(folder, TORUS):
            yield _line(MASKS, world, ONE_RATE, found["stage"], found, POINTS)
    yield _line(MASKS, "navigation, 4,000 steps", OWN_RATES, "trained", _under_trained(), CENTIMETRES)
    at_98 = _paired("navigation-98-tuned", 0.98, TORUS, REWIRED, "trained")
    yield _line(MASKS, "navigation, 98% zeros", OWN_RATES, "trained", at_98, CENTIMETRES)
    for world, folder in (
        ("digits", "digits-tuned"),
        ("cognition", "cognition-tuned"),
        ("cognition, again", "cognition-again"),
    ):
        for found in _tests(folder, TORUS):
            yield _line(MASKS, world, OWN_RATES, found["stage"], found, POINTS)
    yield from _penalties_at_one_strength(stages)
    for found in _tests("penalties-tuned", "torus-diffusion"):
        settings = "a rate and a strength for each"
        yield _line(PENALTIES, "navigation", settings, found["stage"], found, CENTIMETRES)


def _line(
    question: str, world: str, settings: str, stage: Stage, found: dict[str, Any], margin: float
) -> Line:
    numbers = (found["pairs"], found["difference"], found["half_width"])
    return Line(question, world, settings, stage, *numbers, margin)


def _tests(folder: str, method: str) -> list[dict[str, Any]]:
    read = json.loads((RESULTS / folder / "results.json").read_text())["contrasts"]
    return [each for each in read if each["method"] == method]


def _wide() -> dict[str, Any]:
    """Return the contrast of 4,096 units, whose table takes the torus from the rewired one."""
    with (RESULTS / "which-property" / "contrasts-4096.csv").open() as file:
        (found,) = [
            each for each in csv.DictReader(file) if each["method"].startswith(f"{REWIRED} − {TORUS}, error")
        ]
    numbers = {"difference": -float(found["difference"]), "half_width": float(found["half_width"])}
    return {"pairs": int(found["pairs"]), **numbers}


def _under_trained() -> dict[str, Any]:
    read = json.loads((RESULTS / "under-trained" / "tests.json").read_text())["tests"]
    (found,) = [each for each in read if each["method"] == f"{TORUS} − {REWIRED}, 50 steps"]
    return dict(found)


def _penalties_at_one_strength(stages: tuple[Stage, ...]) -> Iterator[Line]:
    """Yield the differences at 90% of the table that has one rate and one strength."""
    for stage in stages:
        found = _paired(
            "navigation-sparsities", 0.9, "torus-diffusion", "pair-permuted-torus-diffusion", stage
        )
        settings = "one rate and one strength for both"
        yield _line(PENALTIES, "navigation", settings, stage, found, CENTIMETRES)


def _paired(folder: str, sparsity: float, method: str, other: str, stage: Stage) -> dict[str, Any]:
    """Return the contrast of two rows of a table, neither of which need be its control."""
    summary = Summary.read(RESULTS / folder / "results.json")
    rows = {row.method: row for row in summary.rows if round(row.sparsity, 2) == sparsity}
    scores = [rows[name].scores[stage] for name in (method, other)]
    still = summary.references["standing still at the start"]
    found = contrast(method, sparsity, stage, *scores, *(void_runs(each, still) for each in scores))
    assert found is not None
    return dataclasses.asdict(found)


def draw(tests: list[Line]) -> Figure:
    """Draw one panel for masks and one for penalties; a world is a row, with its tickets beside it."""
    questions = list(dict.fromkeys(each.question for each in tests))
    rows = {key: [each for each in tests if _row(each) == key] for key in dict.fromkeys(map(_row, tests))}
    counts = [sum(question == key[0] for key in rows) for question in questions]
    figure = Figure(figsize=(7.5, 1.6 + 0.42 * len(rows)), layout="constrained")
    panels = figure.subplots(len(questions), 1, sharex=True, height_ratios=counts)
    for axes, question in zip(panels, questions, strict=True):
        own = {key: found for key, found in rows.items() if key[0] == question}
        axes.axvspan(-1, 1, color="0.93", zorder=0)
        axes.axvline(0, color="0.6", linewidth=0.8)
        for height, found in enumerate(own.values()):
            for each in found:
                place = height + (0 if len(found) == 1 else -0.14 if each.stage == "trained" else 0.14)
                axes.errorbar(
                    each.difference / each.margin,
                    place,
                    xerr=each.half_width / each.margin,
                    fmt="o",
                    color=colour(0 if each.settings.startswith("one") else 3),
                    markerfacecolor=None if each.stage == "trained" else "white",
                    markersize=5,
                    capsize=2,
                )
        names = [f"{found[0].name}\n{found[0].settings}" for found in own.values()]
        axes.set_yticks(range(len(own)), names, fontsize=7)
        axes.set_ylim(len(own) - 0.5, -0.5)
        axes.set_title(question, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("difference, in margins; left of 0 the geometry is ahead", fontsize=9)
    handles = [Line2D([], [], marker="o", color="0.3", linestyle="", label="trained")]
    handles += [
        Line2D([], [], marker="o", color="0.3", markerfacecolor="white", linestyle="", label="ticket")
    ]
    panels[0].legend(handles=handles, frameon=False, fontsize=8, loc="lower left")
    return figure


def _row(each: Line) -> tuple[str, str, str]:
    return each.question, each.name, each.settings


def main() -> None:
    """Write the table and the figure."""
    tests = list(lines())
    write_csv(RESULTS / "local-or-rewired.csv", [dataclasses.asdict(each) for each in tests])
    draw(tests).savefig(RESULTS / "local-or-rewired.png", dpi=150)
    for each in tests:
        print(f"{each.name}, {each.settings}, {each.stage}: {each.difference:+.2f} ± {each.half_width:.2f}")


if __name__ == "__main__":
    main()
