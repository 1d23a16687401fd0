"""The navigation world: walks, place cells, and the errors that need no network."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.tasks.navigation import trajectories
from moduli.tasks.navigation.place_cells import PlaceCells
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.navigation.trajectories import SPEED, walk
from tests.conftest import seeded, uniform


@given(st.integers(1, 20), st.integers(1, 30), st.floats(0.2, 3), st.integers(0, 2**31))
def test_walks_stay_in_the_box_and_velocities_lead_from_start_to_positions(batch, steps, box, seed):
    walks = walk(batch, steps, box, seeded(seed))
    integrated = walks.start[:, None] + 0.02 * walks.velocities.cumsum(dim=1)
    assert walks.positions.shape == walks.velocities.shape == (batch, steps, 2)
    assert torch.allclose(integrated, walks.positions, atol=1e-5)
    assert walks.positions.abs().max() <= box / 2 + 1e-6


def test_one_seed_gives_the_same_walks():
    first, again, other = (walk(5, 10, 2.2, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.positions, again.positions)
    assert not torch.equal(first.positions, other.positions)


def test_speeds_are_rayleigh_distributed_away_from_walls():
    speeds = walk(2000, 20, 100.0, seeded()).velocities.norm(dim=-1)
    assert float(speeds.mean()) == pytest.approx(SPEED * math.sqrt(math.pi / 2), rel=0.01)
    assert float(speeds.square().mean()) == pytest.approx(2 * SPEED**2, rel=0.02)


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_the_extreme_random_numbers_give_finite_walks(monkeypatch, number):
    """A uniform number can be exactly 0, whose logarithm is infinite."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: torch.full(shape, number))
    walks = walk(3, 5, 2.2, seeded())
    assert walks.velocities.isfinite().all()
    assert walks.positions.isfinite().all()


def test_walls_are_avoided_rather_than_hit(monkeypatch):
    def share_at_a_wall():
        return float((walk(500, 200, 1.0, seeded()).positions.abs().amax(dim=-1) >= 0.5).float().mean())

    assert share_at_a_wall() < 0.02
    monkeypatch.setattr(trajectories, "WALL_DISTANCE", 0.0)
    assert share_at_a_wall() > 0.5


def test_place_cells_are_a_distribution_that_peaks_at_the_nearest_centre():
    cells = PlaceCells.scattered(50, 0.2, 2.2, seeded())
    positions = (uniform(40, 2) - 0.5) * 2.2
    activity = cells.activity(positions)
    squared = (positions[:, None] - cells.centres).square().sum(dim=-1)
    assert torch.allclose(activity, torch.softmax(-squared / (2 * 0.2**2), dim=-1), atol=1e-5)
    nearest = (positions[:, None] - cells.centres).norm(dim=-1).argmin(dim=-1)
    assert torch.allclose(activity.sum(dim=-1), torch.ones(40))
    assert torch.equal(activity.argmax(dim=-1), nearest)


def test_the_decoded_place_is_the_mean_of_the_three_most_active_centres():
    cells = PlaceCells(torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [9.0, 9.0]]), 0.2)
    assert torch.equal(cells.decode(torch.tensor([0.3, 0.3, 0.3, 0.1])), torch.tensor([1.0, 1.0]))


def test_errors_that_need_no_network_are_those_of_the_paper_s_world():
    """Measured in the paper's world: floor 4.4, standing still 40, random output 97 cm."""
    settings = NavigationSettings(cells=512, cell_width=0.12, walk_length=50)
    floor, still, random = Navigation(settings, 10, seed=0).references().values()
    assert floor == pytest.approx(4.4, abs=0.5)
    assert still == pytest.approx(40, abs=2)
    assert random == pytest.approx(97, abs=2)


def test_a_seed_changes_world_and_data_and_a_step_s_batch_depends_on_nothing_else():
    settings = NavigationSettings(units=8, cells=16, walk_length=5)
    first, again, other = (Navigation(settings, 4, seed) for seed in (0, 0, 1))
    assert not torch.equal(first.cells.centres, other.cells.centres)
    sequence = [first.batch(step).positions for step in range(120)]
    assert torch.equal(again.batch(119).positions, sequence[119])
    assert torch.equal(again.batch(3).positions, sequence[3])
    assert len({float(batch.sum()) for batch in sequence}) == 120
    assert not torch.equal(first._test.positions[:10], first._validation.positions[:10])


def test_an_untrained_network_is_lost_and_a_perfect_one_reaches_the_floor():
    task = Navigation(NavigationSettings(units=8, cells=64, walk_length=5), 4, seed=0)

    class Perfect(torch.nn.Module):
        def forward(self, start, velocities):
            return task.cells.activity(task._test.positions)

    assert task.score(Perfect()) == task.references()["floor: decoding the true activity"]
    assert task.score(task.model()) > 50
    assert torch.isfinite(task.loss(task.model(), task.batch(0)))
