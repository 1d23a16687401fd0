"""Methods that are never dense: their words, their masks, and that all can be compared."""

import math
from dataclasses import dataclass, replace

import networkx
import pytest
import torch

from moduli.errors import InvalidParameter, ModuliError
from moduli.manifolds import Torus
from moduli.models import (
    InvalidSparsity,
    clique_mask,
    community_mask,
    geometric_mask,
    register_mask_family,
    regular_mask,
    rewired_mask,
    ring_mask,
    small_world_mask,
    tile_mask,
    twin_mask,
)
from moduli.models.masks.graphs import random_graph_mask
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.regularizers import Diffusion, register_regularizer
from moduli.regularizers.registry import REGULARIZERS
from moduli.tasks import preset
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.methods import explained_methods, method
from moduli.tasks.experiments.methods.beforehand import Family
from moduli.tasks.experiments.preparation import fresh_model, fresh_network, sparsifier_of
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.files import read_tensors
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import STAGES
from moduli.tasks.experiments.training.metrics_log import MetricsLog
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import make_task

FAMILIES = {
    "random@a-priori": random_graph_mask,
    "regular@a-priori": regular_mask,
    "ring@a-priori": ring_mask,
    "small-world@a-priori": small_world_mask,
    "cliques@a-priori": clique_mask,
    "communities@a-priori": community_mask,
    "twins@a-priori": twin_mask,
}
GEOMETRIC = ("torus-diffusion@a-priori", "torus-tiles@a-priori", "torus-dog@free-diagonal@a-priori")
REWIRED = tuple(f"rewired-{name}" for name in GEOMETRIC)
LACKING = ("two-coloured-torus-diffusion@a-priori", "one-way-torus-diffusion@a-priori")
ALL = (*FAMILIES, *LACKING, "small-world(rewiring=0.3)@a-priori", *GEOMETRIC, *REWIRED)

SMOKE = preset("adding", "smoke")


@pytest.fixture(scope="module")
def task():
    return make_task(SMOKE, 0)


@pytest.fixture
def registries(monkeypatch):
    for registry in (MASK_FAMILIES, REGULARIZERS):
        monkeypatch.setattr(registry, "_entries", registry.snapshot())


def masks_of(name, task, folder, seed=0, sparsity=0.8):
    configuration = replace(SMOKE, pruning=replace(SMOKE.pruning, sparsity=sparsity))
    return sparsifier_of(fresh_model(task), Run(configuration, name, seed, folder))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("sparsity", [0.8, 0.9])
def test_counts_are_exact_and_self_connections_live_so_that_degrees_are_equal(name, sparsity, task, tmp_path):
    assert method(name).a_priori
    sparsifier = masks_of(name, task, tmp_path, sparsity=sparsity)
    (mask,) = sparsifier.masks.values()
    assert mask.shape == (32, 32)
    assert abs(int(mask.sum()) - (1024 - round(sparsity * 1024))) <= 1
    assert mask.diagonal().all()
    assert sparsifier.penalty() == 0
    (again,) = masks_of(name, task, tmp_path, sparsity=sparsity).masks.values()
    (other,) = masks_of(name, task, tmp_path, sparsity=sparsity, seed=1).masks.values()
    assert torch.equal(mask, again)
    assert not torch.equal(mask, other)


def test_masks_are_those_that_the_words_say(task, tmp_path):
    seed = stream_seed(0, "ties of masks", 0)
    points = Torus().random_point(32, stream(0, "embedding"))
    nearest = geometric_mask("diffusion", "torus", points, sparsity=0.8, seed=seed)
    tiles = tile_mask("torus", points, sparsity=0.8, seed=seed)
    wanted = {name: make(32, sparsity=0.8, seed=seed) for name, make in FAMILIES.items()} | {
        "small-world(rewiring=0.3)@a-priori": small_world_mask(32, sparsity=0.8, rewiring=0.3, seed=seed),
        "torus-diffusion@a-priori": nearest,
        "torus-tiles@a-priori": tiles,
        "torus-tiles(bridges=0.2)@a-priori": tile_mask("torus", points, sparsity=0.8, bridges=0.2, seed=seed),
        "torus(period=10.0)-tiles(bridges=0)@a-priori": tiles,
        "rewired-torus-diffusion@a-priori": rewired_mask(nearest, seed),
        "rewired-torus-tiles@a-priori": rewired_mask(tiles, seed),
    }
    for name, mask in wanted.items():
        assert torch.equal(masks_of(name, task, tmp_path).masks["recurrent.weight_hh_l0"], mask), name


def test_rewiring_keeps_every_degree_and_loses_the_places(task, tmp_path):
    for name in GEOMETRIC:
        masks = [
            next(iter(masks_of(each, task, tmp_path).masks.values())) for each in (name, f"rewired-{name}")
        ]
        for axis in (0, 1):
            assert torch.equal(masks[0].sum(axis), masks[1].sum(axis))
        moved = int((masks[1] & ~masks[0]).sum()) / int((masks[0] & ~torch.eye(32, dtype=torch.bool)).sum())
        assert moved > 0.5


def test_layers_of_one_size_share_masks_of_every_kind(tmp_path):
    """Masks by distance are alike, as the layers' neurons have the same places; so a control's must be."""
    smoke = preset("digits", "smoke")
    configuration = replace(smoke, task=replace(smoke.task, layers=2))
    task = make_task(configuration, 0)
    for name in (GEOMETRIC[0], REWIRED[0], "cliques@a-priori", "random@a-priori"):
        _, sparsifier = fresh_network(Run(configuration, name, 0, tmp_path), task)
        first, second = sparsifier.masks.values()
        assert torch.equal(first, second), name


def test_random_masks_are_random_between_different_neurons():
    counts = sum(random_graph_mask(20, sparsity=0.8, seed=seed).int() for seed in range(400))
    others = counts[~torch.eye(20, dtype=torch.bool)]
    expected = 400 * 60 / 380
    assert (counts.diagonal() == 400).all()
    assert others.float().mean() == pytest.approx(expected)
    assert others.float().std() == pytest.approx(math.sqrt(expected * (1 - 60 / 380)), rel=0.15)
    with pytest.raises(InvalidSparsity, match="keep all their self-connections"):
        random_graph_mask(10, sparsity=0.95)


def test_every_word_is_explained():
    words = explained_methods()
    assert {*FAMILIES, "MANIFOLD-tiles@a-priori", "rewired-", "two-coloured-", "one-way-"} < words.keys()
    assert words["ring@a-priori"].startswith("never dense: the mask of a ring")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("regular", "known beforehand, which its name says: write regular@a-priori"),
        ("torus-tiles@layer", "write torus-tiles@layer@a-priori"),
        ("rewired-none", "stands before a geometric method, such as rewired-torus-diffusion@a-priori"),
        ("one-way-communities(communities=4)@a-priori", "such as one-way-torus-diffusion@a-priori"),
        ("permuted-narrow", "such as permuted-torus-diffusion, and 'narrow' is not one"),
        ("rewired-torus-dog", "write rewired-torus-dog@a-priori"),
        ("regualr@a-priori", "did you mean 'regular'"),
        ("smal-world@a-priori", "did you mean 'small-world'"),
        ("smal-world(rewiring=0.1)@a-priori", "did you mean 'small-world'"),
        (
            "small-world(rewirng=0.1)@a-priori",
            "no parameter 'rewirng'; did you mean 'rewiring'",
        ),
        ("small-world(0.1)@a-priori", "did you mean 'small-world'"),
        ("torus-tile@a-priori", "did you mean 'tiles'"),
        ("tours-tiles@a-priori", "did you mean 'torus'"),
        ("rewired-regular@a-priori", "No method is called"),
        ("rewired-permuted-torus-dog@a-priori", "'permuted-torus' .* is not a manifold"),
        ("permuted-torus-tiles@a-priori", "write rewired-torus-tiles@a-priori"),
        ("one-way-torus-tiles@a-priori", "write rewired-torus-tiles@a-priori"),
        ("one-way-torus-dog", "write one-way-torus-dog@a-priori"),
        ("ring@free-diagonal@a-priori", "needs coefficients, and 'ring' has none"),
        ("torus-tiles@a-priori@charged-diagonal", "needs coefficients, and 'torus-tiles' has none"),
        ("rewired-l1@a-priori", "No method is called"),
        ("none@survivors", r"must be known before training for @survivors"),
        ("torus-tiles@survivors", r"write a method that ends in @a-priori@survivors"),
        ("torus-dog@survivors", r"must be known before training"),
        ("torus-tiles@a-priori@survivor", "did you mean 'survivors'"),
        ("torus-tiles(bridges=0.1)", r"write torus-tiles\(bridges=0\.1\)@a-priori"),
        ("torus-tiles(bridge=0.1)@a-priori", "did you mean 'bridges'"),
        ("torus-tiles(bridges=1.5)@a-priori", r"a share of the weights, in \[0, 1\)"),
        ("torus-tiles(0.1)@a-priori", r"cannot be read; write tiles\(bridges=0\.1\)"),
        ("torus-dog(bridges=0.1)@a-priori", "is not an inhibitor"),
    ],
)
def test_what_cannot_be_read_is_named(name, message):
    with pytest.raises(ModuliError, match=message):
        method(name)


def test_a_family_that_a_user_registers_is_a_word(registries, task, tmp_path):
    @register_mask_family("double-ring", claims=("symmetric",))
    def double_ring(n, *, sparsity, seed, shift=2):
        mask = ring_mask(n, sparsity=sparsity, seed=seed)
        order = torch.arange(n).mul(shift + 1).remainder(n)
        return mask[order][:, order]

    (mask,) = masks_of("double-ring(shift=4)@a-priori", task, tmp_path).masks.values()
    assert torch.equal(mask, double_ring(32, sparsity=0.8, seed=stream_seed(0, "ties of masks", 0), shift=4))
    assert "double-ring@a-priori" in explained_methods()


def test_an_inhibitor_s_name_that_looks_like_a_family_s_is_an_inhibitor(registries):
    @register_regularizer("ringed")
    @dataclass(frozen=True)
    class Ringed(Diffusion):
        """Called nearly as a family is."""

    assert method("torus-ringed").regularizer == Ringed().normalized()


def test_what_is_not_a_mask_is_refused():
    for wrong in (torch.ones(3, 3), torch.ones(2, 2) > 0, [[True]]):
        family = Family("wrong", lambda n, *, sparsity, seed, wrong=wrong: wrong)
        with pytest.raises(InvalidParameter, match=r"masks of wrong must be \(3, 3\) torch\.bool"):
            family.mask(3, None, sparsity=0.5, seed=0)


def test_families_are_the_graphs_that_they_are_called_after(task, tmp_path):
    (mask,) = masks_of("cliques@a-priori", task, tmp_path).masks.values()
    (tiles,) = masks_of("torus-tiles@a-priori", task, tmp_path).masks.values()
    for each in (mask, tiles):
        graph = networkx.from_numpy_array((each & ~torch.eye(32, dtype=torch.bool)).numpy())
        assert networkx.transitivity(graph) > 0.9


def test_one_of_each_is_compared(tmp_path):
    smoke = replace(SMOKE, training=replace(SMOKE.training, steps=10, log_interval=5))
    names = ("random@a-priori", "small-world(rewiring=0.3)@a-priori", "torus-tiles@a-priori", REWIRED[0])
    comparison = Comparison(smoke, names, [0], tmp_path, "table", control="random@a-priori")
    summary = comparison.summarize(comparison.carry_out(1, Execution()))
    assert summary.verified
    for row in summary.rows:
        assert all(math.isfinite(value) for value in (*row.trained, *row.ticket))
        assert row.sparsity == pytest.approx(0.8, abs=0.002)


def test_a_matrix_of_gates_has_one_mask_for_all_of_them(tmp_path):
    run = Run(preset("navigation", "smoke"), "regular@a-priori", 0, tmp_path)
    model = torch.nn.GRU(3, 24)
    mask = sparsifier_of(model, run).masks["weight_hh_l0"].view(3, 24, 24)
    assert torch.equal(mask[0], mask[1])
    assert torch.equal(mask[0], mask[2])


NAVIGATION = preset("navigation", "smoke")


def shortened(preset, steps):
    return replace(preset, training=replace(preset.training, steps=steps, log_interval=2))


@pytest.mark.parametrize(
    "name", ["torus-tiles@a-priori", "torus-tiles(bridges=0.2)@a-priori", "regular@a-priori"]
)
def test_training_by_survivors_is_training_the_masked_network(name, tmp_path):
    brief = shortened(NAVIGATION, 20)
    brief = replace(brief, pruning=replace(brief.pruning, sparsity=0.6))
    runs = [Run(brief, each, 3, tmp_path) for each in (name, f"{name}@survivors")]
    assert runs[0].folder != runs[1].folder
    for run in runs:
        carry_out(run)
    for stage in STAGES:
        dense, sparse = (StoredNetwork(run.stage(stage)) for run in runs)
        assert sparse.result.method == f"{name}@survivors"
        assert sparse.result.sparsity == dense.result.sparsity
        assert [row["sparsity"] for row in sparse.metrics] == [row["sparsity"] for row in dense.metrics]
        assert sparse.masks.keys() == dense.masks.keys()
        assert sparse.weights.keys() == dense.weights.keys()
        for matrix, mask in dense.masks.items():
            assert torch.equal(sparse.masks[matrix], mask)
            assert not sparse.weights[matrix][~mask].any()
        for weight, expected in dense.weights.items():
            torch.testing.assert_close(sparse.weights[weight], expected, rtol=0, atol=1e-4)
        assert sparse.result.score == pytest.approx(dense.result.score, rel=1e-3)


def test_a_run_by_survivors_goes_on_where_it_stopped(tmp_path, monkeypatch):
    name, brief = "torus-tiles(bridges=0.2)@a-priori@survivors", shortened(NAVIGATION, 12)
    brief = replace(brief, pruning=replace(brief.pruning, sparsity=0.6))
    whole, stopped = (Run(brief, name, 0, tmp_path / each) for each in ("whole", "stopped"))
    carry_out(whole)
    append = MetricsLog.append

    def stop_at_six(log, row):
        append(log, row)
        if row["step"] == 6:
            raise KeyboardInterrupt

    saving = Execution(checkpoint_seconds=0)
    monkeypatch.setattr(MetricsLog, "append", stop_at_six)
    with pytest.raises(KeyboardInterrupt):
        carry_out(stopped, saving)
    monkeypatch.setattr(MetricsLog, "append", append)
    checkpoint = read_tensors(stopped.stage("trained") / "checkpoint.safetensors")[0]
    recurrent = {name for name in checkpoint if "weight_hh_l0" in name}
    assert "model.recurrent.weight_hh_l0.values" in recurrent
    assert max(checkpoint[name].numel() for name in recurrent) < 64 * 64
    carry_out(stopped, saving)
    for stage in STAGES:
        one, other = (StoredNetwork(run.stage(stage)).weights for run in (whole, stopped))
        assert all(torch.equal(tensor, other[weight]) for weight, tensor in one.items())
