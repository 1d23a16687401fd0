"""What the figures show is what they were given."""

import math
import runpy
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from moduli.manifolds import (
    Circle,
    Cylinder,
    Euclidean,
    InvalidParameter,
    KleinBottle,
    MobiusBand,
    Rotations,
    Scaled,
    Sphere,
    Torus,
)
from moduli.models import sparse_rnn
from moduli.models.analysis.topology import Topology, persistent_homology
from moduli.regularizers import DifferenceOfGaussians, Diffusion, ShapeMismatch
from moduli.tasks.experiments.comparisons.summary import Row, Summary
from moduli.tasks.figures import surfaces
from moduli.tasks.figures.barcodes import MOST_BARS, draw_barcode, draw_persistence_diagram
from moduli.tasks.figures.flat import draw_moving_embedding, draw_neuron_on_plane
from moduli.tasks.figures.gates import incoming_weights
from moduli.tasks.figures.matrices import draw_weight_against_distance, draw_weight_matrix
from moduli.tasks.figures.overview import scores_figure
from moduli.tasks.figures.rate_maps import draw_rate_maps
from moduli.tasks.figures.scales import scale_by_ratio
from moduli.tasks.figures.scores import draw_scores
from moduli.tasks.figures.spaces import CannotDraw, immerse, offsets, sheet, sides
from moduli.tasks.figures.sparsity import draw_error_against_sparsity
from moduli.tasks.figures.surfaces import RESOLUTION, draw_field, draw_neuron_in_space
from moduli.tasks.figures.survivors import draw_survivors
from tests.conftest import seeded
from tests.models.test_sparse_rnn import Largest

FLAT = [Torus(2, (10.0, 4.0)), KleinBottle(), Cylinder(), MobiusBand(10.0, 3.0)]
CURVED = [*FLAT, Sphere(), Circle(), Scaled(Torus(), 2.0)]


def axes(**kwargs):
    return Figure().add_subplot(**kwargs)


def some_weight(n, seed=0, density=0.3):
    weight = torch.randn(n, n, generator=seeded(seed))
    return weight * (torch.rand(n, n, generator=seeded(seed + 1)) < density)


@pytest.mark.parametrize("manifold", FLAT, ids=repr)
def test_all_representatives_of_a_point_are_drawn_at_one_place(manifold):
    points = manifold.random_point(50, seeded()).double()
    around = points + torch.tensor([2 * sides(manifold)[0], 0.0])
    assert torch.allclose(immerse(manifold, points), immerse(manifold, around))
    if isinstance(manifold, KleinBottle | MobiusBand):
        assert torch.allclose(immerse(manifold, points), immerse(manifold, manifold.deck(points)))
    if isinstance(manifold, Torus | KleinBottle):
        up = points + torch.tensor([0.0, sides(manifold)[1]])
        assert torch.allclose(immerse(manifold, points), immerse(manifold, up))


@pytest.mark.parametrize("manifold", CURVED, ids=repr)
def test_near_points_are_drawn_near_and_a_sheet_lies_on_the_manifold(manifold):
    points = manifold.random_point(50, seeded()).double()
    near = manifold.project(points + 1e-4 * torch.randn(points.shape, generator=seeded(1)))
    assert (immerse(manifold, points) - immerse(manifold, near)).abs().max() < 1e-2
    assert immerse(manifold, points).norm(dim=-1).max() < 1.1
    grid, places = sheet(manifold, 8)
    assert grid.shape == (8, 8, *manifold.point_shape)
    manifold.check_points(grid.flatten(0, 1))
    if manifold != Circle():
        assert torch.equal(places, immerse(manifold, grid))
    gaps = manifold.pairwise(points.float(), sheet(manifold, 60)[0].flatten(0, 1)).amin(dim=1)
    assert gaps.max() < 0.05 * manifold.pairwise(points).max()


@pytest.mark.parametrize("manifold", [Torus(3), Sphere(3), Rotations(3), Euclidean()], ids=repr)
def test_what_has_no_shape_in_space_is_refused(manifold):
    for draw in (lambda: immerse(manifold, manifold.random_point(2)), lambda: sheet(manifold, 4)):
        with pytest.raises(CannotDraw, match=r"is not (drawn|glued)"):
            draw()


@given(st.sampled_from([*FLAT, Euclidean()]), st.integers(0, 99))
def test_offsets_are_geodesics(manifold, seed):
    origin, points = manifold.random_point(1, seeded(seed)), manifold.random_point(20, seeded(seed + 1))
    line = offsets(manifold, origin.double(), points.double())
    assert torch.allclose(line.norm(dim=-1), manifold.distance(origin.double(), points.double()))
    assert manifold.distance(origin.double() + line, points.double()).max() < 1e-6
    with pytest.raises(CannotDraw, match="not drawn flat"):
        offsets(Sphere(), origin, points)


class Recorder:
    """Axes that remember the surface that is drawn on them."""

    def __init__(self, monkeypatch):
        self.axes = axes(projection="3d")
        draw = self.axes.plot_surface

        def plot_surface(*places, **kwargs):
            self.places, self.faces = torch.stack([*places], dim=-1), torch.from_numpy(kwargs["facecolors"])
            return draw(*places, **kwargs)

        monkeypatch.setattr(self.axes, "plot_surface", plot_surface)

    @property
    def star(self):
        return torch.tensor([float(x[0]) for x in self.axes.collections[-1]._offsets3d])


@pytest.mark.parametrize("manifold", [Torus(), KleinBottle(), Sphere(), Circle()], ids=repr)
def test_a_neuron_s_heat_is_where_its_weights_come_from(manifold, monkeypatch):
    places = manifold.random_point(12, seeded())
    weight = torch.zeros(12, 12)
    weight[3, 7], weight[3, 9], weight[7, 3] = -2.0, 1.0, 5.0
    recorder = Recorder(monkeypatch)
    scale = draw_neuron_in_space(recorder.axes, manifold, weight, places, 3)
    grid, _ = sheet(manifold, RESOLUTION)
    nearest = manifold.pairwise(grid.flatten(0, 1), places).argmin(dim=1).reshape(RESOLUTION, RESOLUTION)
    red, blue = recorder.faces[..., 0], recorder.faces[..., 2]
    blueness = 1 - red / blue
    assert blueness[nearest == 7].min() > 0.8 > blueness[nearest == 9].max()
    assert blueness[nearest == 9].min() > 0.4 > 0.1 > blueness[(nearest != 7) & (nearest != 9)].max()
    assert torch.allclose(recorder.star, immerse(manifold, places[3]))
    assert (scale.norm.vmin, scale.norm.vmax) == (0, 1)


@pytest.mark.parametrize("manifold", [Torus(), KleinBottle(), Sphere(), Circle()], ids=repr)
def test_the_field_is_the_coefficient_everywhere(manifold, monkeypatch):
    point = manifold.random_point(1, seeded())[0]
    recorder = Recorder(monkeypatch)
    scale = draw_field(recorder.axes, manifold, DifferenceOfGaussians(), point)
    grid, places = sheet(manifold, RESOLUTION)
    coefficients = DifferenceOfGaussians()(manifold, grid.flatten(0, 1), point[None])[:, 0]
    assert scale.norm.vmax == pytest.approx(float(coefficients.max()))
    expected = torch.from_numpy(scale.to_rgba(coefficients.numpy())).reshape(recorder.faces.shape)
    brightness = recorder.faces[..., :3] / expected[..., :3].clamp_min(1e-3)
    shading = brightness[..., 2]
    assert (brightness - shading[..., None]).abs()[expected[..., :3] > 0.05].max() < 0.01
    assert shading.min() >= 0.6 - 1e-6
    assert shading.max() <= 1 + 1e-6
    assert torch.equal(recorder.places, places)


def test_the_picture_is_seen_from_the_neuron_s_side():
    for point in torch.tensor([[0.0, -1.0, 0.0], [0.6, 0.0, -0.8]]):
        panel = axes(projection="3d")
        draw_field(panel, Sphere(), Diffusion(), point)
        high, turn = math.radians(panel.elev), math.radians(panel.azim)
        viewer = torch.tensor(
            [math.cos(high) * math.cos(turn), math.cos(high) * math.sin(turn), math.sin(high)]
        )
        assert viewer @ point > 0.75


@pytest.mark.parametrize("manifold", FLAT, ids=repr)
def test_a_neuron_on_the_plane_shows_every_weight_at_its_distance(manifold):
    places, weight, panel = manifold.random_point(30, seeded()), some_weight(30), axes()
    dots = draw_neuron_on_plane(panel, manifold, weight, places, 5)
    sources = weight[5].nonzero()[:, 0]
    shown = torch.as_tensor(dots.get_offsets().data).float()
    strength = torch.as_tensor(dots.get_array().data).float()
    assert len(shown) == len(sources) > 3
    assert torch.allclose(strength, strength.sort().values)
    expected = weight[5, sources].abs()
    order = expected.argsort()
    assert torch.allclose(strength, expected[order] / expected.max())
    distance = manifold.distance(places[5], places[sources[order]])
    assert torch.allclose(shown.norm(dim=1), distance, atol=1e-5)
    lines = next(item for item in panel.collections if isinstance(item, LineCollection))
    assert all(segment[0].tolist() == [0, 0] for segment in lines.get_segments())
    assert len(lines.get_segments()) == len(sources)
    assert len(panel.collections[0].get_offsets()) == 30 - len(sources)


@pytest.mark.parametrize("manifold", FLAT, ids=repr)
def test_paths_come_back_through_the_glued_edge(manifold):
    width, height = sides(manifold)
    step = torch.tensor([[0.1 * width, 0.0]])
    start = torch.tensor([[0.85 * width, 0.25 * height], [0.2 * width, 0.6 * height]])
    positions = torch.stack([start + k * step for k in range(4)])  # the first point crosses the edge
    panel = axes()
    draw_moving_embedding(panel, manifold, positions)
    leaving, arriving = (
        torch.tensor([segment.tolist() for segment in item.get_segments()])
        for item in panel.collections
        if isinstance(item, LineCollection)
    )
    assert len(leaving) == len(arriving) == 2 * 3
    places = manifold.project(positions)
    assert torch.allclose(leaving[:, 0], places[:-1].flatten(0, 1))
    assert torch.allclose(arriving[:, 0], places[1:].flatten(0, 1))
    for steps in (leaving, arriving):
        assert torch.allclose((steps[:, 1] - steps[:, 0]).norm(dim=1), step.norm(), atol=1e-5)
    assert torch.allclose(torch.as_tensor(panel.collections[-1].get_offsets().data).float(), places[-1])
    assert (*panel.get_xlim(), *panel.get_ylim()) == pytest.approx((0, width, 0, height))


def test_a_matrix_is_drawn_in_its_order():
    weight, panel = some_weight(9), axes()
    order = torch.randperm(9, generator=seeded(4))
    image = draw_weight_matrix(panel, weight, order)
    shown = torch.as_tensor(image.get_array().data)
    for row in range(9):
        for column in range(9):
            expected = weight[order[row], order[column]].abs() / weight.abs().max()
            assert shown[row, column] == pytest.approx(float(expected))
    plain = draw_weight_matrix(axes(), weight)
    assert torch.allclose(torch.as_tensor(plain.get_array().data), weight.abs() / weight.abs().max())
    for wrong in (torch.arange(8), torch.zeros(9, dtype=torch.long)):
        with pytest.raises(ShapeMismatch, match="permutation"):
            draw_weight_matrix(axes(), weight, wrong)
    with pytest.raises(ShapeMismatch, match="square"):
        draw_weight_matrix(axes(), weight[:5])


def test_a_self_connection_is_counted_and_leaves_the_colours_to_the_others():
    places, weight = Torus().random_point(20, seeded()), some_weight(20)
    weight[5, 5] = 50.0
    others = weight[5].abs().clone()
    others[5] = 0
    panel = axes()
    strength = torch.as_tensor(draw_neuron_on_plane(panel, Torus(), weight, places, 5).get_array().data)
    expected = torch.cat([(others[others > 0] / others.max()).sort().values, torch.ones(1)])
    assert torch.allclose(strength.sort().values.float(), expected)
    assert panel.get_xlabel() == f"{len(strength)} incoming weights, one of them its own"
    image = torch.as_tensor(draw_weight_matrix(axes(), weight, torch.arange(20).flip(0)).get_array().data)
    assert image.max() == 1
    assert (image == 1).sum() > 1
    weight[5] = 0
    assert incoming_weights(weight, None, places, 5).sum() == 0
    weight[5, 5] = 3.0
    assert incoming_weights(weight, None, places, 5).tolist() == [float(k == 5) for k in range(20)]


def test_weights_stand_at_the_distance_that_they_bridge():
    places, weight, panel = Torus().random_point(25, seeded()), some_weight(25), axes()
    draw_weight_against_distance(panel, Torus(), places, weight, DifferenceOfGaussians())
    shown = torch.as_tensor(panel.collections[0].get_offsets().data).float()
    targets, sources = weight.nonzero().T
    assert torch.allclose(shown[:, 0], Torus().distance(places[targets], places[sources]), atol=1e-5)
    assert torch.allclose(shown[:, 1], weight[targets, sources].abs())
    curve = next(other for other in panel.figure.axes if other is not panel).lines[0]
    distance, coefficient = (torch.as_tensor(values) for values in curve.get_data())
    assert torch.allclose(coefficient, DifferenceOfGaussians().profile(distance))
    assert distance[-1] == pytest.approx(float(Torus().pairwise(places).max()))
    with pytest.raises(ShapeMismatch, match="places 24 neurons"):
        draw_weight_against_distance(axes(), Torus(), places[1:], weight, Diffusion())


@pytest.mark.parametrize("gate", [None, "update"])
def test_a_sparse_tensor_is_drawn_as_its_dense_one(gate):
    rnn = sparse_rnn("rnn" if gate is None else "gru", 2, 40, sparsity=0.75, bridges=0.2)
    named = {} if gate is None else {"gate": gate}
    weight = rnn.weight_hh_l0.to_sparse()
    for draw in (on_plane, in_space, as_matrix, against_distance):
        found, expected = (drawn(draw, rnn.embedding, each, **named) for each in (weight, weight.to_dense()))
        assert all(map(torch.equal, found, expected))
        assert max(len(numbers.unique()) for numbers in found) > 10
    for draw in (on_plane, as_matrix):
        found, expected = (drawn(draw, rnn.embedding, each) for each in (rnn.mask, rnn.mask.to_dense()))
        assert all(map(torch.equal, found, expected))
    nothing = torch.zeros(40, 40).to_sparse()
    assert as_matrix(axes(), rnn.embedding, nothing).get_array().max() == 0
    against_distance(axes(), rnn.embedding, nothing)


def test_a_large_sparse_matrix_is_drawn_in_few_pixels():
    n, order, panel = 3000, torch.randperm(3000, generator=seeded()), axes()
    targets, sources = torch.randint(n, (2, 300), generator=seeded(1))
    weight = torch.zeros(n, n)
    weight[targets, sources] = torch.rand(300, generator=seeded(2)) + 0.1
    weight.fill_diagonal_(0)
    shown = torch.as_tensor(draw_weight_matrix(panel, weight.to_sparse(), order).get_array().data)
    expected = (weight[order][:, order] / weight.max()).view(1000, 3, 1000, 3).amax(dim=(1, 3))
    torch.testing.assert_close(shown, expected)
    assert panel.get_xlim() == (-0.5, n - 0.5)


def test_drawing_a_sparse_network_makes_nothing_as_large_as_its_dense_matrix():
    n = 4000
    rnn = sparse_rnn("rnn", 2, n, sparsity=0.99, bridges=0.1)
    for fault in (False, True):
        with Largest() as largest:
            weight = rnn.weight_hh_l0.to_sparse().detach()
            for draw in (on_plane, in_space, as_matrix, against_distance):
                draw(axes(projection="3d" if draw is in_space else None), rnn.embedding, weight)
            on_plane(axes(), rnn.embedding, rnn.mask)
            if fault:
                as_matrix(axes(), rnn.embedding, weight.to_dense())
        assert (largest.elements >= n * n) == fault


def on_plane(panel, places, weight, **gate):
    return draw_neuron_on_plane(panel, Torus(), weight, places, 5, **gate)


def in_space(panel, places, weight, **gate):
    return draw_neuron_in_space(panel, Torus(), weight, places, 5, **gate)


def as_matrix(panel, places, weight, **gate):
    return draw_weight_matrix(panel, weight, **gate)


def against_distance(panel, places, weight, **gate):
    return draw_weight_against_distance(panel, Torus(), places, weight, Diffusion(), **gate)


def drawn(draw, places, weight, **gate):
    """Return the numbers that a figure shows."""
    panel = axes(projection="3d" if draw is in_space else None)
    draw(panel, places, weight, **gate)
    shown = [image.get_array() for image in panel.images]
    for item in panel.collections:
        shown.append(item.get_facecolor() if draw is in_space else item.get_offsets())
        if not isinstance(item, LineCollection) and item.get_array() is not None:
            shown.append(item.get_array())
    return [torch.from_numpy(numpy.ma.filled(numbers, 0).copy()) for numbers in shown]


@pytest.mark.parametrize("draw", [on_plane, in_space, as_matrix, against_distance])
@pytest.mark.parametrize(
    "names", [("reset", "update", "new"), ("input", "forget", "cell", "output")], ids=["gru", "lstm"]
)
def test_a_gate_is_drawn_as_if_it_were_the_whole_weight(draw, names, monkeypatch):
    monkeypatch.setattr(surfaces, "RESOLUTION", 12)
    places = Torus().random_point(20, seeded())
    gates = [some_weight(20, seed) for seed in range(len(names))]
    for index, name in enumerate(names):
        expected = drawn(draw, places, gates[index])
        for gate in (name, index):
            found = drawn(draw, places, torch.cat(gates), gate=gate)
            assert len(found) == len(expected) > 0
            assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("draw", [on_plane, in_space, as_matrix, against_distance])
def test_gates_that_are_not_named_or_not_there_are_refused(draw):
    places, plain = Torus().random_point(20, seeded()), some_weight(20)
    panel = axes(projection="3d" if draw is in_space else None)
    stacked = plain.repeat(3, 1)
    with pytest.raises(InvalidParameter, match=r"\(60, 20\) stacks 3 gates.* gate='reset', 'update', 'new'"):
        draw(panel, places, stacked)
    with pytest.raises(InvalidParameter, match="no gate 'updat'; did you mean 'update'"):
        draw(panel, places, stacked, gate="updat")
    for wrong in (3, -1, True, 0.5):
        with pytest.raises(InvalidParameter, match=r"gate must be 'reset', .* or a number below 3"):
            draw(panel, places, stacked, gate=wrong)
    with pytest.raises(InvalidParameter, match="no gate 'reset'; name a number below 1"):
        draw(panel, places, plain, gate="reset")
    with pytest.raises(ShapeMismatch, match=r"square, or stacks gates that are, got shape \(19, 20\)"):
        draw(panel, places, plain[1:])
    if draw is not as_matrix:
        with pytest.raises(ShapeMismatch, match=r"20.* places 19"):
            draw(panel, places[1:], plain)


@pytest.mark.parametrize("neuron", [20, -1])
def test_a_neuron_that_is_not_there_is_refused(neuron):
    with pytest.raises(InvalidParameter, match=f"neuron must be a number below 20, got {neuron}"):
        draw_neuron_on_plane(axes(), Torus(), some_weight(20), Torus().random_point(20), neuron)


def test_scores_that_are_not_all_positive_are_drawn_on_a_linear_axis():
    panel = axes()
    draw_scores(panel, {"dense": [-1.0, 0.0], "none": [2.0, 3.0]}, {})
    panel.figure.canvas.draw()
    assert panel.get_xscale() == "linear"
    assert panel.get_xlim()[0] < -1


@pytest.mark.parametrize("direction", ["x", "y"])
@given(lowest=st.floats(1e-5, 1e5), ratio=st.floats(1, 1e6))
def test_an_axis_of_ratios_has_three_readable_numbers_or_more(direction, lowest, ratio):
    axes = Figure().subplots()
    scale_by_ratio(axes, direction, [lowest, lowest * ratio])
    axis = axes.xaxis if direction == "x" else axes.yaxis
    start, end = axis.get_view_interval()
    assert axis.get_scale() == "log"
    texts = axis.get_major_formatter().format_ticks(axis.get_majorticklocs())
    shown = {
        text for value, text in zip(axis.get_majorticklocs(), texts, strict=True) if start <= value <= end
    }
    assert len(shown) >= 3


def test_names_of_references_have_room_in_both_panels_where_only_one_shows_them():
    scores = {"trained": [-5.0, 4.0] * 5, "ticket": [-1.0, 1.0] * 5}
    row = Row(method="none", sparsity=0.9, wiring=[None] * 10, folders=[""] * 10, difference=None, **scores)
    summary = Summary.read(Path(__file__).parents[2] / "results/digits-tuned/results.json")
    references = {"a rule": [-4.5] * 10, "another": [3.0] * 10}
    nothing = dict.fromkeys(("floor", "ignorance", "criterion", "steps_to_criterion", "choices", "units"))
    shown = replace(summary, rows=[row], seeds=range(10), references=references, **nothing)
    figure = scores_figure(shown)
    first, second = figure.axes
    assert [name.get_text() for name in first.texts] == ["a rule", "another"]
    assert not second.texts
    assert all(name.xy[1] > first.get_ylim()[1] for name in first.texts)


def test_scores_that_no_axis_can_show_are_counted_beside_their_row():
    panel = Figure().subplots()
    draw_scores(
        panel, {"dense": [8.0, math.inf, math.nan], "none": [2.0, 3.0], "l1": [math.nan]}, {"floor": 1.0}
    )
    assert [tick.get_text() for tick in panel.get_yticklabels()] == [
        "dense (2 not finite)", "none", "l1 (1 not finite)"
    ]  # fmt: skip
    assert panel.get_xlim() == pytest.approx((2 / 1.3, 8 * 1.3))
    panel.figure.canvas.draw()


def test_scores_are_drawn_seed_by_seed_with_mean_and_interval_from_the_top():
    panel = axes()
    scores = {"dense": [7.0, 8.0, 9.0], "none": [20.0, 30.0, 40.0], "one seed": [10.0]}
    draw_scores(panel, scores, {"floor": 7.5, "random": 90.0}, "error (cm)")
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == list(scores.values())
    means = [line.get_xdata()[0] for line in panel.lines if line.get_marker() == "|"]
    assert means == [8.0, 30.0, 10.0]
    intervals = [list(line.get_xdata()) for line in panel.lines if line.get_marker() == "None"][:2]
    assert intervals[0] == pytest.approx([8 - 2.484, 8 + 2.484], abs=1e-3)
    assert [text.get_text() for text in panel.get_yticklabels()] == list(scores)
    (name,) = panel.texts
    assert name.get_text() == "floor"
    bottom, top = panel.get_ylim()
    assert bottom > -0.5 > name.xy[1] > top  # above the first row
    low, high = panel.get_xlim()
    assert low < 7
    assert high > 40


def test_an_empty_matrix_stands_apart_from_one_that_is_nearly_so():
    panel = axes()
    rows = {
        "none": {"encoder": [0.5, 0.6], "recurrent": [0.9, 0.95]},
        "l1": {"encoder": [0.2, 0.3], "recurrent": [0.998, 1.0]},
        "recurrent alone": {"recurrent": [0.99, 0.98]},
    }
    draw_survivors(panel, rows)
    encoder, recurrent = panel.lines[:2]
    assert encoder.get_label() == "encoder"
    assert encoder.get_xdata() == pytest.approx([0.5, 0.4, 0.8, 0.7])
    assert list(encoder.get_ydata()) == [0, 0, 1, 1]
    assert recurrent.get_xdata() == pytest.approx([0.1, 0.05, 0.002, 0.002 / 3, 0.01, 0.02])
    assert [text.get_text() for text in panel.get_yticklabels()] == list(rows)
    assert [text.get_text() for text in panel.texts] == ["0"]
    assert panel.get_xlim()[0] < 0.002 / 3
    draw_survivors(full := axes(), {"none": rows["none"]})
    assert not full.texts


def test_errors_stand_at_their_sparsity_with_their_intervals():
    trained = {"none": [(0.9, 8.0, 1.0), (0.98, 20.0, 3.0)], "torus": [(0.98, 15.0, 2.0), (0.9, 7.0, 0.5)]}
    ticket = {"torus": [(0.9, 9.0, 0.7), (0.98, 18.0, 2.5)]}
    panel = axes()
    draw_error_against_sparsity(panel, trained, ticket, "error (cm)")
    assert len(panel.containers) == 3
    for container, points in zip(panel.containers, [*trained.values(), *ticket.values()], strict=True):
        line, _, (bars,) = container.lines
        expected = sorted(points)
        assert line.get_xdata() == pytest.approx([1 - share for share, _, _ in expected])
        assert line.get_ydata() == pytest.approx([mean for _, mean, _ in expected])
        for segment, (_, mean, half) in zip(bars.get_segments(), expected, strict=True):
            assert segment[:, 1] == pytest.approx([mean - half, mean + half])
    styles = [container.lines[0].get_linestyle() for container in panel.containers]
    assert styles == ["-", "-", "--"]
    first, second, third = (container.lines[0].get_color() for container in panel.containers)
    assert first != second == third
    assert [label.get_text() for label in panel.get_xticklabels()] == ["90%", "98%"]
    assert panel.get_xlim()[0] > panel.get_xlim()[1]
    assert panel.get_yscale() == "log"
    assert panel.get_ylim() == pytest.approx((7.0 / 1.3, 20.0 * 1.3))
    assert [text.get_text() for text in panel.get_legend().get_texts()] == [
        "none",
        "torus",
        "trained",
        "ticket",
    ]


def test_an_error_of_zero_is_drawn_on_a_linear_axis():
    panel = axes()
    draw_error_against_sparsity(panel, {"none": [(0.9, 0.0, 1.0), (0.98, 2.0, 1.0)]}, ticket={})
    assert panel.get_yscale() == "linear"
    assert panel.get_ylim()[0] < 0 < 2 < panel.get_ylim()[1]


def test_rate_maps_stand_upright_under_their_scores():
    maps = torch.rand(3, 6, 6, generator=seeded())
    maps[1, 0, 0] = torch.nan
    panels = list(Figure().subplots(1, 3))
    draw_rate_maps(panels, maps, [0.5, -0.25, 1.118])
    assert [panel.get_title() for panel in panels] == ["0.50", "-0.25", "1.12"]
    for panel, rates in zip(panels, maps, strict=True):
        (image,) = panel.images
        assert torch.equal(
            torch.as_tensor(image.get_array().filled(torch.nan)).nan_to_num(9), rates.nan_to_num(9)
        )
        assert image.origin == "lower"
        assert image.get_clim() == pytest.approx((0, float(rates.nan_to_num(0).max())))
    with pytest.raises(ShapeMismatch, match="3, 3 and 2"):
        draw_rate_maps(panels, maps, [0.5, 0.1])


@pytest.fixture(scope="module")
def topology():
    points = Torus().random_point(200, seeded())
    return Topology(persistent_homology(Torus().pairwise(points), landmarks=60), (3.0, 2.0, 1.3))


def test_a_barcode_shows_the_most_prominent_bars_and_marks_the_holes(topology):
    assert topology.betti == (1, 2, 1)
    panel = axes()
    draw_barcode(panel, topology)
    shown = {k: [] for k in range(3)}
    edge = panel.get_xlim()[1]
    for line in panel.lines:
        dimension = ["#0072B2", "#E69F00", "#009E73"].index(line.get_color())
        shown[dimension].append((*map(float, line.get_xdata()), line.get_linewidth() > 2))
    for k, bars in enumerate(topology.barcode.bars):
        births, deaths = bars.unbind(dim=1)
        order = (deaths / births if k else deaths).argsort(descending=True)[:MOST_BARS]
        assert len(shown[k]) == len(order)
        for row, index in enumerate(order.tolist()):
            birth, death, thick = shown[k][row]
            assert birth == pytest.approx(float(births[index]))
            assert death == pytest.approx(min(float(deaths[index]), edge))
            assert thick == (row < topology.betti[k])
    assert [label.get_text() for label in panel.get_yticklabels()] == [
        r"$\beta_0 = 1$", r"$\beta_1 = 2$", r"$\beta_2 = 1$"
    ]  # fmt: skip


def test_a_diagram_shows_every_bar_once_and_fills_the_holes(topology):
    panel = axes()
    draw_persistence_diagram(panel, topology)
    edge = panel.get_ylim()[1]
    points = [torch.as_tensor(item.get_offsets().data) for item in panel.collections]
    for k, bars in enumerate(topology.barcode.bars):
        noise, holes = points[2 * k : 2 * k + 2]
        assert len(holes) == topology.betti[k]
        expected = bars.clamp(max=edge)
        both = sorted(torch.cat([noise, holes]).tolist())
        assert torch.allclose(torch.tensor(both), torch.tensor(sorted(expected.tolist())))
        if k:
            assert (
                (holes[:, 1] / holes[:, 0]).min()
                > topology.thresholds[k]
                >= (noise[:, 1] / noise[:, 0]).max()
            )


def test_the_example_draws_every_figure(tmp_path, monkeypatch):
    monkeypatch.setattr(surfaces, "RESOLUTION", 12)
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "figures.py"))
    paths = example["main"](tmp_path, units=20, steps=4, points=60, landmarks=25)
    assert len(paths) == 6
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
