"""Clauses T1 to T3 for the digits: images from three sources, how they are read, seeds, and learning."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from moduli.errors import InvalidConfiguration, MissingDependency
from moduli.tasks.digits.images import ARRAYS, load_images
from moduli.tasks.digits.network import SequenceReader
from moduli.tasks.digits.settings import DigitsSettings
from moduli.tasks.digits.task import Digits
from moduli.tasks.errors import UnusableImages
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.task import make_task
from tests.tasks.resumption import check_resumption

TINY = DigitsSettings(units=24, order="rows")


def configured(settings=TINY, **training):
    chosen = {"steps": 30, "batch": 50, "optimizer": "adam", "learning_rate": 0.01, "log_interval": 10}
    return Configuration(settings, TrainingSettings(**chosen | training), PruningSettings(sparsity=0.5))


@pytest.fixture
def file(tmp_path):
    """Forty images of 2 by 3 pixels to learn from, ten for the test: what is bright in them is the label."""
    labels = np.arange(50) % 6
    pixels = np.zeros((50, 2, 3), dtype=np.uint8)
    pixels.reshape(50, 6)[np.arange(50), labels] = 255
    path = tmp_path / "images.npz"
    np.savez(path, x_train=pixels[:40], y_train=labels[:40], x_test=pixels[40:], y_test=labels[40:])
    return path


# Images


def test_the_digits_of_scikit_learn_are_read_as_they_are():
    images, test = load_images("digits")
    assert test is None
    assert images.pixels.dtype == torch.float32
    assert (float(images.pixels.min()), float(images.pixels.max())) == (0, 1)
    assert images.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_a_file_has_a_test_of_its_own(file):
    train, test = load_images(str(file))
    assert train.pixels.shape == (40, 2, 3)
    assert test.pixels.flatten(1).argmax(dim=1).tolist() == test.labels.tolist()
    task = Digits(DigitsSettings(images=str(file), order="rows"), 4, seed=0)
    assert len(task._test) == 10
    assert (len(task._train), len(task._validation)) == (36, 4)
    assert task.model()(task.batch(0).inputs).shape == (4, 6)
    assert task.references()["nearest mean image"] == 0
    assert 0 < task.references()["nearest mean of the last step"] < 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_test": None}, r"cannot be read \(.*x_test.*a file of images holds the arrays x_train"),
        ({"x_train": np.zeros((40, 6))}, r"must be numbers \(images, height, width\); got float64 of shape"),
        ({"x_train": np.full((40, 2, 3), "a")}, r"must be numbers \(images, height, width\); got <U1"),
        ({"x_train": np.full((40, 2, 3), np.nan)}, "must be finite, not negative and not all dark"),
        ({"x_train": np.zeros((40, 2, 3))}, "must be finite, not negative and not all dark"),
        ({"x_test": np.ones((10, 3, 2))}, r"one size; those to learn from have \(2, 3\), .* \(3, 2\)"),
        ({"y_train": np.zeros(39, int)}, "must be 40 whole numbers, one for each image; got int64 of shape"),
        ({"y_train": np.zeros(40)}, "must be 40 whole numbers, one for each image; got float64"),
        ({"y_test": np.full(10, -1)}, "must be from 0 to 999"),
        ({"y_test": np.array([None] * 10)}, r"cannot be read \(Object arrays cannot be loaded"),
    ],
)
def test_a_file_that_is_not_one_of_images_is_refused(file, change, message):
    with np.load(file) as arrays:
        kept = {name: change.get(name, arrays[name]) for name in ARRAYS}
    np.savez(file, **{name: array for name, array in kept.items() if array is not None})
    with pytest.raises(UnusableImages, match=message):
        load_images(str(file))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no archive", b"some text"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(UnusableImages, match=r"images\.npz cannot be read"):
        load_images(str(path))


def test_what_is_not_there_is_named():
    with pytest.raises(UnusableImages, match=r"nowhere\.npz cannot be read"):
        load_images("nowhere.npz")
    with pytest.raises(UnusableImages, match=r"'mnits' is neither .* did you mean 'mnist'"):
        load_images("mnits")


def test_mnist_comes_from_hugging_face(monkeypatch):
    asked = []

    def load_dataset(name):
        asked.append(name)
        image = np.full((28, 28), 255, dtype=np.uint8)
        return {part: {"image": [image, image], "label": [3, 4]} for part in ("train", "test")}

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    train, test = load_images("mnist")
    assert asked == ["ylecun/mnist"]
    assert train.pixels.shape == test.pixels.shape == (2, 28, 28)
    assert test.labels.tolist() == [3, 4]

    def unreachable(_):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=unreachable))
    with pytest.raises(UnusableImages, match=r"could not be downloaded \(no route\); connect"):
        load_images("mnist")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependency, match=r"pip install 'moduli\[corpora\]'"):
        load_images("mnist")


# How they are read


def test_rows_and_pixels_are_read_in_order_or_in_one_that_is_drawn():
    rows, pixels, permuted = (
        Digits(DigitsSettings(units=4, order=order, permuted=shuffle), 10, seed=0)
        for order, shuffle in (("rows", False), ("pixels", False), ("pixels", True))
    )
    assert rows._test.inputs.shape[1:] == (8, 8)
    assert pixels._test.inputs.shape[1:] == (64, 1)
    assert torch.equal(rows._test.inputs.flatten(1), pixels._test.inputs.flatten(1))
    for part in ("_train", "_validation", "_test"):
        plain, shuffled = (getattr(task, part).inputs[..., 0] for task in (pixels, permuted))
        assert torch.equal(plain[:, permuted._pixels], shuffled)
    assert sorted(permuted._pixels.tolist()) == list(range(64))
    other = Digits(permuted.settings, 10, seed=1)
    assert not torch.equal(other._pixels, permuted._pixels)


def test_a_seed_changes_data_and_a_step_s_batch_depends_on_nothing_else():
    first, again, other = (Digits(TINY, 100, seed) for seed in (0, 0, 1))
    steps = len(first._train) // 100
    assert steps == 12
    sequence = [first.batch(step).inputs for step in range(2 * steps)]
    for step in (2 * steps - 1, 3):
        assert torch.equal(again.batch(step).inputs, sequence[step])
    assert not torch.equal(other.batch(3).inputs, sequence[3])
    assert not torch.equal(other._test.inputs, first._test.inputs)
    epochs = [torch.cat(sequence[:steps]), torch.cat(sequence[steps:])]
    assert len(epochs[0].flatten(1).unique(dim=0)) == 1200  # no image twice in an epoch
    assert not torch.equal(*epochs)


def test_images_of_validation_and_test_are_never_learned_from():
    task = Digits(TINY, 10, seed=0)
    parts = [part.inputs.flatten(1) for part in (task._train, task._validation, task._test)]
    assert [len(part) for part in parts] == [1294, 144, 359]
    assert len(torch.cat(parts).unique(dim=0)) == 1797


# Scores


class Constant(torch.nn.Module):
    """Holds every image for one digit."""

    def __init__(self, digit):
        super().__init__()
        self.digit = digit

    def forward(self, inputs):
        return torch.eye(10)[self.digit].expand(len(inputs), 10)


def test_the_score_is_the_share_of_wrong_digits():
    task = Digits(TINY, 10, seed=0)
    share = float((task._test.labels == 3).double().mean())
    assert task.score(Constant(3)) == pytest.approx(100 * (1 - share))
    measured = task.measurements(Constant(3))
    assert measured["accuracy"] == pytest.approx(share)
    assert measured["accuracy by class"] == {str(digit): float(digit == 3) for digit in range(10)}
    commonest = int(task._train.labels.bincount().argmax())
    assert task.references()["always the commonest digit"] == task.score(Constant(commonest))
    validation = float((task._validation.labels == 3).double().mean())
    assert task.validate(Constant(3)) == pytest.approx(100 * (1 - validation))


def test_the_loss_is_the_cross_entropy_of_the_last_state():
    task = Digits(TINY, 7, seed=0)
    model, batch = task.model(), task.batch(0)
    chances = model(batch.inputs).softmax(dim=-1)
    by_hand = -chances[torch.arange(7), batch.labels].log().mean()
    assert task.loss(model, batch).item() == pytest.approx(by_hand.item(), rel=1e-5)
    inputs = batch.inputs.clone().requires_grad_()
    model(inputs).sum().backward()
    assert (inputs.grad != 0).any(dim=-1).all()


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_a_relu_network_starts_as_the_identity_and_a_ticket_s_too(cell):
    network = SequenceReader(cell, 1, 6, 10)
    before = network.decoder.weight.clone()
    network.reset_parameters()
    assert not torch.equal(network.decoder.weight, before)
    assert torch.equal(network.recurrent.weight_hh_l0[:6], torch.eye(6)) == (cell == "rnn")
    assert (network.recurrent.bias_hh_l0 == 0).all() == (cell == "rnn")


# Learning


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_the_protocol_learns_digits_with_few_weights(tmp_path, cell):
    configuration = configured(replace(TINY, cell=cell), steps=250)
    results = carry_out(Run(configuration, "torus-diffusion", 0, tmp_path))
    for result in results.values():
        assert result.score_name == "wrong digits (%)"
        assert result.score < 30
        assert result.measurements["accuracy"] == pytest.approx(1 - result.score / 100)
        assert result.sparsity["recurrent.weight_hh_l0"] == pytest.approx(0.5, abs=5e-3)


def test_the_first_step_at_which_few_digits_are_wrong_is_told(tmp_path):
    run = Run(configured(replace(TINY, criterion=60.0), steps=100, log_interval=10), "dense", 0, tmp_path)
    learned = carry_out(run, stages=["trained"])["trained"].measurements["steps to 60"]
    below = [row["validation"] <= 60 for row in read_metrics(run.stage("trained")) if row["step"] <= learned]
    assert below == [False] * (len(below) - 1) + [True]


def test_runs_of_before_are_found_as_the_usual_criterion_is_no_part_of_their_name(tmp_path):
    usual, other = (
        Run(configured(replace(TINY, criterion=value)), "dense", 0, tmp_path) for value in (10, 20)
    )
    assert "criterion" not in usual.identity["task"]
    assert usual.folder != other.folder


def test_a_killed_run_resumes_and_ends_bit_identical(tmp_path, monkeypatch):
    check_resumption(Digits, configured(replace(TINY, units=8, permuted=True)), tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cell": "lstm"}, "cell must be one of gru, rnn, mingru, lru; got 'lstm'"),
        ({"order": "columns"}, "order must be one of rows, pixels; got 'columns'"),
        ({"units": 0}, "units must be positive"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InvalidConfiguration, match=message):
        DigitsSettings(**change)


def test_a_batch_that_is_larger_than_the_data_is_refused():
    with pytest.raises(InvalidConfiguration, match="batch must be at most 1294, the number of images"):
        make_task(configured(batch=1295), seed=0)
