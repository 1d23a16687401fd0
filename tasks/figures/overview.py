"""The figures of a comparison's table: scores, training, sparsity, and what is left of each matrix."""

import math
from statistics import mean

from matplotlib.figure import Figure

from moduli.tasks.experiments.comparisons.choices import WORDS
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import percent
from moduli.tasks.experiments.runs.stages import STAGES, Stage
from moduli.tasks.figures.curves import draw_choices, draw_training
from moduli.tasks.figures.scores import draw_scores
from moduli.tasks.figures.sparsity import draw_error_against_sparsity
from moduli.tasks.figures.survivors import draw_survivors


def scores_figure(summary: Summary) -> Figure:
    """Draw every row's scores, trained and of the ticket, where there is one."""
    stages = summary.stages
    figure = Figure(figsize=(2 + 3.5 * len(stages), 1.7 + 0.3 * len(summary.rows)), layout="constrained")
    panels = list(figure.subplots(1, len(stages), sharey=True, squeeze=False)[0])
    tops: list[float] = []
    span = [score for row in summary.rows for scores in row.scores.values() for score in scores]
    for axes, stage in zip(panels, stages, strict=True):
        scores = {row.label: row.scores[stage] for row in summary.rows}
        draw_scores(axes, scores, _references(summary), summary.score_name, span)
        axes.set_title(stage, fontsize=9)
        axes.tick_params(labelleft=True)  # a phone shows each panel alone
        tops.append(axes.get_ylim()[1])
    panels[0].set_ylim(top=min(tops))  # shared: the names of references have room in both
    lowest, highest = zip(*(axes.get_xlim() for axes in panels), strict=True)
    for axes in panels:
        axes.set_xlim(min(lowest), max(highest))
    return figure


def training_figure(comparison: Comparison, summary: Summary) -> Figure:
    """Draw how all methods learned, in a panel for each sparsity; the dense one is in all."""
    sparsities = sorted({sparsity for _, sparsity in comparison.rows if sparsity}) or [0.0]
    figure = Figure(figsize=(4.5 * len(sparsities) + 2.5, 4), layout="constrained")
    panels = figure.subplots(1, len(sparsities), sharey=True, squeeze=False)[0]
    for panel, wanted in zip(panels, sparsities, strict=True):
        metrics = {
            name: [StoredNetwork(comparison.out / folder / "trained").metrics for folder in row.folders]
            for (name, sparsity), row in zip(comparison.rows, summary.rows, strict=True)
            if sparsity in (0.0, wanted)
        }
        draw_training(panel, metrics, _references(summary), summary.score_name)
        panel.set_title(percent(wanted), fontsize=9)
        panel.tick_params(labelleft=True)
    for panel in panels[:-1]:
        panel.get_legend().remove()
    return figure


def choices_figure(summary: Summary, setting: Tuned) -> Figure | None:
    """Draw what each row's learning rate or strength was chosen by, where rows have their own."""
    labelled = zip(summary.labels, summary.chosen(setting), strict=True)
    choices = {name: choice for name, choice in labelled if choice}
    if not choices:
        return None
    figure = Figure(figsize=(7, 4), layout="constrained")
    draw_choices(figure.subplots(), choices, WORDS[setting], summary.score_name)
    return figure


def sparsity_figure(comparison: Comparison, summary: Summary) -> Figure | None:
    """Draw the scores of all sparse methods against sparsity, where there are several."""
    if len(comparison.sparsities) < 2:
        return None
    estimates: dict[Stage, dict[str, list[tuple[float, float, float]]]] = {stage: {} for stage in STAGES}
    for (name, sparsity), row in zip(comparison.rows, summary.rows, strict=True):
        if method(name).sparse:
            for stage, scores in row.scores.items():
                found = Estimate.of(scores)
                half = math.nan if found.half_width is None else found.half_width
                estimates[stage].setdefault(name, []).append((sparsity, found.mean, half))
    figure = Figure(figsize=(7, 4), layout="constrained")
    draw_error_against_sparsity(
        figure.subplots(), estimates["trained"], estimates["ticket"], summary.score_name
    )
    return figure


def survivors_figure(summary: Summary) -> Figure | None:
    """Draw what is left of each matrix, of methods that prune several."""
    rows = {row.label: row.matrices for row in summary.rows if len(row.matrices) > 1}
    if not rows:
        return None
    figure = Figure(figsize=(7, 1.8 + 0.3 * len(rows)), layout="constrained")
    draw_survivors(figure.subplots(), rows)
    return figure


def _references(summary: Summary) -> dict[str, float]:
    return {name: mean(values) for name, values in summary.references.items()}
