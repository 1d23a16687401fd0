"""Curves: training error against step, and against learning rate."""

import math
from collections.abc import Mapping, Sequence, Set
from statistics import mean
from typing import Any

from matplotlib.axes import Axes

from moduli.tasks.experiments.comparisons.choices import Choice
from moduli.tasks.experiments.runs.metrics import Metrics
from moduli.tasks.figures.colours import COLOURS, MARKERS, colour
from moduli.tasks.figures.scales import scale_by_ratio


def draw_training(
    axes: Axes,
    metrics: Mapping[str, Sequence[Sequence[Metrics]]],
    references: Mapping[str, float],
    score_name: str,
) -> None:
    """Draw the validation score of each method against the step, a line for each seed.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    metrics : mapping from str to sequences of rows
        For each method, the rows of metrics.csv of each seed.
    references : mapping from str to float
        Scores to mark by horizontal lines, where the curves leave room for them.
    score_name : str
        What was validated, with its unit.
    """
    for index, (name, seeds) in enumerate(metrics.items()):
        for number, rows in enumerate(seeds):
            axes.plot(
                [row["step"] for row in rows],
                [row["validation"] for row in rows],
                color=colour(index),
                linestyle=("-", "--", ":", "-.")[index // len(COLOURS) % 4],
                alpha=0.9 if len(seeds) == 1 else 0.5,
                label=name if number == 0 else None,
            )
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    for name, value in references.items():
        if value > top:  # it would flatten the curves
            continue
        axes.axhline(value, color="0.6", linewidth=0.8, linestyle=":")
        axes.annotate(
            name,
            (1, value),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="top",
            fontsize=7,
            color="0.4",
        )
    axes.set_xlabel("step")
    axes.set_ylabel(score_name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def draw_choices(axes: Axes, choices: Mapping[str, Choice], setting: str, score_name: str) -> None:
    """Draw the last validations that a setting was chosen by: seeds, means, and a ring at the choice.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    choices : mapping from str to Choice
        The choice of each row, by its name. A cross at the top marks a value with which a training diverged.
    setting : str
        What was chosen.
    score_name : str
        What was validated, with its unit.
    """
    top = axes.get_xaxis_transform()
    for index, (name, choice) in enumerate(choices.items()):
        style: dict[str, Any] = {"color": colour(index), "marker": MARKERS[index % len(MARKERS)]}
        known = {
            tried: [value for value in values if value is not None]
            for tried, values in zip(choice.tried, choice.validations, strict=True)
            if None not in values
        }
        means = {tried: mean(values) for tried, values in known.items()}
        axes.plot(list(means), list(means.values()), label=name, markersize=4, **style)
        for tried, values in known.items():
            axes.plot([tried] * len(values), values, alpha=0.35, markersize=3, linestyle="none", **style)
        ring = means[choice.chosen]
        axes.plot(choice.chosen, ring, "o", color=colour(index), fillstyle="none", markersize=12)
        crosses = [1 - 0.03 * index] * len(choice.diverged)
        axes.plot(choice.diverged, crosses, "x", color=colour(index), transform=top)
    axes.set_xscale("log")
    ticks = _apart({tried for choice in choices.values() for tried in choice.tried})
    axes.set_xticks(ticks, [f"{tick:.10g}" for tick in ticks])
    axes.minorticks_off()
    rows = [values for choice in choices.values() for values in choice.validations if None not in values]
    scale_by_ratio(axes, "y", [value for values in rows for value in values if value is not None])
    axes.set_xlabel(setting)
    axes.set_ylabel(f"last validation, {score_name}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))


def _apart(values: Set[float]) -> list[float]:
    """Return those values whose labels have room beside one another on a logarithmic axis."""
    smallest, *others = sorted(values)
    room = 0.08 * math.log(max(values) / smallest)
    found = [smallest]
    for value in others:
        if math.log(value / found[-1]) >= room:
            found.append(value)
    return found
