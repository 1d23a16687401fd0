"""What a report says of one experiment, as plain values read from its folder."""

import base64
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moduli.errors import ModuliError
from moduli.manifolds import Manifold
from moduli.models import graph_statistics
from moduli.models.analysis.graphs import connections_of
from moduli.showing import shown
from moduli.tasks.errors import LeftOut, NothingToReport
from moduli.tasks.experiments.comparisons.summary import Row, Summary
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.runs.files import SUMS, changed_files, damaged, is_there
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.numbers import has_graph
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.runs.stages import STAGES, recurrent_among
from moduli.tasks.figures.comparison import CAPTIONS
from moduli.tasks.figures.picture import Panel, read_caption, read_panels
from moduli.tasks.report.table import (
    Entry,
    Table,
    contrast_table,
    meanings,
    notes,
    reference_table,
    score_table,
    shortness,
)


@dataclass(frozen=True)
class ShownFigure:
    """A figure of a report.

    Parameters
    ----------
    caption : str
        What it shows.
    image : str
        The image as a data URI.
    panels : list of Panel
        What a narrow screen shows below one another; none where the whole image is shown.
    """

    caption: str
    image: str
    panels: list[Panel]


@dataclass(frozen=True)
class Contents:
    """What a report says of one experiment.

    Parameters
    ----------
    title : str
        The experiment's name.
    facts : dict of str to str
        What it takes to repeat it.
    settings : dict of str to str
        Every setting.
    tables : list of Table
        Scores, references, sparsity by layer, graphs.
    notes : list of str
        What must be known of the first table.
    warning : str or None
        Why nothing should be concluded from it.
    figures : list of ShownFigure
        What was drawn.
    """

    title: str
    facts: dict[str, str]
    settings: dict[str, str]
    tables: list[Table]
    notes: list[str]
    warning: str | None = None
    figures: list[ShownFigure] = field(default_factory=list)


def read_contents(folder: Path) -> Contents:
    """Read what a report says of the experiment in a folder.

    Parameters
    ----------
    folder : Path
        Folder of a comparison, or of one network.

    Returns
    -------
    Contents

    Raises
    ------
    NothingToReport
        If there is no finished experiment in the folder.
    DamagedFile
        If a file cannot be read, or lacks what such files hold.
    """
    folder = folder.resolve()
    summary = _summary(folder)
    networks = [network for row in summary.rows if (network := _network(folder, row, summary.seeds[0]))]
    return Contents(
        title=folder.name,
        facts=_facts(summary) | {"files": _agreement(folder, summary)},
        settings=_settings(summary),
        tables=[
            score_table(summary),
            contrast_table(summary),
            reference_table(summary),
            _layers(networks),
            _graphs(networks),
        ],
        notes=[*notes(summary), *meanings(summary)],
        warning=shortness(summary),
        figures=_figures(folder / "figures"),
    )


def _summary(folder: Path) -> Summary:
    if is_there(folder / "results.json"):
        return Summary.read(folder / "results.json")
    begun = [stage for stage in STAGES if is_there(folder / stage / "config.json")]
    results = {stage: RunFolder.existing(folder / stage).result() for stage in begun}
    finished = {stage: result for stage, result in results.items() if result is not None}
    if "trained" in begun and len(finished) == len(begun):
        return Summary.of_run(folder.name, finished)
    raise NothingToReport(
        f"{folder} holds no finished experiment; give the folder of one, such as runs/navigation-demo."
    )


def _network(folder: Path, row: Row, seed: int) -> StoredNetwork | None:
    """Return the trained network of a row's first seed, or None where there is none on this machine.

    The files of all its seeds are read, and those of its tickets.
    """
    for name in row.folders:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise damaged(f"{folder / 'results.json'} names the folder {shown(name)}, which is elsewhere")
        for stage in STAGES:
            if is_there(folder.parent / name / stage / "config.json"):
                RunFolder.existing(folder.parent / name / stage).result()
    network = StoredNetwork(folder.parent / row.folders[0] / "trained")
    if not is_there(network.folder / "results.json"):
        return None
    if (network.result.method, network.result.seed) != (row.method, seed):
        raise damaged(
            f"{network.folder} holds {network.result.method} with seed {network.result.seed} instead of "
            f"{row.method} with seed {seed}"
        )
    return network


def _agreement(folder: Path, summary: Summary) -> str:
    """Say whether the files in a folder are as the experiment wrote them."""
    stages = [folder / stage for stage in STAGES if (folder / stage).is_dir()]
    vouched = (
        all(RunFolder.existing(stage).vouched for stage in stages) if stages else summary.sha256 is not None
    )
    found = [changed_files(each) for each in stages or [folder]]
    changed = [name for names in found if names is not None for name in names]
    if changed:
        return f"changed after they were written: {', '.join(changed)}"
    if not vouched:
        return "written by a version without checksums: nothing shows whether they were changed"
    if None in found:
        return f"{SUMS} is missing: nothing shows whether tables and pictures were changed"
    return "as their checksums say"


def _facts(summary: Summary) -> dict[str, str]:
    machine = summary.machine
    facts = {
        "command": summary.command or "",
        "seeds": ", ".join(map(str, summary.seeds)),
        "commit": summary.commit or "not run from a checkout",
        "versions": ", ".join(f"{name} {version}" for name, version in summary.versions.items()),
        "machine": f"{machine.processor}, {machine.cores} cores, {machine.system}",
        "time of training": f"{summary.seconds_of_training / 60:.0f} minutes, all runs together",
        "finished": summary.finished,
    }
    return {name: fact for name, fact in facts.items() if fact}


def _layers(networks: Sequence[StoredNetwork]) -> Table:
    rows = [
        [*_name(network), Entry.word(layer), Entry.number(zeros, "{:.2%}")]
        for network in networks
        for layer, zeros in network.result.matrices.items()
    ]
    return Table("Zeros by layer, first seed", ["method", "sparsity", "layer", "zeros of the layer"], rows)


GRAPH_COLUMNS = (
    "layer", "connections", "reciprocity", "clustering", "small-worldness", "strong components",
    "distance bridged", "by chance",
)  # fmt: skip


def _graphs(networks: Sequence[StoredNetwork]) -> Table:
    rows = [[*_name(network), *entries] for network in networks for entries in _graphs_of(network)]
    return Table("Graphs of recurrent weights, first seed", ["method", "sparsity", *GRAPH_COLUMNS], rows)


def _name(network: StoredNetwork) -> list[Entry]:
    sparsity = network.result.sparsity["total"]
    return [Entry.word(network.result.method), Entry.number(sparsity, "{:.1%}")]


def _graphs_of(network: StoredNetwork) -> list[list[Entry]]:
    """Return a line for each recurrent matrix that is not too large."""
    lines = []
    for layer in recurrent_among(network.masks, network.result.recurrent):
        mask, points = network.masks[layer], network.embeddings.get(layer)
        if not has_graph(mask):
            continue
        manifold = None if points is None else _manifold_of(network)
        found = graph_statistics(connections_of(mask), manifold, None if manifold is None else points)
        numbers = (
            found.connections, found.reciprocity, found.clustering, found.small_worldness,
            found.strong_components, found.wiring, found.wiring_by_chance,
        )  # fmt: skip
        lines.append([Entry.word(layer), *(Entry.number(number, "{:.4g}") for number in numbers)])
    return lines


def _manifold_of(network: StoredNetwork) -> Manifold | None:
    """Return a network's manifold; None, with a warning, where its plugin is not there any more."""
    try:
        return network.manifold
    except ModuliError as error:
        warnings.warn(f"The page lacks the distances of {network.label}: {error}", LeftOut, stacklevel=2)
        return None


def _figures(folder: Path) -> list[ShownFigure]:
    """Return the figures of every comparison, and then those of the task."""
    found = {path.stem: path for path in sorted(folder.glob("*.png")) if is_there(path)}
    names = [name for name in CAPTIONS if name in found]
    names += [name for name in found if name not in CAPTIONS]
    return [
        ShownFigure(
            # Figures of earlier versions have no caption of their own.
            read_caption(found[name]) or CAPTIONS.get(name, name),
            f"data:image/png;base64,{base64.b64encode(found[name].read_bytes()).decode()}",
            read_panels(found[name]),
        )
        for name in names
    ]


def _settings(summary: Summary) -> dict[str, str]:
    """Return all settings; of sparsity, learning rate and strength what the rows have."""
    settings = _flat(summary.configuration)
    names: dict[Tuned, str] = {"learning_rate": "training.learning_rate", "strength": "pruning.strength"}
    for setting, name in names.items():
        if any(summary.chosen(setting)):
            settings[name] = "chosen for each method, see the table"
    if "pruning.sparsity" in settings:
        asked = dict.fromkeys(
            f"{row.sparsity:.4g}" if row.target_sparsity is None else f"{row.target_sparsity:.10g}"
            for row in summary.rows
            if row.sparsity
        )
        settings["pruning.sparsity"] = ", ".join(asked) or settings["pruning.sparsity"]
    return settings


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
