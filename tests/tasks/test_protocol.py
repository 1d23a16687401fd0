"""Clauses T1-T5: one protocol, seeds, resumption, files, and the table."""

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from moduli.errors import InvalidConfiguration
from moduli.manifolds import Euclidean, MetricAxiomError, Torus
from moduli.manifolds.registry import MANIFOLDS
from moduli.tasks.cli import main
from moduli.tasks.errors import DamagedFile, Diverged, RunMismatch, UnknownMethod
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.training.metrics_log import MetricsLog
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.figures.flat import draw_neuron_on_plane
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.report.terminal import Progress, print_summary
from moduli.tasks.seeds import stream_seed

TINY = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=20, batch=5, learning_rate=0.01, log_interval=5),
    PruningSettings(sparsity=0.8, strength=1.0),
)


ALWAYS = Execution(checkpoint_seconds=0.0)


def weights(run: Run, stage: str) -> dict[str, torch.Tensor]:
    return load_file(run.stage(stage) / "weights.safetensors")


@pytest.mark.parametrize(
    "name", ["dense", "none", "l1", "torus-diffusion", "permuted-klein-dog", "torus-diffusion@a-priori"]
)
def test_every_method_goes_through_the_whole_protocol(tmp_path, name):
    run = Run(TINY, name, 0, tmp_path)
    results = carry_out(run)
    for stage, result in results.items():
        assert math.isfinite(result.score)
        assert result.training == TINY.as_dict()["training"]
        assert result.seed == 0
        assert result.seconds > 0
        assert {"versions", "commit", "machine", "finished"} <= result.as_dict().keys()
        assert result.sparsity["total"] == pytest.approx(0 if name == "dense" else 0.8, abs=0.01)
        rows = read_metrics(run.stage(stage))
        assert [row["step"] for row in rows] == [5, 10, 15, 20]
        assert not (run.stage(stage) / "checkpoint.safetensors").exists()
    trained, ticket = weights(run, "trained"), weights(run, "ticket")
    for key in trained:
        if name != "dense":
            assert torch.equal(trained[key] != 0, ticket[key] != 0)
        assert not torch.equal(trained[key], ticket[key])


def test_masks_known_a_priori_are_the_places_of_the_smallest_coefficients_from_the_first_step(tmp_path):
    run = Run(TINY, "torus-diffusion@a-priori", 0, tmp_path)
    carry_out(run)
    assert {row["sparsity"] for row in read_metrics(run.stage("trained"))} == {115 / 144}
    state = load_file(run.stage("trained") / "sparsifier.safetensors")
    embedding = state["embedding.recurrent.weight_hh_l0"]
    distances, alive = Torus().pairwise(embedding), state["mask.recurrent.weight_hh_l0"]
    assert distances[alive].max() <= distances[~alive].min()
    assert alive.diagonal().all()


def test_masks_known_a_priori_are_refused_where_other_matrices_are_cut_too(tmp_path):
    with pytest.raises(InvalidConfiguration, match="'recurrent' for the method torus-dog@a-priori@layer"):
        Comparison(TINY, ["dense", "torus-dog@a-priori@layer"], [0], tmp_path, "refused")


def test_each_seed_changes_weights_embedding_and_data(tmp_path):
    runs = [Run(TINY, "torus-diffusion", seed, tmp_path / str(seed)) for seed in (0, 1)]
    scores = [carry_out(run)["trained"].score for run in runs]
    states = [load_file(run.stage("trained") / "sparsifier.safetensors") for run in runs]
    assert scores[0] != scores[1]
    key = "embedding.recurrent.weight_hh_l0"
    assert not torch.equal(states[0][key], states[1][key])


def test_streams_are_independent():
    parts = [(seed, purpose, index) for seed in range(5) for purpose in ("a", "b") for index in range(5)]
    assert len({stream_seed(*part) for part in parts}) == len(parts)


class Killed(BaseException):
    """Stands for a signal: nothing but the test catches it."""


@pytest.mark.parametrize("name", ["dense", "torus-diffusion"])
@pytest.mark.parametrize("deaths", [[3], [7, 12], [22, 31, 38]])
def test_a_killed_run_resumes_and_ends_bit_identical(tmp_path, monkeypatch, name, deaths):
    whole, broken = Run(TINY, name, 0, tmp_path / "whole"), Run(TINY, name, 0, tmp_path / "broken")
    expected = carry_out(whole)

    from moduli.tasks.navigation.task import Navigation

    original, count = Navigation.loss, 0

    def mortal(self, model, batch):
        nonlocal count
        count += 1
        if deaths and count == deaths[0]:
            deaths.pop(0)
            raise Killed
        return original(self, model, batch)

    monkeypatch.setattr(Navigation, "loss", mortal)
    deaths = list(deaths)
    results = None
    for _ in range(len(deaths) + 1):
        try:
            results = carry_out(broken, ALWAYS)
        except Killed:
            continue
    assert results is not None
    for stage in ("trained", "ticket"):
        assert results[stage].score == expected[stage].score
        ours, theirs = weights(broken, stage), weights(whole, stage)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        losses = [[row["loss"] for row in read_metrics(run.stage(stage))] for run in (broken, whole)]
        assert losses[0] == losses[1]


def test_a_finished_run_is_never_repeated(tmp_path, monkeypatch):
    run = Run(TINY, "none", 0, tmp_path)
    first = carry_out(run)
    monkeypatch.setattr("moduli.tasks.experiments.protocol.train", lambda *_: pytest.fail("trained again"))
    assert carry_out(run) == first


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("format", 1, "format is 1 there, 2 here"), ("seed", 5, "seed is 5 there, 0 here")],
)
def test_a_folder_of_another_version_or_run_is_refused_and_kept(tmp_path, key, value, message):
    run = Run(TINY, "none", 0, tmp_path)
    carry_out(run)
    config = run.stage("trained") / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {key: value}))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(RunMismatch, match=message):
        carry_out(run)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_runs_are_shared_exactly_where_their_numbers_are(tmp_path):
    def folder(method="none", seed=0, **pruning):
        changed = replace(TINY, pruning=replace(TINY.pruning, **pruning))
        return Run(changed, method, seed, tmp_path).folder

    assert folder("dense") == folder("dense", sparsity=0.5)
    assert folder("none", scope="layer") != folder("none")
    others = [folder(), folder(seed=1), folder("dense"), folder(sparsity=0.5), folder("none@layer")]
    assert len(set(others)) == len(others)


@pytest.mark.parametrize("file", ["config.json", "results.json", "sparsifier.safetensors"])
def test_a_damaged_file_is_named(tmp_path, file):
    run = Run(TINY, "none", 0, tmp_path)
    carry_out(run)
    (run.stage("ticket") / "results.json").unlink()
    path = run.stage("trained") / file
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DamagedFile, match=file.replace(".", r"\.")):
        carry_out(run)


def test_a_diverging_run_stops_with_a_clear_error(tmp_path, monkeypatch):
    from moduli.tasks.navigation.task import Navigation

    original = Navigation.loss
    monkeypatch.setattr(Navigation, "loss", lambda *args: original(*args) * math.inf)
    with pytest.raises(Diverged, match=r"The loss is nan at step 5 .*lower the learning rate"):
        carry_out(Run(TINY, "dense", 0, tmp_path))


def test_half_written_rows_of_metrics_are_dropped(tmp_path):
    folder = RunFolder(tmp_path, {})
    with MetricsLog(folder, 0, Execution()) as log:
        for step in (5, 10, 15):
            log.append({"step": step, "loss": 1.0})
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("20,")
    assert [row["step"] for row in read_metrics(tmp_path)] == [5, 10, 15]
    MetricsLog(folder, 10, Execution())
    assert [row["step"] for row in read_metrics(tmp_path)] == [5, 10]


def test_comparison_table_figures_and_files(tmp_path):
    comparison = Comparison(TINY, ["dense", "none", "torus-diffusion"], [0, 1], tmp_path, "table")
    results = [carry_out(run) for run in comparison.runs]
    summary = comparison.summarize(results)
    assert json.loads((comparison.folder / "results.json").read_text()) == summary.as_dict()
    assert [row.method for row in summary.rows] == ["dense", "none", "torus-diffusion"]
    scores = [result["ticket"].score for result in results if result["ticket"].method == "dense"]
    assert summary.rows[0].ticket == scores
    for path in draw_comparison(comparison, summary):
        with Image.open(path) as picture:
            colours = picture.convert("RGB").getcolors(maxcolors=2**20)
        assert len(colours) > 20, f"{path.name} shows nothing"
    console = Console(record=True, width=100)
    print_summary(console, comparison, summary)
    console.print(Progress(comparison.runs))
    text = console.export_text()
    for expected in ("torus-diffusion", "79.9%", "±", "floor", "standing still", "random output", "done"):
        assert expected in text
    assert "Pruned: every recurrent weight matrix alone; all other weights" in text


def test_equal_coefficients_are_drawn_as_no_geometry_whatever_self_connections_cost(tmp_path):
    names = {}
    for name in ("l1@free-diagonal", "torus-dog@free-diagonal"):
        comparison = Comparison(TINY, [name], [0], tmp_path, name)
        summary = comparison.summarize([carry_out(run) for run in comparison.runs])
        names[name] = {path.stem for path in draw_comparison(comparison, summary)}
    assert "shape" not in names["l1@free-diagonal"]
    assert {"scores", "shape", "weights"} <= names["torus-dog@free-diagonal"]


def test_a_neuron_is_not_drawn_on_a_torus_where_its_method_placed_it_elsewhere(tmp_path, monkeypatch):
    drawn = []

    def count(panel, *arguments):
        drawn.append(panel)
        return draw_neuron_on_plane(panel, *arguments)

    monkeypatch.setattr("moduli.tasks.figures.geometry.draw_neuron_on_plane", count)
    comparison = Comparison(TINY, ["dense", "circle-diffusion", "torus-diffusion"], [0], tmp_path, "table")
    draw_comparison(comparison, comparison.summarize([carry_out(run) for run in comparison.runs]))
    titles = [panel.get_title().split()[0] for panel in drawn]
    assert titles == ["dense", "torus-diffusion"]


def test_a_smaller_table_in_the_same_folder_leaves_no_figure_of_the_larger(tmp_path):
    drawn = []
    for sparsities in ([0.5, 0.8], [0.8]):
        comparison = Comparison(TINY, ["dense", "torus-diffusion"], [0], tmp_path, "table", sparsities)
        summary = comparison.summarize([carry_out(run) for run in comparison.runs])
        paths = draw_comparison(comparison, summary)
        assert sorted(paths) == sorted((comparison.folder / "figures").iterdir())
        drawn.append({path.stem for path in paths})
    assert drawn[0] - drawn[1] == {"sparsity"}


def test_what_is_left_of_each_matrix_is_told_where_several_are_pruned_together(tmp_path):
    comparison = Comparison(TINY, ["dense", "none@global", "none"], [0, 1], tmp_path, "table")
    results = [carry_out(run) for run in comparison.runs]
    summary = comparison.summarize(results)
    dense, together, alone = (row.matrices for row in summary.rows)
    assert dense == {}
    assert list(alone) == ["recurrent.weight_hh_l0"]
    recurrent = together["recurrent.weight_hh_l0"]
    assert recurrent == [result["trained"].sparsity["recurrent.weight_hh_l0"] for result in results[1::3]]
    console = Console(record=True, width=100)
    print_summary(console, comparison, summary)
    text = console.export_text()
    assert f"{sum(recurrent) / 2:.2%}" in text
    assert "nothing is left" not in text
    summary.rows[1].matrices["decoder.weight"] = [0.5, 1.0]
    print_summary(console, comparison, summary)
    assert "none@global 80%: nothing is left of decoder.weight in 1 of 2 seeds." in console.export_text()
    with (comparison.folder / "results.csv").open() as file:
        records = list(csv.DictReader(file))
    assert [record["sparsity of encoder.weight"] for record in records if record["stage"] == "trained"] == [
        *["", ""], *map(str, together["encoder.weight"]), *["", ""],
    ]  # fmt: skip
    assert "survivors" in {path.stem for path in draw_comparison(comparison, summary)}


def test_an_interval_covers_the_mean_as_often_as_it_says():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(2000, 5, generator=generator, dtype=torch.float64)
    estimates = [Estimate.of(sample) for sample in samples.tolist()]
    covered = sum(abs(estimate.mean) <= estimate.half_width for estimate in estimates) / len(estimates)
    assert covered == pytest.approx(0.95, abs=0.015)
    assert Estimate.of([3.0]).text() == "3.0"


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        (PruningSettings, {"sparsity": 1.0}, r"sparsity must be in \[0, 1\); got 1\.0"),
        (PruningSettings, {"begin": 0.7}, "end must be a share after begin"),
        (PruningSettings, {"strength": -1}, "strength must be non-negative"),
        (TrainingSettings, {"steps": 0}, "steps must be positive"),
        (NavigationSettings, {"cells": 2}, "cells must be at least 3"),
    ],
)
def test_bad_settings(settings, change, message):
    with pytest.raises(InvalidConfiguration, match=message):
        settings(**change)


def test_unknown_methods_are_refused_before_anything_runs(tmp_path):
    with pytest.raises(UnknownMethod, match="did you mean 'diffusion'"):
        Comparison(TINY, ["dense", "torus-difusion"], [0], tmp_path / "folder", "table")
    assert not (tmp_path / "folder").exists()


def test_command_line_compares_and_reports(tmp_path, capsys):
    size = "--units 12 --cells 10 --steps 20 --walk-length 4 --batch 5 --test-walks 20"
    options = f"--preset smoke {size} --jobs 1 --methods dense,none --out {tmp_path}"
    main(["compare", "navigation", *options.split()])
    printed = capsys.readouterr().out
    assert "2 runs, 1 at once" in printed
    assert "floor: decoding the true activity" in printed
    assert "One seed says little" in printed
    assert "\x1b" not in printed
    (folder,) = tmp_path.glob("navigation-smoke-*")
    assert (folder / "figures" / "training.png").exists()
    table = (folder / "results.json").read_bytes()
    main(["run", "navigation", *options.replace("--methods dense,none", "--method none --seed 4").split()])
    assert "90.3%" in capsys.readouterr().out
    assert (folder / "results.json").read_bytes() == table


class Broken(Euclidean):
    """A space whose distance depends on the direction."""

    def distance(self, x, y):
        return super().distance(x, y) * torch.where(x[..., 0] < y[..., 0], 1.0, 1.5).to(x)


def test_nothing_is_trained_on_what_is_no_metric_space(tmp_path, monkeypatch):
    monkeypatch.setattr(MANIFOLDS, "_entries", MANIFOLDS.snapshot() | {"broken": Broken})
    with pytest.raises(MetricAxiomError, match="symmetry"):
        list(Comparison(TINY, ["broken-diffusion"], [0], tmp_path / "folder", "table").carry_out(jobs=1))
    assert not (tmp_path / "folder").exists()


def test_command_line_checks_and_lists(capsys):
    main(["check", "torus", "--kwargs", "dim=1", "period=2.5", "--cases", "200"])
    assert "triangle" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["check", "tests.tasks.test_protocol:Broken", "--cases", "200"])
    assert stop.value.code == 1
    assert "symmetry" in capsys.readouterr().out
    main(["list", "manifolds"])
    assert "klein" in capsys.readouterr().out
    main(["list", "regularizers"])
    assert "dog" in capsys.readouterr().out
    main(["check", "torus", "--cases", "50", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert "triangle" in [clause["name"] for clause in report["clauses"]]
    main(["list", "regularizers", "--json"])
    assert json.loads(capsys.readouterr().out)["dog"].startswith("Coefficients")


def test_json_output_is_the_table_and_nothing_else(tmp_path, capsys):
    size = "--units 12 --cells 10 --steps 20 --walk-length 4 --batch 5 --test-walks 20"
    main(["run", "navigation", *f"{size} --method none --json --out {tmp_path}".split()])
    printed = json.loads(capsys.readouterr().out)
    (path,) = tmp_path.glob("*/results.json")
    assert printed == json.loads(path.read_text())
    assert printed["command"].startswith("moduli run navigation --units 12")


def test_a_pipe_that_closes_is_no_error(tmp_path):
    command = f"{sys.executable} -c 'from moduli.tasks.cli import main; main()' compare --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("usage: moduli compare")
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "tours"], "did you mean 'torus'"),
        (["check", "torus", "--kwargs", "perod=3"], "did you mean 'period'"),
        (["compare", "navigation", "--methods", "dens"], "did you mean 'dense'"),
        (["compare", "navigation", "--seeds", "0"], "seeds must be at least one"),
        (["compare", "navigation", "--first-seed", "-1"], "seed must be a whole number from 0"),
        (["compare", "navigation", "--jobs", "0"], "jobs must be positive"),
        (["compare", "navigation", "--sparsities", "0.9,0.9"], "sparsities must be all different"),
        (["compare", "navigation", "--sparsities", "0.9;0.8"], "--sparsities takes numbers"),
        (["compare", "navigation", "--methods", "none,none"], "methods must be all different"),
        (["compare", "navigation", "--control", "nne"], "did you mean 'none'"),
        (["run", "navigation", "--device", "cdua"], "The device 'cdua' cannot be used here"),
        (["run", "navigation", "--devices", "3"], "batch must be a multiple of 3 devices; got 100"),
        (["compare", "navigation", "--sparsity", "1.5"], "sparsity must be in [0,"),
    ],
)
def test_mistakes_on_the_command_line_exit_with_2(capsys, monkeypatch, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom moduli.tasks.cli import main\n"
        "try: main(['compare', 'navigation', '--help'])\nexcept SystemExit: pass\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "--methods" in done.stdout
