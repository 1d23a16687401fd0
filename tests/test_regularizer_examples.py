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


NEURON = '<cell id="{0}"><segment id="0"><proximal x="{1}" y="{2}" z="{3}" diameter="1.0"/></segment></cell>'


@pytest.fixture
def small_worm(tmp_path):
    """Forty neurons on a line, each wired to the next three, laid out as in the package with the data."""
    (tmp_path / "NeuroML2").mkdir()
    (tmp_path / "data").mkdir()
    for number in range(1, 41):
        cell = NEURON.format(f"AS{number}", 0.0, 10.0 * number, -0.5)
        (tmp_path / "NeuroML2" / f"AS{number}.cell.nml").write_text(cell)
    (tmp_path / "NeuroML2" / "MDL08.cell.nml").write_text(NEURON.format("MDL08", 0.0, 0.0, 0.0))
    edges = [f"AS{n:02d} , AS{n + step:02d} ,3,chemical" for n in range(1, 38) for step in (1, 2, 3)]
    edges += ["AS01 , MDL08 ,5,chemical", "AS01 , AS40 ,5,electrical"]
    (tmp_path / "data" / "herm_full_edgelist.csv").write_text(
        "\n".join(["Source,Target,Weight,Type", *edges])
    )
    return tmp_path


def test_a_worm_s_wiring_is_read_and_compared(small_worm, capsys):
    worm = example("celegans")
    names, places, connected = worm["load"](small_worm)
    assert (len(names), int(connected.sum())) == (40, 111)
    first, second = names.index("AS1"), names.index("AS2")
    assert connected[second, first]
    assert not connected[first, second]
    assert torch.allclose((places[first] - places[second]).norm(), torch.tensor(10.0))
    rows = worm["main"](small_worm, steps=60, nulls=2)
    assert rows["worm"]["wire"] < 0.3 * rows["rewired"]["wire"]
    assert rows["trained, wire charged"]["wire"] < rows["trained"]["wire"]
    assert all(row["density"] == pytest.approx(rows["worm"]["density"], abs=0.002) for row in rows.values())
    assert "40 neurons" in capsys.readouterr().out


def test_a_worm_that_is_not_installed_is_asked_for(monkeypatch):
    worm = example("celegans")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(worm["MissingDependency"], match="pip install --no-deps c302"):
        worm["data_folder"]()
