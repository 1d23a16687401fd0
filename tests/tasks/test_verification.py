"""Nothing is trained with a method that was not verified, or the result says so."""

import json
from dataclasses import dataclass

import pytest
import torch

from moduli.regularizers import BrokenRegularizer, Inhibitor, register_regularizer
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments.comparison import Comparison
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.presets import preset

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
    comparison = Comparison(preset("adding", "smoke"), methods, [0], folder, "table")
    results = comparison.carry_out(1, Execution(**options))
    return comparison.summarize(results)


def test_a_broken_inhibitor_stops_a_comparison_before_anything_is_trained(tmp_path, broken_inhibitor):
    with pytest.raises(BrokenRegularizer, match=r"the method 'torus-sinking' is broken.*clause 2, values"):
        compare(tmp_path, "none", "torus-sinking")
    assert not any(tmp_path.rglob("*"))


def test_built_in_methods_pass_and_no_generator_moves(tmp_path, monkeypatch):
    monkeypatch.setattr("moduli.tasks.experiments.comparison.carry_out_all", lambda *arguments: [])
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
