"""What a report says of one experiment, as plain values read from its folder."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from moduli.models import graph_statistics
from moduli.tasks.errors import DamagedFile, NothingToReport
from moduli.tasks.experiments.estimates import Estimate, decimals_of_table
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.protocol import STAGES
from moduli.tasks.experiments.runs import read_json, read_tensors
from moduli.tasks.figures.comparison import CAPTIONS

MOST_NEURONS = 1024
"""Graphs of more neurons take minutes, and are left out."""


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Parameters
    ----------
    text : str
        What is shown.
    value : float or str
        What the table is sorted by.
    """

    text: str
    value: float | str

    @classmethod
    def estimate(cls, values: list[float] | None, decimals: int, sign: bool = False) -> "Cell":
        """Show a mean with its interval; nothing where there are no values."""
        if values is None:
            return cls("", float("inf"))
        estimate = Estimate.of(values)
        return cls(estimate.text(decimals, sign), estimate.mean)

    @classmethod
    def number(cls, value: float | None, pattern: str = "{:.3g}") -> "Cell":
        """Show a number; nothing where there is none."""
        return cls("", float("inf")) if value is None else cls(pattern.format(value), value)


@dataclass(frozen=True)
class Table:
    """A table that its reader can sort.

    Parameters
    ----------
    title : str
        What it shows.
    columns : list of str
        Their names.
    rows : list of lists of Cell
        One cell a column.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]


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
    figures : dict of str to str
        Each figure's caption and its image as a data URI.
    """

    title: str
    facts: dict[str, str]
    settings: dict[str, str]
    tables: list[Table]
    figures: dict[str, str] = field(default_factory=dict)


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
    try:
        return Contents(
            title=folder.name,
            facts=_facts(summary),
            settings=_flat(summary["configuration"]),
            tables=[_scores(summary), _references(summary), *_networks(summary, folder.parent)],
            figures=_figures(folder),
        )
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        raise DamagedFile(
            f"{folder / 'results.json'} does not hold what this version writes ({error!r}); "
            "run the experiment's command again."
        ) from error


def _summary(folder: Path) -> dict[str, Any]:
    if (folder / "results.json").exists():
        summary = read_json(folder / "results.json")
        if isinstance(summary, dict) and "rows" in summary:
            return dict(summary)
    stages = {stage: folder / stage / "results.json" for stage in STAGES}
    if not all(path.exists() for path in stages.values()):
        raise NothingToReport(
            f"{folder} holds no finished experiment; give the folder of one, such as runs/navigation-demo."
        )
    results = {stage: read_json(path) for stage, path in stages.items()}
    trained: dict[str, Any] = results["trained"]
    row = {
        "method": trained["method"],
        "sparsity": trained["sparsity"]["total"],
        "wiring": [trained["wiring"]],
        "difference": None,
        "folders": [folder.name],
    }
    return trained | {
        "configuration": {name: trained[name] for name in ("name", "task", "training", "pruning")},
        "seeds": [trained["seed"]],
        "control": "",
        "rows": [row | {stage: [results[stage]["score"]] for stage in STAGES}],
        "references": {name: [value] for name, value in trained["references"].items()},
    }


def _facts(summary: dict[str, Any]) -> dict[str, str]:
    seeds = summary["seeds"]
    machine = summary["machine"]
    facts = {"command": summary.get("command") or "", "seeds": ", ".join(map(str, seeds))}
    facts["commit"] = summary["commit"] or "not run from a checkout"
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    facts["machine"] = f"{machine['processor']}, {machine['cores']} cores, {machine['system']}"
    if "seconds_of_training" in summary:
        facts["time of training"] = f"{summary['seconds_of_training'] / 60:.0f} minutes, all runs together"
    return {name: fact for name, fact in facts.items() if fact} | {"finished": summary["finished"]}


def _scores(summary: dict[str, Any]) -> Table:
    decimals = decimals_of_table(summary)
    rows = summary["rows"]
    compared = any(row["difference"] for row in rows)
    columns = ["method", "zeros", "wiring", *STAGES]
    columns += [f"{stage} − {summary['control']}" for stage in STAGES if compared]
    lines = []
    for row in rows:
        wiring = None if None in row["wiring"] else mean(row["wiring"])
        line = [Cell(row["method"], row["method"]), Cell.number(row["sparsity"], "{:.1%}")]
        line += [Cell.number(wiring, "{:.0%}")]
        line += [Cell.estimate(row[stage], decimals) for stage in STAGES]
        differences = row["difference"] or dict.fromkeys(STAGES)
        line += [Cell.estimate(differences[stage], decimals, sign=True) for stage in STAGES if compared]
        lines.append(line)
    count = len(summary["seeds"])
    interval = "one seed" if count == 1 else f"{count} seeds, mean ± 95% interval"
    return Table(f"{summary['score_name']}, {interval}", columns, lines)


def _references(summary: dict[str, Any]) -> Table:
    decimals = decimals_of_table(summary)
    rows = [
        [Cell(name, name), Cell.estimate(values, decimals)] for name, values in summary["references"].items()
    ]
    return Table("Without any network", ["reference", summary["score_name"]], rows)


def _networks(summary: dict[str, Any], out: Path) -> list[Table]:
    """Return the sparsity by layer, and the graphs, of the first seed's networks."""
    layers: list[list[Cell]] = []
    graphs: list[list[Cell]] = []
    for row in summary["rows"]:
        name, folder = row["method"], out / row["folders"][0] / "trained"
        if not (folder / "results.json").exists():
            continue
        title = [Cell(name, name), Cell.number(row["sparsity"], "{:.1%}")]
        fractions = read_json(folder / "results.json")["sparsity"]
        layers += [
            [*title, Cell(layer, layer), Cell.number(value, "{:.2%}")]
            for layer, value in fractions.items()
            if layer != "total"
        ]
        graphs += [[*title, *cells] for cells in _graphs(name, folder)]
    return [
        Table("Zeros by layer, first seed", ["method", "zeros", "layer", "zeros of the layer"], layers),
        Table("Graphs of recurrent weights, first seed", ["method", "zeros", *GRAPH_COLUMNS], graphs),
    ]


GRAPH_COLUMNS = (
    "layer", "connections", "reciprocity", "clustering", "small-worldness", "strong components",
    "distance bridged", "by chance",
)  # fmt: skip


def _graphs(name: str, folder: Path) -> list[list[Cell]]:
    manifold = method(name).manifold
    state = read_tensors(folder / "sparsifier.safetensors")
    lines = []
    for key, mask in state.items():
        layer = key.removeprefix("mask.")
        square = mask.ndim == 2 and mask.shape[0] == mask.shape[1]
        if not (key.startswith("mask.") and "weight_hh" in layer and square and len(mask) <= MOST_NEURONS):
            continue
        points = state.get(f"embedding.{layer}")
        found = graph_statistics(mask.bool(), manifold if points is not None else None, points)
        numbers = (
            found.connections, found.reciprocity, found.clustering, found.small_worldness,
            found.strong_components, found.wiring, found.wiring_by_chance,
        )  # fmt: skip
        lines.append([Cell(layer, layer), *(Cell.number(number, "{:.4g}") for number in numbers)])
    return lines


def _figures(folder: Path) -> dict[str, str]:
    paths = {caption: folder / "figures" / f"{name}.png" for name, caption in CAPTIONS.items()}
    return {
        caption: "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
        for caption, path in paths.items()
        if path.exists()
    }


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat
