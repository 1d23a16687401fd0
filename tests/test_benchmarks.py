"""What is prepared for accelerators, and the preregistered experiment, work at toy size on a CPU."""

import csv
import importlib.util
import io
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from moduli.tasks.experiments.comparisons.summary import Summary

ROOT = Path(__file__).parents[1]


def run(*arguments):
    process = subprocess.run(
        [sys.executable, "-W", "ignore", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_every_part_for_accelerators_works_on_a_cpu(tmp_path):
    run(ROOT / "benchmarks" / "accelerator.py", "--device", "cpu", "--toy", "--out", tmp_path)
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["finished"]
    assert [row["check"] for row in found["checks"] if not row["holds"]] == []
    assert len(found["checks"]) > 40
    for part in ("distances", "penalties", "fast modules", "large networks", "navigation"):
        assert found[part]
        assert not [row for row in found[part] if "failed" in row]
    losses = [(row["loss"], row["minimal loss"]) for row in found["navigation"]]
    assert all(abs(ours - theirs) < 0.1 for ours, theirs in losses)
    assert "| check | holds |" in (tmp_path / "results.md").read_text()


def test_the_published_tables_are_trained_piece_by_piece(tmp_path):
    script = ROOT / "benchmarks" / "published.py"
    common = ("--device", "cpu", "--preset-name", "smoke", "--methods", "none", "--precision", "32-true")
    cut = run(script, *common, "--minutes", 0.0, "--out", tmp_path)
    assert "the same command goes on" in cut
    whole = run(script, *common, "--minutes", 5, "--out", tmp_path)
    assert "method none, seed 0, stage trained, error (cm)" in whole
    (row,) = csv.DictReader((tmp_path / "networks.csv").read_text().splitlines())
    (result,) = (json.loads(path.read_text()) for path in tmp_path.rglob("results.json"))
    assert float(row["error (cm)"]) == result["score"]
    assert float(row["left of recurrent.weight_hh_l0"]) == 1 - result["sparsity"]["total"]


@pytest.fixture
def experiment(monkeypatch):
    """Return the preregistered experiment's script, in a world that trains in no time."""
    spec = importlib.util.spec_from_file_location("which_property", ROOT / "benchmarks" / "which_property.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "which_property", module)
    spec.loader.exec_module(module)
    tiny = replace(
        module.WORLD,
        task=replace(module.WORLD.task, units=20, cells=10, walk_length=4, long_walk_length=8, test_walks=20),
        training=replace(module.WORLD.training, steps=4, batch=5, log_interval=2),
    )
    monkeypatch.setattr(module, "WORLD", tiny)
    return module


def test_the_experiment_trains_what_is_left_and_tests_nothing_before(
    experiment, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(experiment, "PARTS", {"practice": (("narrow", "random@a-priori"), 2)})
    out, folder = tmp_path / "networks", tmp_path / "results"
    with pytest.raises(SystemExit, match="4 of the 4 networks of the part practice are not trained"):
        experiment.test(["practice"], "trained", 0.75, out, folder)
    experiment.train(experiment.runs_of(["practice"], 0.75, out), "trained")
    assert "seed 201 narrow 75% trained" in capsys.readouterr().out
    experiment.train(experiment.runs_of(["practice"], 0.75, out), "trained")
    assert capsys.readouterr().out == ""
    experiment.test(["practice"], "trained", 0.75, out, folder)
    assert "| narrow | 2 |" in capsys.readouterr().out
    assert (folder / "errors-trained-75.png").exists()
    rows = list(csv.DictReader(io.StringIO((folder / "networks-trained-75.csv").read_text())))
    assert [row["closed"] == "" for row in rows] == [True, False, True, False]


def made_up(experiment, shifts, seeds=12):
    """Return networks whose errors are a seed's own, some noise, and the shifts of their masks."""
    generator = torch.Generator().manual_seed(0)
    return [
        experiment.Network(
            name, seed, "trained", 7 + float(noise) + short, 8 + float(noise) + long, 6.0, 41.0, 1.0, "",
            transitivity=0.5 + 0.1 * float(noise), reach=100 + short, gap=0.3 + short / 10,
            closed=2 - short, radius=1 + 0.1 * float(noise),
        )
        for seed in range(seeds)
        for name, (short, long) in shifts.items()
        for noise in [0.1 * torch.randn((), generator=generator)]
    ]  # fmt: skip


def test_hypotheses_are_confirmed_where_they_hold_and_only_there(experiment):
    torus, rewired, cliques = experiment.PARTS["primary"][0]
    true = made_up(experiment, {torus: (0, 0), rewired: (0.6, 0.6), cliques: (0.02, 1.0)})
    assert [holds for _, _, holds in experiment.primary(true)] == [True] * 4
    false = made_up(experiment, {torus: (0, 0), rewired: (0, 0), cliques: (0.5, 0)})
    assert [holds for _, _, holds in experiment.primary(false)] == [False] * 4
    contrasts = [each for _, each, _ in experiment.primary(true)]
    raw = [each.equivalence_p if each.p is None else each.p for each in contrasts]
    fixed = [each.corrected_equivalence_p if each.p is None else each.corrected_p for each in contrasts]
    assert len([p for each in contrasts for p in (each.p, each.equivalence_p) if p is not None]) == 4
    assert max(fixed) == pytest.approx(max(4 * min(raw), 3 * sorted(raw)[1], 2 * sorted(raw)[2], max(raw)))


def test_a_dose_is_found_where_there_is_one(experiment):
    shifts = {f"mask {index}": (0.2 * index, 0.0) for index in range(6)}
    found = experiment.dose_response(made_up(experiment, shifts), draws=50)
    assert found["closed"]["explained"] > 0.9
    assert found["closed"]["slope"] < 0 < found["gap"]["slope"]
    assert found["transitivity"]["explained"] < 0.2
    panels = experiment.draw_dose(made_up(experiment, shifts)).axes
    assert sum(axes.axison for axes in panels) == len(experiment.STATISTICS)
    names = {name: (share, 0.0) for share, name in experiment.SWEEP.items()}
    assert experiment.sweep(made_up(experiment, names))["50 steps"]["mean"] > 0.8


def beside(experiment, name):
    """Return another script of the experiment's world."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tile_networks(experiment):
    """Return the script on tiles."""
    return beside(experiment, "tile_networks")


def test_learning_rates_are_chosen_by_validation_and_tested_elsewhere(
    experiment, tmp_path, monkeypatch, capsys
):
    script = beside(experiment, "under_trained")
    monkeypatch.setattr(script, "RATES", (1e-9, 1e-2))
    monkeypatch.setattr(script, "TESTING", range(410, 412))
    monkeypatch.setattr(script, "STEPS", 4)
    out, folder = tmp_path / "networks", tmp_path / "results"
    experiment.train(script.choosing_runs(out), "trained")
    found = script.validations(out)
    assert script.chosen_rates(out) == {
        kind: min(of_rates, key=lambda rate: sum(of_rates[rate])) for kind, of_rates in found.items()
    }
    with pytest.raises(SystemExit, match="6 of the 6 networks are not trained yet"):
        script.table(out, folder)
    assert json.loads((folder / "choice.json").read_text())["chosen"] == script.chosen_rates(out)
    runs = script.testing_runs(out)
    assert {run.seed for run in runs} == {410, 411}
    assert {run.configuration.training.steps for run in runs} == {8}
    experiment.train(runs, "trained")
    script.table(out, folder)
    rows = json.loads((folder / "tests.json").read_text())["tests"]
    assert [row["method"].partition(" − ")[2] for row in rows] == [
        f"{other}, {outcome} steps" for outcome in (50, 100) for other in ("dense", script.REWIRED)
    ]
    assert "| torus-diffusion@a-priori − dense, 50 steps |" in capsys.readouterr().out


def test_what_is_drawn_of_every_world_stands_in_its_table(experiment):
    script = beside(experiment, "local_or_rewired")
    found = list(script.lines())
    with (ROOT / "results" / "local-or-rewired.csv").open() as file:
        stored = list(csv.DictReader(file))
    assert [float(row["difference"]) for row in stored] == pytest.approx([each.difference for each in found])
    assert [float(row["half_width"]) for row in stored] == pytest.approx([each.half_width for each in found])
    words = ("question", "world", "settings", "stage")
    assert [[row[name] for name in words] for row in stored] == [
        [asdict(each)[name] for name in words] for each in found
    ]
    dots = [line for axes in script.draw(found).axes for line in axes.containers]
    assert len(dots) == len(found)


def test_a_method_that_learns_later_or_never_is_told_from_its_control(experiment, tmp_path):
    script = beside(experiment, "learning_speed")
    summary = Summary.read(ROOT / "results" / "cognition-again" / "results.json")
    usual = list(range(1000, 2000, 100))
    later = [*(step + 100 for step in usual[:-1]), None]

    def found(control, other):
        steps = [{"trained": each, "ticket": usual} for each in (control, other)]
        torus = script.tests(replace(summary, steps_to_criterion=steps))[2:]
        return [(each["never"], each["median difference"], each["corrected p"]) for each in torus]

    assert found(usual, later) == [(1, 100, pytest.approx(2 * 0.002, rel=0.05)), (0, 0, 1.0)]
    assert found(later, later) == [(1, 0, 1.0), (0, 0, 1.0)]
    assert found([None] * 10, usual)[0][1] < 0


def test_another_outcome_is_tested_as_scores_are(experiment):
    script = beside(experiment, "other_outcomes")
    folder = ROOT / "results" / "penalties-tuned"
    summary = Summary.read(folder / "results.json")
    with (folder / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    again = script.tests(summary, lines, ["score"], summary.margin)["tests"]
    assert [each["difference"] for each in again] == pytest.approx([e.difference for e in summary.contrasts])
    assert [each["corrected_p"] for each in again] == pytest.approx(
        [e.corrected_p for e in summary.contrasts]
    )
    long = script.tests(summary, lines, ["long walks: error"], None)
    stored = json.loads((folder / "long-walks-error.json").read_text())
    assert [each["mean"] for each in long["means"]] == pytest.approx(
        [each["mean"] for each in stored["means"]]
    )
    assert [each["verdict"] for each in long["tests"]] == ["not settled"] * 4
    both = script.tests(summary, lines, ["score", "long walks: error"], None)["tests"]
    assert [each["p"] for each in both[4:]] == [each["p"] for each in long["tests"]]
    assert all(
        one["corrected_p"] >= two["corrected_p"] for one, two in zip(both[4:], long["tests"], strict=True)
    )


def test_tiles_are_compared_where_all_networks_are_trained(tile_networks, tmp_path, monkeypatch, capsys):
    methods = (tile_networks.TILES, tile_networks.BRIDGED[1], "narrow")
    monkeypatch.setattr(tile_networks, "PARTS", {"bridges": (methods, range(300, 302), (0.75, 0.8))})
    out, folder = tmp_path / "networks", tmp_path / "results"
    tile_networks.train(tile_networks.runs_of("bridges", 0.75, out), "trained")
    tile_networks.table("bridges", "trained", out, folder)
    printed = capsys.readouterr().out
    assert "75% zeros, trained: 6 of 6 networks are trained." in printed
    assert "80% zeros, trained: 0 of 6 networks are trained." in printed
    assert {path.name for path in folder.iterdir()} == {
        "bridges-trained-75.csv",
        "bridges-trained-75.json",
        "bridges-trained-75.png",
    }
    rows = json.loads((folder / "bridges-trained-75.json").read_text())["differences from tiles"]
    assert len(rows) == 4


def test_steps_are_timed_over_the_dense_network_s(tile_networks, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tile_networks, "TIMED", ("dense", tile_networks.TILES))
    monkeypatch.setattr(tile_networks, "SPARSITIES", (0.75,))
    tile_networks.steps(2, 3, tmp_path)
    rows = json.loads((tmp_path / "steps.json").read_text())["rows"]
    assert [len(row["seconds"]) for row in rows] == [2, 2]
    assert rows[0]["over dense"] == 1
    assert "| 75% | torus-tiles@a-priori |" in capsys.readouterr().out
