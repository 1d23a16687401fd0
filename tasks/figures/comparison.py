"""The figures that every comparison leaves in its folder."""

from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.preparation import fresh_model
from moduli.tasks.experiments.runs.files import write_sums
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.run_folder import claimed
from moduli.tasks.figures.geometry import neuron_figure, shape_figure, weights_figure
from moduli.tasks.figures.overview import (
    choices_figure,
    scores_figure,
    sparsity_figure,
    survivors_figure,
    training_figure,
)
from moduli.tasks.figures.picture import Picture
from moduli.tasks.task import make_task

CAPTIONS = {
    "scores": "The score of every seed, the mean and its 95% interval, of trained networks and of tickets.",
    "training": "The validation score while training, a line for each seed.",
    "rates": "The last validations that learning rates were chosen by, on seeds that no table has: each "
    "seed, the mean, and a ring where the mean is best. A cross at the top: a training diverged.",
    "strengths": "The last validations that strengths were chosen by, on seeds that no table has: each seed, "
    "the mean, and a ring where the mean is best. A cross at the top: a training diverged.",
    "sparsity": "Scores against sparsity, with 95% intervals; tickets are dashed.",
    "survivors": "The share of each matrix that is left, a dot for each seed, where several are pruned: one "
    "that is nearly empty breaks a network, however full the others are.",
    "weights": "Surviving recurrent weights of the first seed against the distance that they bridge, and the "
    "inhibitor's coefficient before any permutation.",
    "shape": "Where the weights of one neuron come from, on the manifold itself; and the sparse matrix with "
    "neurons as numbered, and in an order along the manifold.",
    "neuron": "Where the weights of one neuron come from, on each method's own space; methods without one "
    "are drawn where another one places the neurons.",
}
"""The figures in the order of a report, and what they show; those of the task follow."""

OF_ONE_SEED = {
    "scores": "The score of trained networks and of tickets. One seed has no interval.",
    "training": "The validation score while training.",
    "sparsity": "Scores against sparsity; tickets are dashed. One seed has no interval.",
}
"""What some of them show where there is one seed."""


def draw_comparison(comparison: Comparison, summary: Summary) -> list[Path]:
    """Draw a comparison's figures into its folder, as PNG.

    Parameters
    ----------
    comparison : Comparison
        A comparison of which every run has ended.
    summary : Summary
        What ``Comparison.summarize`` returned.

    Returns
    -------
    list of Path
        The files, of those of ``CAPTIONS`` and of the task that apply; figures of an earlier table are gone.
    """
    runs = _first_runs(comparison)
    networks = [StoredNetwork(run.stage("trained")) for run in runs if not run.method.narrow]
    figures: dict[str, Figure | None] = {
        "scores": scores_figure(summary),
        "training": training_figure(comparison, summary),
        "rates": choices_figure(summary, "learning_rate"),
        "strengths": choices_figure(summary, "strength"),
        "sparsity": sparsity_figure(comparison, summary),
        "survivors": survivors_figure(summary),
        "weights": weights_figure(networks),
        "shape": shape_figure(networks),
        "neuron": neuron_figure(networks),
    }
    captions = CAPTIONS if len(comparison.seeds) > 1 else CAPTIONS | OF_ONE_SEED
    pictures = {
        name: Picture(figure, captions[name]) for name, figure in figures.items() if figure is not None
    } | _task_pictures(runs[-1])
    folder = comparison.folder / "figures"
    paths = [folder / f"{name}.png" for name in pictures]
    with claimed(comparison.folder):
        for path, picture in zip(paths, pictures.values(), strict=True):
            picture.save(path)
        for path in set(folder.glob("*.png")).difference(paths):
            path.unlink()
        write_sums(comparison.folder)
    return paths


def _first_runs(comparison: Comparison) -> list[Run]:
    """Return each method's run with the first seed, at its first sparsity."""
    sparsities = dict(reversed(comparison.rows))
    return [comparison.run(name, sparsities[name], comparison.seeds[0]) for name in comparison.methods]


def _task_pictures(run: Run) -> dict[str, Picture]:
    """Return what the task itself draws of a trained network."""
    network = StoredNetwork(run.stage("trained"))
    task = make_task(run.settings, run.seed)
    model = fresh_model(task)
    model.load_state_dict(network.weights)
    pictures = task.figures(model)
    for picture in pictures.values():  # over the first panel, which may be cut from the others
        picture.figure.suptitle(network.label.replace("@", "\n@"), x=0.01, ha="left", fontsize=9)
    return {
        name: replace(picture, caption=f"{picture.caption} Method: {network.label}.")
        for name, picture in pictures.items()
    }
