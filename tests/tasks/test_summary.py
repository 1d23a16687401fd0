"""Clauses T3 and T4: what results say is read as it was written, checked, and drawn from disk alone."""

import csv
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file
from torch import nn

from moduli.manifolds import Circle, Torus
from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.runs.stages import StageResult, recurrent_among
from moduli.tasks.experiments.training.devices import Devices, FabricDevices, OneDevice
from moduli.tasks.figures import geometry
from moduli.tasks.figures.comparison import CAPTIONS, OF_ONE_SEED, draw_comparison
from moduli.tasks.figures.geometry import neuron_figure, shape_figure
from moduli.tasks.figures.picture import Picture, read_caption, read_panels
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.report import write_report
from moduli.tasks.report.table import notes, score_table
from moduli.tasks.report.terminal import result_table
from moduli.tasks.task import Task
from tests.conftest import seeded

pytestmark = pytest.mark.xdist_group("summary")  # one process makes what all share

RESULTS = sorted((Path(__file__).parents[2] / "results").glob("*/results.json"))
TINY = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=6, batch=5, learning_rate=0.01, log_interval=3),
    PruningSettings(sparsity=0.8, strength=1.0),
)
WEIGHT = "recurrent.weight_hh_l0"


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.parent.name)
def test_published_tables_are_read_and_written_as_they_are(path):
    stored, summary = json.loads(path.read_text()), Summary.read(path)
    written = json.loads(json.dumps(summary.as_dict()))
    assert written["rows"] == [
        {"matrices": {}, "recurrent": None, "target_sparsity": None} | row for row in stored["rows"]
    ]
    newer = [{"rank_sum": None} | each for each in stored.get("contrasts", [])]
    assert written.pop("contrasts", []) == newer
    assert {key: value for key, value in written.items() if key != "rows"} == {
        key: value for key, value in stored.items() if key not in ("rows", "contrasts")
    }
    several = any(len(row.get("matrices", {})) > 1 for row in stored["rows"])
    names = [column.header for column in result_table(summary).columns]
    assert ("recurrent" in names) == several
    for row in summary.rows:
        recurrent = [name for name in row.matrices if "weight_hh" in name or "weight_rec" in name]
        assert (row.recurrent_sparsity is None) == (not recurrent)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a comparison of methods on several spaces, and its summary."""
    out = tmp_path_factory.mktemp("out")
    methods = ["dense", "none", "circle-diffusion", "torus-dog", "torus(dim=6)-dog", "permuted-torus-dog"]
    comparison = Comparison(TINY, methods, [0], out, "table")
    return comparison, comparison.summarize([carry_out(run) for run in comparison.runs])


def test_what_was_written_is_read_again(finished):
    comparison, summary = finished
    assert Summary.read(comparison.folder / "results.json") == summary
    for run in comparison.runs:
        for stage, result in carry_out(run).items():
            assert StageResult.read(run.stage(stage) / "results.json") == result
            assert result.recurrent == [WEIGHT]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.pop("seeds"), "seeds is missing"),
        (lambda stored: stored["rows"][1].pop("ticket"), r"rows\[1\]\.ticket is missing"),
        (lambda stored: stored["rows"][1].update(sparsity="high"), r"rows\[1\]\.sparsity: str is neither"),
        (lambda stored: stored["rows"][0].update(trained=[8.0, None]), r"rows\[0\]\.trained\[1\]: None"),
        (lambda stored: stored["rows"].append(7), r"rows\[6\] is not an object"),
        (lambda stored: stored.update(machine={"system": "x", "processor": "y"}), "machine.cores is missing"),
        (lambda stored: stored.update(references=[1.0]), "references: list is not a dict"),
        (lambda stored: stored.update(references={"floor": []}), "it has no rows, no seeds, or a reference"),
        (lambda stored: stored.update(rows=[]), "it has no rows"),
        (
            lambda stored: stored["rows"][0].update(folders=[]),
            r"rows\[0\] does not have a number for each of",
        ),
        (lambda stored: stored["rows"][3].update(difference={}), r"rows\[3\]\.difference does not have"),
    ],
)
def test_a_file_with_other_values_than_it_should_have_is_named_with_the_place(
    finished, tmp_path, change, message
):
    stored = json.loads((finished[0].folder / "results.json").read_text())
    change(stored)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match=rf"results.json does not hold .*\({message}"):
        Summary.read(path)


def test_a_result_without_the_total_sparsity_is_named(finished, tmp_path):
    stored = json.loads((finished[0].runs[1].stage("trained") / "results.json").read_text())
    del stored["sparsity"]["total"]
    (tmp_path / "results.json").write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match=r"\(sparsity\.total is missing\)"):
        StageResult.read(tmp_path / "results.json")


def test_results_of_earlier_versions_fall_back_on_pytorch_s_names():
    names = ["encoder.weight", "recurrent.weight_hh_l0", "cell.h2h.weight"]
    assert recurrent_among(names, None) == ["recurrent.weight_hh_l0"]
    assert recurrent_among(names, ["cell.h2h.weight"]) == ["cell.h2h.weight"]


def networks(comparison):
    return [StoredNetwork(run.stage("trained")) for run in comparison.runs]


def test_a_neuron_is_drawn_on_each_method_s_own_space_and_elsewhere_says_so(finished, monkeypatch):
    drawn = []
    for name in ("draw_neuron_on_plane", "draw_neuron_in_space"):
        draw = getattr(geometry, name)

        def spy(axes, manifold, *arguments, draw=draw):
            drawn.append((axes, manifold))
            return draw(axes, manifold, *arguments)

        monkeypatch.setattr(geometry, name, spy)
    neuron_figure(networks(finished[0]))
    titles = {axes.get_title().splitlines()[0]: (axes, manifold) for axes, manifold in drawn}
    assert {name: manifold for name, (_, manifold) in titles.items()} == {
        "dense": Torus(),
        "none 80%": Torus(),
        "torus-dog 80%": Torus(),
        "permuted-torus-dog 80%": Torus(),
        "circle-diffusion 80%": Circle(),
    }  # a torus of dimension 6 is not drawn at all
    for name, (axes, _) in titles.items():
        assert ("placed as in torus-dog 80%" in axes.get_title()) == (name in ("dense", "none 80%"))
    drawn.clear()
    shape_figure(networks(finished[0]))
    assert {manifold for _, manifold in drawn} == {Circle()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torus-diffusion@a-priori", True),
        ("one-way-torus-diffusion@a-priori", True),
        ("torus-dog@free-diagonal", True),
        ("rewired-torus-diffusion@a-priori", False),
        ("permuted-torus-dog", False),
        ("cliques@a-priori", False),
        ("l1", False),
        ("none", False),
    ],
)
def test_the_network_that_is_drawn_for_its_geometry_is_not_a_control(name, expected):
    network = SimpleNamespace(result=SimpleNamespace(method=name))
    assert geometry._is_geometric(network) == expected


def test_figures_show_the_embedding_that_is_on_disk(finished, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        geometry,
        "draw_neuron_on_plane",
        lambda axes, manifold, weight, places, neuron: shown.append(places) or axes.scatter([0], [0], c=[0]),
    )
    source = finished[0].run("torus-dog", 0.8, 0).stage("trained")
    for path in source.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    moved = Torus().random_point(12, seeded(7))
    state = load_file(source / "sparsifier.safetensors") | {f"embedding.{WEIGHT}": moved}
    RunFolder.existing(tmp_path).save_tensors("sparsifier", state)
    neuron_figure([StoredNetwork(source), StoredNetwork(tmp_path)])
    assert torch.equal(shown[0], load_file(source / "sparsifier.safetensors")[f"embedding.{WEIGHT}"])
    assert torch.equal(shown[1], moved)


def test_every_figure_carries_its_caption_into_the_report(finished, tmp_path):
    comparison, summary = finished
    (comparison.folder / "figures").mkdir(exist_ok=True)
    (comparison.folder / "figures" / "stale.png").write_bytes(b"")
    paths = draw_comparison(comparison, summary)
    assert sorted(paths) == sorted((comparison.folder / "figures").iterdir())
    captions = {path.stem: read_caption(path) for path in paths}
    assert captions.pop("rate-maps").startswith("The six rate maps")
    assert captions == {name: (CAPTIONS | OF_ONE_SEED)[name] for name in captions}
    page = write_report([comparison.folder], tmp_path / "report.html").read_text()
    assert "The six rate maps of highest grid score" in page
    Image.new("RGB", (4, 4)).save(comparison.folder / "figures" / "old-figure.png")
    page = write_report([comparison.folder], tmp_path / "report.html").read_text()
    assert 'alt="old-figure"' in page
    (comparison.folder / "figures" / "old-figure.png").write_bytes(b"no image")
    with pytest.raises(DamagedFile, match=r"old-figure\.png is not an image"):
        write_report([comparison.folder], tmp_path / "report.html")


def test_panels_are_cut_apart_between_what_they_say_and_a_colour_bar_stays_with_its_panel(tmp_path):
    figure = Figure(figsize=(9, 3), layout="constrained")
    panels = figure.subplots(1, 3)
    for axes in panels:
        image = axes.imshow([[0, 1], [2, 3]])
        axes.set_ylabel("a label")
    figure.colorbar(image, ax=panels)
    panels[0].plot([0], [0], label="inside")
    panels[0].legend()
    path = tmp_path / "figure.png"
    Picture(figure, "α < β").save(path)
    found = read_panels(path)
    assert found[0].left == 0
    assert found[-1].right == 1
    left, right = found[1].left, found[1].right
    assert (found[0].right, found[2].left) == (left, right)
    boxes = [axes.get_tightbbox() for axes in panels]
    assert boxes[0].x1 < left * figure.bbox.width < boxes[1].x0
    assert boxes[1].x1 < right * figure.bbox.width < boxes[2].x0
    assert read_caption(path) == "α < β"


def test_a_legend_beside_a_panel_is_cut_from_it(tmp_path):
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], label="a long name of a method")
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    Picture(figure, "").save(tmp_path / "figure.png")
    panel, beside = read_panels(tmp_path / "figure.png")
    border = panel.right
    assert beside.depth < 0.5 < panel.depth  # below the legend nothing is shown
    assert axes.get_window_extent().x1 < border * figure.bbox.width < legend.get_window_extent().x0


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "7",
        '["a"]',
        "[]",
        "{}",
        "[[0, 1]]",
        "[[0, 2, 1]]",
        "[[0, NaN, 1]]",
        "[[0.5, 0.2, 1]]",
        "[[0, 1, 0]]",
    ],
)
def test_what_a_file_says_of_its_panels_is_not_believed_blindly(tmp_path, said):
    metadata = PngInfo()
    if said is not None:
        metadata.add_text("Panels", said)
    Image.new("RGB", (4, 4)).save(tmp_path / "figure.png", pnginfo=metadata)
    assert read_panels(tmp_path / "figure.png") == []


def test_devices_are_abstract_or_final():
    assert Devices.__abstractmethods__ == {"prepare", "backward", "clip", "gather", "any", "wait"}
    for kind in (OneDevice, FabricDevices):
        assert kind.__bases__ == (Devices,)
        assert kind.__final__
        assert not kind.__abstractmethods__


class TwoSizes(nn.Module):
    """Two recurrent layers of different sizes."""

    def __init__(self):
        super().__init__()
        self.first = nn.RNN(1, 8, batch_first=True)
        self.second = nn.GRU(8, 5, batch_first=True)
        self.decoder = nn.Linear(5, 1)

    def forward(self, x):
        return self.decoder(self.second(self.first(x)[0])[0])


@dataclass(frozen=True)
class SumSettings:
    """Settings without a number of units."""

    name: ClassVar[str] = "sum"
    task: ClassVar[str] = f"{__name__}:Sum"


class Sum(Task[torch.Tensor]):
    """Tell the sum of numbers."""

    score_name = "squared error"

    def __init__(self, settings, batch_size, seed, device="cpu"):
        self.batch_size, self.seed, self.device = batch_size, seed, device

    def model(self):
        return TwoSizes().to(self.device)

    def batch(self, step):
        return torch.randn(self.batch_size, 4, 1, generator=seeded(step))

    def part(self, batch, index, count):
        return batch[index::count]

    def loss(self, model, batch):
        return (model(batch) - batch.cumsum(1)).square().mean()

    @torch.no_grad()
    def score(self, model):
        return float(self.loss(model, self.batch(99)))

    validate = score

    def references(self):
        return {}


@pytest.mark.parametrize("name", ["torus-dog", "torus-dog@a-priori", "permuted-klein-dog"])
def test_layers_of_different_sizes_each_have_their_neurons(tmp_path, name):
    run = Run(dataclasses.replace(TINY, task=SumSettings()), name, 0, tmp_path)
    results = carry_out(run)
    assert results["trained"].recurrent == ["first.weight_hh_l0", "second.weight_hh_l0"]
    assert all(math.isfinite(result.score) for result in results.values())
    network = StoredNetwork(run.stage("trained"))
    assert [len(points) for points in network.embeddings.values()] == [8, 5]
    assert network.recurrent_weight().shape == (8, 8)
    assert network.weights["second.weight_hh_l0"].shape == (15, 5)


class Learned(Sum):
    """A task that counts as learned at a score that its networks reach in the third of four validations."""

    criterion = 3.5

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.validations = 0

    def validate(self, model):
        self.validations += 1
        return 5.0 - self.validations / 2


@pytest.fixture
def learned(tmp_path, monkeypatch):
    """Return a comparison of a task with a criterion; a ticket's validations go on from the network's."""
    monkeypatch.setattr(SumSettings, "task", f"{__name__}:Learned")
    training = dataclasses.replace(TINY.training, steps=8, log_interval=2)
    configuration = dataclasses.replace(TINY, task=SumSettings(), training=training)
    return Comparison(configuration, ["dense", "none"], [0, 1], tmp_path, "table")


def columns_of_steps(summary):
    table = score_table(summary)
    found = {name: index for index, name in enumerate(table.columns) if "steps" in name}
    return {name: [row[index].text for row in table.rows] for name, index in found.items()}


def test_steps_to_the_criterion_stand_in_the_table_and_in_the_csv(learned):
    summary = learned.summarize([carry_out(run) for run in learned.runs])
    assert (summary.criterion, summary.steps_to_criterion[1]) == (3.5, {"trained": [6, 6], "ticket": [2, 2]})
    assert Summary.read(learned.folder / "results.json") == summary
    expected = {"trained: steps to 3.5": ["6", "6"], "ticket: steps to 3.5": ["2", "2"]}
    assert columns_of_steps(summary) == expected
    with (learned.folder / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["steps to 3.5"] for line in lines] == ["6", "2"] * 4
    assert notes(summary)[1].startswith("Steps to 3.5: the first step at which a validation was at or below")
    alone = Summary.of_run("here", carry_out(learned.runs[0]))
    assert columns_of_steps(alone) == {name: texts[:1] for name, texts in expected.items()}


def test_a_task_that_is_never_learned_says_never(learned, monkeypatch):
    monkeypatch.setattr(Learned, "criterion", 1.5)
    summary = learned.summarize([carry_out(run) for run in learned.runs])
    assert summary.steps_to_criterion[0] == {"trained": [None, None], "ticket": [6, 6]}
    assert columns_of_steps(summary)["trained: steps to 1.5"] == ["never", "never"]
    with (learned.folder / "results.csv").open() as file:
        assert [line["steps to 1.5"] for line in csv.DictReader(file)] == ["nan", "6"] * 4


def test_a_task_without_a_criterion_has_no_such_column(finished):
    assert not columns_of_steps(finished[1])
    assert finished[1].criterion is finished[1].steps_to_criterion is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.pop("criterion"), "of criterion and steps_to_criterion one is missing"),
        (lambda stored: stored["steps_to_criterion"].pop(), "steps_to_criterion does not have an entry for"),
        (lambda stored: stored["steps_to_criterion"][0].pop("ticket"), "does not have an entry for"),
        (lambda stored: stored["steps_to_criterion"][0].update(ticket=[2]), "does not have an entry for"),
        (
            lambda stored: stored["steps_to_criterion"][0].update(ticket=[2, "x"]),
            r"steps_to_criterion\[0\]: ",
        ),
    ],
)
def test_steps_that_do_not_fit_the_table_are_named(learned, change, message):
    learned.summarize([carry_out(run) for run in learned.runs])
    path = learned.folder / "results.json"
    stored = json.loads(path.read_text())
    change(stored)
    path.write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match=message):
        Summary.read(path)


def test_a_result_whose_steps_are_not_a_number_is_named(learned, tmp_path):
    carry_out(learned.runs[0])
    stored = json.loads((learned.runs[0].stage("trained") / "results.json").read_text())
    stored["measurements"]["steps to 3.5"] = "six"
    (tmp_path / "results.json").write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match=r"measurements\.steps to 3\.5 is not a whole number"):
        StageResult.read(tmp_path / "results.json")


class Pictured(Sum):
    """A task that draws something of its own."""

    def figures(self, model):
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot(model.decoder.weight.detach().flatten())
        return {"decoder": Picture(figure, "The decoder's weights.")}


def test_a_task_draws_figures_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(SumSettings, "task", f"{__name__}:Pictured")
    configuration = dataclasses.replace(TINY, task=SumSettings())
    comparison = Comparison(configuration, ["dense", "torus-dog"], [0], tmp_path, "table")
    summary = comparison.summarize([carry_out(run) for run in comparison.runs])
    assert "decoder" in {path.stem for path in draw_comparison(comparison, summary)}
    assert "The decoder&#39;s weights." in write_report([comparison.folder]).read_text()
