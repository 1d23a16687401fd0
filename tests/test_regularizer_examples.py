"""Clause R9: the neighbours' methods are short compositions, and the examples show what they say."""

import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]


def example(name):
    return runpy.run_path(str(ROOT / "examples" / f"{name}.py"))


def test_a_spatially_embedded_network_shortens_its_connections_and_still_learns():
    main = example("spatially_embedded_rnn")["main"]
    free, charged = main(steps=80, strength=0.0), main(steps=80, strength=100.0)
    assert charged["loss"] < 0.05
    assert charged["length"] < 0.85 * free["length"]


def test_swapping_neurons_cheapens_the_wiring_and_changes_no_weight():
    wiring = example("wiring_cost")
    costs = wiring["main"](neurons=16, rounds=2)
    assert costs[-1] < 0.6 * costs[0]
    assert costs == sorted(costs, reverse=True)
    plane = wiring["Euclidean"](2)
    points = plane.random_point(9, torch.Generator().manual_seed(0))
    weight = torch.randn(9, 9, generator=torch.Generator().manual_seed(1))
    swapped = wiring["swap_neurons"](weight, plane, points)
    assert torch.equal(swapped.sort(dim=0).values, points.sort(dim=0).values)
    assert wiring["wiring_cost"](weight, plane, swapped) < wiring["wiring_cost"](weight, plane, points)


def test_gaussian_connectivity_falls_off_as_predicted():
    result = example("gaussian_connectivity")["main"](neurons=60, steps=150)
    for place in ("near", "far"):
        assert result[place] == pytest.approx(result[f"{place}, predicted"], rel=0.02)
    assert result["far"] < 0.2 * result["near"]


def test_the_recovery_finds_every_distance_and_draws_it(tmp_path):
    results = example("recover_embedding")["main"](tmp_path / "picture.png", starts=2)
    assert results == sorted(results)
    assert results[0][1] < 0.01
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_the_gallery_is_drawn(tmp_path):
    example("gallery")["main"](tmp_path / "picture.png", resolution=12)
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
