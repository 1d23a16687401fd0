"""Clauses T1 and T2 for the adding problem: sequences, seeds, errors by hand, and learning."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.errors import InvalidConfiguration
from moduli.regularizers import ShapeMismatch
from moduli.tasks.adding.sequences import Sequences, draw
from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.adding.task import Adding
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.task import make_task
from tests.conftest import seeded
from tests.tasks.resumption import check_resumption

TINY = AddingSettings(units=32, length=5, test_sequences=300)


@given(st.integers(1, 20), st.integers(2, 30), st.integers(0, 2**31))
def test_two_numbers_of_each_sequence_are_marked_and_summed(batch, length, seed):
    sequences = draw(batch, length, seeded(seed))
    assert sequences.inputs.shape == (batch, length, 2)
    assert sequences.sums.shape == (batch,)
    for sequence, total in zip(sequences.inputs.tolist(), sequences.sums.tolist(), strict=True):
        marked = [number for number, mark in sequence if mark == 1]
        assert sorted(mark for _, mark in sequence) == [0] * (length - 2) + [1, 1]
        assert all(0 <= number < 1 for number, _ in sequence)
        assert total == pytest.approx(sum(marked), abs=1e-6)


def test_every_pair_of_places_is_marked_equally_often_whatever_the_numbers():
    inputs = draw(20_000, 4, seeded()).inputs
    numbers, marks = inputs.unbind(dim=-1)
    for pair in itertools.combinations(range(4), 2):
        share = float(marks[:, pair].prod(dim=1).mean())
        assert share == pytest.approx(1 / 6, abs=0.01)
    assert float(numbers[marks == 1].mean()) == pytest.approx(0.5, abs=0.01)
    assert float(numbers[marks == 1].var()) == pytest.approx(1 / 12, abs=0.002)


def test_a_seed_changes_data_and_a_step_s_batch_depends_on_nothing_else():
    first, again, other = (Adding(TINY, 4, seed) for seed in (0, 0, 1))
    sequence = [first.batch(step).inputs for step in range(30)]
    assert torch.equal(again.batch(29).inputs, sequence[29])
    assert torch.equal(again.batch(3).inputs, sequence[3])
    assert len({float(batch.sum()) for batch in sequence}) == 30
    assert not torch.equal(other.batch(3).inputs, sequence[3])
    assert not torch.equal(other._test.inputs, first._test.inputs)
    test, validation = first._test.inputs[:10, :, 0], first._validation.inputs[:10, :, 0]
    assert not torch.equal(test, validation)


def test_whoever_always_answers_1_errs_by_a_sixth():
    task = Adding(AddingSettings(units=8, length=10, test_sequences=20_000), 4, seed=0)
    assert task.references()["always answering 1"] == pytest.approx(1 / 6, rel=0.03)


class Exact(torch.nn.Module):
    """Adds the marked numbers, wrongly by what it is told."""

    def __init__(self, error=0.0):
        super().__init__()
        self.error = error

    def forward(self, inputs):
        return inputs.prod(dim=-1).sum(dim=-1) + self.error


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_loss_and_score_are_the_mean_of_squares_over_sequences(error):
    task = Adding(TINY, 7, seed=0)
    assert task.score(Exact(error)) == pytest.approx(error**2, abs=1e-6)
    assert task.validate(Exact(error)) == pytest.approx(error**2, abs=1e-6)
    batch = task.batch(0)
    model = task.model()
    answers = model(batch.inputs)
    assert answers.shape == batch.sums.shape
    pairs = zip(answers.tolist(), batch.sums.tolist(), strict=True)
    by_hand = sum((answer - total) ** 2 for answer, total in pairs) / 7
    assert task.loss(model, batch).item() == pytest.approx(by_hand, rel=1e-5)


def test_answers_in_a_column_are_refused_rather_than_broadcast():
    class Column(Exact):
        def forward(self, inputs):
            return super().forward(inputs)[:, None]

    task = Adding(TINY, 7, seed=0)
    with pytest.raises(ShapeMismatch, match=r"shape of the sums, \(7,\); got \(7, 1\)"):
        task.loss(Column(), task.batch(0))
    with pytest.raises(ShapeMismatch, match=r"\(300,\); got \(300, 1\)"):
        task.score(Column())


def test_the_answer_depends_on_every_number_of_a_sequence():
    model = Adding(TINY, 1, seed=0).model()
    inputs = draw(3, 5, seeded()).inputs.requires_grad_()
    model(inputs).sum().backward()
    assert (inputs.grad != 0).any(dim=-1).all()


def test_the_protocol_learns_to_add_with_few_weights(tmp_path):
    configuration = Configuration(
        TINY,
        TrainingSettings(steps=400, batch=50, optimizer="adam", learning_rate=0.01, log_interval=200),
        PruningSettings(sparsity=0.5),
    )
    assert isinstance(make_task(configuration, seed=0).batch(0), Sequences)
    results = carry_out(Run(configuration, "torus-diffusion", 0, tmp_path))
    for result in results.values():
        assert result.score_name == "mean squared error"
        assert result.score < 0.2 * result.references["always answering 1"]
        assert result.sparsity["recurrent.weight_hh_l0"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("initialization", ["uniform", "identity"])
def test_recurrence_starts_as_drawn_or_as_the_identity_and_a_ticket_s_too(initialization):
    network = Adding(replace(TINY, initialization=initialization), 4, seed=0).model()
    before = network.decoder.weight.clone()
    network.reset_parameters()
    assert not torch.equal(network.decoder.weight, before)
    is_identity = initialization == "identity"
    assert torch.equal(network.recurrent.weight_hh_l0, torch.eye(32)) == is_identity
    assert (network.recurrent.bias_hh_l0 == 0).all() == is_identity


def test_a_killed_run_resumes_and_ends_bit_identical(tmp_path, monkeypatch):
    configuration = Configuration(
        replace(TINY, initialization="identity"),
        TrainingSettings(steps=12, batch=8, log_interval=4),
        PruningSettings(sparsity=0.5),
    )
    check_resumption(Adding, configuration, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initialization": "eye"}, "initialization must be one of uniform, identity; got 'eye'"),
        ({"length": 1}, "length must be at least 2: two numbers are added; got 1"),
        ({"units": 0}, "units must be positive; got 0"),
        ({"test_sequences": -1}, "test_sequences must be positive"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InvalidConfiguration, match=message):
        AddingSettings(**change)
