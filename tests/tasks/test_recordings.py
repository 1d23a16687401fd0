"""Recorded walks: windows that cross nothing that was not seen, parts in time, and what is not a walk."""

import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from moduli.errors import InvalidConfiguration, MissingDependency
from moduli.tasks.errors import UnusableRecording
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.navigation.agents import _walked, agent_walk
from moduli.tasks.navigation.recordings import FASTEST, Recording, load_recording
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from tests.conftest import seeded
from tests.tasks.resumption import check_resumption

SAMPLES = 2000


def walked(samples=SAMPLES):
    """An animal that runs round in a box of 1 by 0.5 m, seen 25 times a second."""
    times = 0.04 * np.arange(samples)
    return {"t": times, "x": 3 + 0.5 * np.sin(0.61 * times), "y": 0.25 * np.cos(0.97 * times)}


def written(folder, **arrays):
    path = folder / "walk.npz"
    np.savez(path, **arrays)
    return str(path)


def recording(**changes):
    arrays = walked() | changes
    return Recording.of(arrays["t"], np.stack([arrays["x"], arrays["y"]], axis=1), "mine")


def settings_of(path, **changes):
    return NavigationSettings(units=16, cells=24, walk_length=8, test_walks=30, trajectories=path, **changes)


def test_windows_are_what_was_recorded_and_each_part_has_its_own_time(tmp_path):
    found = load_recording(written(tmp_path, **walked()))
    assert found.extent == pytest.approx((1.0, 0.5), abs=1e-3)
    assert found.counts == {
        "samples": SAMPLES,
        "seconds": pytest.approx(79.96),
        "gaps": 0,
        "sensor faults": 0,
    }
    arrays = walked()
    places = torch.tensor(np.stack([arrays["x"] - 3, arrays["y"]], axis=1)).float()
    times = {}
    for part, count in (("training", 300), ("validation", 50), ("test", 50)):
        walks = found.draw(count, 10, part, seeded())
        assert walks.positions.shape == walks.velocities.shape == (count, 10, 2)
        integrated = walks.start[:, None] + 0.04 * walks.velocities.cumsum(dim=1)
        assert torch.allclose(integrated, walks.positions, atol=1e-5)
        first = torch.cdist(walks.start, places).argmin(dim=1)
        last = torch.cdist(walks.positions[:, -1], places).argmin(dim=1)
        assert torch.equal(last, first + 10)
        times[part] = (int(first.min()), int(last.max()))
    assert times["training"][1] <= times["validation"][0] < times["validation"][1] <= times["test"][0]
    assert times["test"][0] >= 0.9 * (SAMPLES - 1) - 1


def test_no_window_crosses_a_gap_or_a_fault_of_the_sensor():
    arrays = walked()
    gap = arrays["t"].copy()
    gap[500:] += 1.0
    fault = arrays["x"].copy()
    fault[900] += 2.0  # there and back
    found = recording(t=gap, x=fault)
    assert (found.counts["gaps"], found.counts["sensor faults"]) == (1, 2)
    assert found.extent[0] == pytest.approx(1.0, abs=1e-3)  # where no animal was is not part of the box
    starts = found._starts(20, "training").tolist()
    crossing = {s for s in range(1599 - 19) for broken in (499, 899, 900) if s <= broken < s + 20}
    assert sorted(set(range(1599 - 19)) - crossing) == starts
    walks = found.draw(2000, 20, "training", seeded())
    assert float(walks.velocities.norm(dim=-1).max()) < FASTEST


def test_held_out_windows_are_all_different():
    found = recording()
    walks = found.draw(10_000, 10, "test", seeded())
    assert len(walks.start) == len(walks.start.unique(dim=0)) == 191
    assert len(found.draw(7, 10, "test", seeded()).start) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, r"cannot be read \(.*y.*a file of a walk holds the arrays t, x, y"),
        ({"x": np.zeros((SAMPLES, 2))}, r"one number for each sample; t has the shape \(2000,\), x has"),
        ({"y": np.zeros(5)}, r"one number for each sample; t has the shape \(2000,\), y has \(5,\)"),
        ({"x": np.full(SAMPLES, "a")}, r"x has \(2000,\) and the type <U1"),
        ({"t": np.full(SAMPLES, "a")}, "The times of the recording .* must be numbers, got <U1"),
        ({"t": walked()["t"][::-1]}, "Time does not increase .* at 1999 samples, the first of them 1; sort"),
        ({"t": np.zeros(SAMPLES, np.uint8)}, "Time does not increase"),
        (
            {"x": np.where(np.arange(SAMPLES) % 1000 == 7, np.nan, 1.0)},
            "2 points .* first at sample 7; leave",
        ),
        ({"t": np.append(walked()["t"][:-1], np.inf)}, "1 times .* not finite, the first at sample 1999"),
        (
            {"x": np.arange(SAMPLES) * 1.0},
            "Every step of the recording .* is a gap or faster than 2.7 m/s; give times in seconds",
        ),
        ({"x": np.where(np.arange(SAMPLES) % 2, 1e308, -1e308)}, "Every step of the recording"),
        ({"y": np.zeros(SAMPLES)}, "moves along one line; give t, x and y"),
        ({"t": np.zeros(1), "x": np.zeros(1), "y": np.zeros(1)}, "each of two samples and more"),
    ],
)
def test_what_is_no_walk_is_refused(tmp_path, change, message):
    arrays = {name: array for name, array in (walked() | change).items() if array is not None}
    with np.errstate(over="ignore"), pytest.raises(UnusableRecording, match=message):
        load_recording(written(tmp_path, **arrays))


def test_walks_that_fit_nowhere_are_named():
    with pytest.raises(UnusableRecording, match=r"The test part .*, 200 steps, has no window of 300 steps"):
        recording().draw(5, 300, "test", seeded())
    times = walked()["t"] + np.arange(SAMPLES) // 5
    with pytest.raises(UnusableRecording, match="of 8 steps without one of the 399 gaps and 0 sensor faults"):
        recording(t=times).draw(5, 8, "training", seeded())


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(UnusableRecording, match=r"'sargollini' is neither .* did you mean 'sargolini'"):
        load_recording("sargollini")
    with pytest.raises(UnusableRecording, match=r"nowhere\.npz cannot be read"):
        load_recording("nowhere.npz")
    with pytest.raises(InvalidConfiguration, match="arena must be rectangle where walks were recorded; got"):
        settings_of("tanni", arena="disc")


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ratinabox", None)
    for name in ("tanni", "ratinabox"):
        with pytest.raises(MissingDependency, match=r"need ratinabox; .*pip install 'moduli\[recordings\]'"):
            Navigation(settings_of(name, box=0.7), 4, seed=0)


@pytest.mark.parametrize(
    ("name", "seconds", "extent"), [("sargolini", 600, (1, 1)), ("tanni", 7323, (3.5, 2.5))]
)
def test_ratinabox_ships_these(name, seconds, extent):
    reason = "ratinabox, whose wheel ships the recordings, is not installed"
    pytest.importorskip("ratinabox", reason=reason, exc_type=ImportError)
    found = load_recording(name)
    assert found.counts["seconds"] == pytest.approx(seconds, rel=0.02)
    assert found.extent == pytest.approx(extent, abs=0.1)
    share = found.counts["sensor faults"] / found.counts["samples"]
    assert share < 2e-3
    for part in ("training", "validation", "test"):
        assert len(found.draw(10, 50, part, seeded()).start) == 10


# Agents


class StrollingAgent:
    """Stands for RatInABox's agent: it draws from NumPy's global generator, as that one does."""

    dt = 0.05

    def __init__(self, environment):
        self.size = np.array([environment["scale"] * environment["aspect"], environment["scale"]])
        self.history = {"pos": []}

    def update(self):
        self.history["pos"].append((self.size * (0.5 + 0.01 * np.random.rand(2))).tolist())


@pytest.fixture
def strolling(monkeypatch):
    """An agent in the place of RatInABox's, which needs no package."""
    package = SimpleNamespace(Agent=StrollingAgent, Environment=lambda params: params)
    monkeypatch.setitem(sys.modules, "ratinabox", package)
    _walked.cache_clear()
    yield
    _walked.cache_clear()


def check_agents():
    """An agent's walk depends on rectangle and seed alone, is in the rectangle, and disturbs nobody."""
    before = np.random.get_state()
    first = agent_walk(2.0, 1.0, seed=0)
    _walked.cache_clear()
    np.random.rand(5)
    again = agent_walk(2.0, 1.0, seed=0)
    np.random.set_state(before)
    _walked.cache_clear()
    other = agent_walk(2.0, 1.0, seed=1)
    after = np.random.get_state()
    assert np.array_equal(before[1], after[1])
    assert before[2:] == after[2:]
    assert torch.equal(first.positions, again.positions)
    assert not torch.equal(first.positions, other.positions)
    assert first.extent == (2.0, 1.0)
    assert (first.positions.abs() <= torch.tensor([1.0, 0.5])).all()
    assert first.counts == {
        "samples": 12_000,
        "seconds": pytest.approx(599.95),
        "gaps": 0,
        "sensor faults": 0,
    }
    return first


def test_an_agent_s_walk_depends_on_its_seed_alone_and_disturbs_nobody(strolling):
    check_agents()


def test_an_agent_walks_in_the_arena_of_the_settings_and_each_seed_has_its_own(strolling):
    settings = settings_of("ratinabox", box=1.5, aspect=2.0)
    first, again, other = (Navigation(settings, 4, seed) for seed in (0, 0, 1))
    assert first.arena.extent == (3.0, 1.5)
    assert torch.equal(again.batch(7).positions, first.batch(7).positions)
    assert not torch.equal(other.recording.positions, first.recording.positions)
    assert first.measurements(first.model())["recording"]["samples"] == 12_000


def test_a_broken_agent_leaves_the_generator_as_it_was(strolling, monkeypatch):
    monkeypatch.setattr(StrollingAgent, "update", lambda self: np.random.rand() / 0)
    before = np.random.get_state()[1]
    with np.errstate(divide="raise"), pytest.raises((FloatingPointError, ZeroDivisionError)):
        agent_walk(2.0, 1.0, seed=0)
    assert np.array_equal(np.random.get_state()[1], before)


def test_ratinabox_s_agents_walk_as_rats_do():
    reason = "ratinabox, whose agents walk, is not installed"
    pytest.importorskip("ratinabox", reason=reason, exc_type=ImportError)
    found = check_agents()
    speeds = found.velocities.norm(dim=1)
    assert 0.05 < float(speeds.mean()) < 0.2
    assert float(speeds.max()) < 1.0
    for axis, size in enumerate(found.extent):
        assert float(found.positions[:, axis].max() - found.positions[:, axis].min()) > 0.9 * size


# The task


def test_a_seed_changes_world_and_data_and_a_step_s_batch_depends_on_nothing_else(tmp_path):
    settings = settings_of(written(tmp_path, **walked()))
    first, again, other = (Navigation(settings, 4, seed) for seed in (0, 0, 1))
    assert not torch.equal(first.cells.centres, other.cells.centres)
    assert torch.equal(again.batch(119).positions, first.batch(119).positions)
    assert torch.equal(again.batch(3).positions, first.batch(3).positions)
    assert not torch.equal(other.batch(3).positions, first.batch(3).positions)
    assert first.arena.contains(first.batch(3).positions).all()


def test_recorded_walks_are_learned_from_and_measured(tmp_path):
    settings = settings_of(written(tmp_path, **walked()), long_walk_length=20)
    task = Navigation(settings, 20, seed=0)
    model = task.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = task.score(model)
    for step in range(150):
        optimizer.zero_grad()
        task.loss(model, task.batch(step)).backward()
        optimizer.step()
    assert task.score(model) < 0.75 * before
    measured = task.measurements(model)
    assert measured["recording"]["samples"] == SAMPLES
    assert len(measured["long walks"]["error by step"]) == 20
    assert math.isfinite(task.references()["floor: decoding the true activity"])


def test_a_killed_run_resumes_and_ends_bit_identical(tmp_path, monkeypatch):
    configuration = Configuration(
        settings_of(written(tmp_path, **walked())),
        TrainingSettings(steps=12, batch=5, log_interval=4),
        PruningSettings(sparsity=0.5),
    )
    check_resumption(Navigation, configuration, tmp_path, monkeypatch)


def test_a_run_of_before_recordings_is_still_the_same_run(tmp_path):
    simulated = Configuration(settings_of("simulated"))
    assert "trajectories" not in simulated.as_dict()["task"]
    recorded = replace(simulated, task=replace(simulated.task, trajectories="tanni"))
    assert recorded.as_dict()["task"]["trajectories"] == "tanni"
    folders = {Run(configuration, "none", 0, tmp_path).folder for configuration in (simulated, recorded)}
    assert len(folders) == 2
