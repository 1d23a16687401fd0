"""Nothing is trained with a method that was not verified, or the result says so."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch

from moduli.errors import InvalidConfiguration
from moduli.models import BrokenMasks, InvalidSparsity, random_mask, register_mask_family
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.regularizers import BrokenRegularizer, Inhibitor, register_regularizer
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.cli import main
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments import verification
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.experiments.runs.run_folder import FINISHED
from moduli.verification import Report

METHODS = ("dense", "none", "l1", "torus-diffusion", "permuted-torus-dog", "torus-diffusion@a-priori")


@pytest.fixture
def broken_inhibitor(monkeypatch):
    monkeypatch.setattr(REGULARIZERS, "_entries", REGULARIZERS.snapshot())

    @register_regularizer("sinking")
    @dataclass(frozen=True)
    class Sinking(Inhibitor):
        """Negative beyond a distance."""

        def profile(self, distance):
            return 3 - distance


def compare(folder, *methods, **options):
    smoke = preset("adding", "smoke")
    short = replace(smoke, training=replace(smoke.training, steps=20))
    comparison = Comparison(short, methods, [0], folder, "table")
    results = comparison.carry_out(1, Execution(**options))
    return comparison.summarize(results)


def test_a_broken_inhibitor_stops_a_comparison_before_anything_is_trained(tmp_path, broken_inhibitor):
    with pytest.raises(BrokenRegularizer, match=r"the method 'torus-sinking' is broken.*clause 2, values"):
        compare(tmp_path, "none", "torus-sinking")
    assert not any(tmp_path.rglob("*"))


def test_built_in_methods_pass_and_no_generator_moves(tmp_path, monkeypatch):
    monkeypatch.setattr("moduli.tasks.experiments.comparisons.comparison.in_workers", lambda *arguments: [])
    before = torch.get_rng_state()
    comparison = Comparison(preset("adding", "smoke"), METHODS, [0], tmp_path, "table")
    assert comparison.carry_out(1) == []
    assert torch.equal(torch.get_rng_state(), before)


def test_the_result_says_whether_methods_were_verified(tmp_path):
    assert compare(tmp_path / "with", "none").verified
    assert not compare(tmp_path / "without", "none", verify=False).verified
    files = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("trained/results.json"))]
    assert [file["verified"] for file in files] == [True, False]
    assert files[0]["score"] == files[1]["score"]


def test_the_command_takes_no_verify():
    assert parse(["run", "adding", "--preset", "smoke"]).verify
    assert not parse(["run", "adding", "--preset", "smoke", "--no-verify"]).verify


def test_no_verify_is_written_into_every_result(tmp_path, capsys):
    options = ["--preset", "smoke", "--steps", "6", "--out", str(tmp_path), "--jobs", "1", "--json"]
    main(["compare", "adding", "--methods", "none", "--no-verify", *options])
    assert json.loads(capsys.readouterr().out)["verified"] is False
    files = [json.loads(path.read_text()) for path in tmp_path.rglob("results.json")]
    assert len(files) == 3
    assert not any(file["verified"] for file in files)


def counted(monkeypatch):
    """Return the parts that are checked, as a list that grows; all pass at once."""
    checked = []
    for part in ("manifold", "regularizer", "masks", "sparsifier"):

        def check(*arguments, part=part, **options):
            checked.append(part)
            return Report(part, arguments[0], (), ("", ""))

        monkeypatch.setattr(verification, f"check_{part}", check)
    return checked


def test_a_method_is_verified_once_and_its_masks_at_each_sparsity(tmp_path, monkeypatch):
    monkeypatch.setattr("moduli.tasks.experiments.comparisons.comparison.in_workers", lambda *arguments: [])
    checked = counted(monkeypatch)

    def parts(*methods):
        checked.clear()
        smoke, sparsities = preset("adding", "smoke"), [0.6, 0.7, 0.8]
        comparison = Comparison(smoke, methods, [0, 1], tmp_path, "table", sparsities)
        comparison.carry_out(1)
        return {part: checked.count(part) for part in dict.fromkeys(checked)}

    assert parts("dense") == {}
    assert parts("none") == {"sparsifier": 1}
    assert parts("torus-dog") == {"manifold": 1, "regularizer": 1, "sparsifier": 1}
    assert parts("torus-dog", "torus-dog@linear", "torus-diffusion") == {
        "manifold": 1,
        "regularizer": 2,
        "sparsifier": 3,
    }
    assert parts("ring@a-priori") == {"masks": 1, "sparsifier": 3}
    assert parts("torus-dog@a-priori") == {"manifold": 1, "regularizer": 1, "sparsifier": 3}


def test_what_is_finished_is_not_verified_again(tmp_path, monkeypatch):
    checked = counted(monkeypatch)
    smoke = preset("adding", "smoke")
    short = replace(smoke, training=replace(smoke.training, steps=4))
    comparison = Comparison(short, ["none"], [0], tmp_path, "table")
    comparison.carry_out(1)
    assert checked == ["sparsifier"]
    assert comparison.summarize(comparison.carry_out(1)).verified
    assert checked == ["sparsifier"]
    replace(comparison, seeds=[0, 1]).carry_out(1)
    assert checked == ["sparsifier", "sparsifier"]


@pytest.mark.parametrize("lost", FINISHED)
def test_what_is_trained_again_is_verified_again(tmp_path, monkeypatch, lost):
    checked = counted(monkeypatch)
    smoke = preset("adding", "smoke")
    short = replace(smoke, training=replace(smoke.training, steps=4))
    comparison = Comparison(short, ["none"], [0], tmp_path, "table", tickets=False)
    comparison.carry_out(1)
    (run,) = comparison.runs
    (run.stage("trained") / lost).unlink()
    comparison.carry_out(1)
    assert checked == ["sparsifier", "sparsifier"]


def test_a_broken_family_of_masks_stops_a_comparison(tmp_path, monkeypatch):
    monkeypatch.setattr(MASK_FAMILIES, "_entries", MASK_FAMILIES.snapshot())

    @register_mask_family("half", claims=("symmetric",))
    def half(n, *, sparsity, seed):
        return random_mask(n, n, sparsity=sparsity, seed=seed)

    with pytest.raises(BrokenMasks, match=r"method 'half@a-priori' is broken\. .*breaks clause 6, symmetric"):
        compare(tmp_path, "none", "half@a-priori")
    assert not any(tmp_path.rglob("*"))


def test_what_a_network_refuses_is_said_as_it_is(tmp_path):
    comparison = Comparison(preset("adding", "smoke"), ["ring@a-priori"], [0], tmp_path, "table", [0.99])
    with pytest.raises(InvalidSparsity, match=r"so that sparsity is at most 0\.96875; got 0\.99"):
        comparison.carry_out(1)


SINKING = """
from dataclasses import dataclass, replace
from moduli.regularizers import Inhibitor

@dataclass(frozen=True)
class Sinking(Inhibitor):
    def profile(self, distance):
        return 3 - distance
"""


def test_a_plugin_s_broken_inhibitor_stops_the_command_before_anything_is_trained(tmp_path):
    plugin, runs = tmp_path / "plugin", tmp_path / "runs"
    info = plugin / "sinking-1.0.dist-info"
    info.mkdir(parents=True)
    (plugin / "sinking.py").write_text(SINKING)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sinking\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[moduli.regularizers]\nsinking = sinking:Sinking\n")
    command = ["compare", "adding", "--preset", "smoke", "--methods", "torus-sinking", "--jobs", "1"]
    done = subprocess.run(
        [sys.executable, "-c", "from moduli.tasks.cli import main; main()", *command, "--out", str(runs)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(plugin), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 2, done.stdout
    assert "Nothing was trained, since the method 'torus-sinking' is broken." in done.stderr
    assert "breaks clause 2, values: coefficients are finite and not negative" in done.stderr
    assert not runs.exists()


@pytest.mark.parametrize("name", ["torus-dog", "torus-dog@a-priori", "rewired-torus-dog@a-priori"])
def test_a_network_of_one_neuron_has_no_distances_and_no_clause_is_blamed(tmp_path, name):
    smoke = preset("adding", "smoke")
    one = replace(smoke, task=replace(smoke.task, units=1), pruning=replace(smoke.pruning, sparsity=0.0))
    message = rf"method '{name}' does not suit this network\. Diff\w+\(\) cannot be normalised"
    with pytest.raises(InvalidConfiguration, match=message):
        Comparison(one, [name], [0], tmp_path, "table").carry_out(1)
    assert not any(tmp_path.rglob("*"))
