"""Clauses T1 to T3 for the cognitive tasks: trials, the leaky network, scores by hand, seeds, learning."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from moduli.errors import InvalidConfiguration, MissingDependency
from moduli.models import Sparsifier
from moduli.tasks.cognition import task as cognition
from moduli.tasks.cognition.network import Decider, LeakyNetwork
from moduli.tasks.cognition.settings import PROBLEMS, CognitionSettings
from moduli.tasks.cognition.softplus_rates import softplus_rates
from moduli.tasks.cognition.sources import NeuroGym, Trial
from moduli.tasks.cognition.task import Cognition
from moduli.tasks.cognition.trials import Trials
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.task import make_task
from tests.conftest import seeded
from tests.tasks.resumption import check_resumption

TINY = CognitionSettings(problems="go,anti", units=24, time_step=50, test_trials=20)


class Cues:
    """See one of three cues, wait, and tell it: as it is, or the next one in the task called anti."""

    inputs, answers = 4, 4

    def __init__(self, problems=(), time_step=0):
        self.drawn = 0

    def trial(self, problem, generator):
        self.drawn += 1
        cue, delay = generator.randint(3), generator.randint(1, 4)
        inputs = np.zeros((delay + 5, 4), np.float32)
        inputs[:-2, 0] = 1  # as long as it is lit, wait
        inputs[1:3, 1 + cue] = 1
        inputs[:, 1:] += 0.1 * generator.randn(len(inputs), 3)
        answers = np.zeros(len(inputs), np.int64)
        answers[-2:] = 1 + (cue + (problem == "anti")) % 3
        return Trial(inputs, answers, len(inputs) - 2)


@pytest.fixture
def cues(monkeypatch):
    """Trials come from a source that needs no package."""
    monkeypatch.setattr(cognition, "NeuroGym", Cues)


def configured(settings=TINY, **training):
    chosen = {"steps": 30, "batch": 8, "optimizer": "adam", "learning_rate": 0.01, "log_interval": 10}
    return Configuration(settings, TrainingSettings(**chosen | training), PruningSettings(sparsity=0.5))


def equal(first, second):
    return all(torch.equal(*pair) for pair in zip(vars(first).values(), vars(second).values(), strict=True))


# Trials


def test_shorter_trials_are_followed_by_silence_that_belongs_to_no_period():
    short = Trial(np.ones((3, 2), np.float32), np.array([0, 0, 1]), 2)
    long = Trial(np.ones((5, 2), np.float32), np.array([0, 0, 0, 2, 2]), 3)
    trials = Trials.of([short, long], torch.device("cpu"))
    assert trials.inputs.sum(dim=(1, 2)).tolist() == [6, 10]
    assert trials.in_trial().int().tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert (trials.in_trial() & trials.in_response()).int().tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]
    assert trials.last(trials.answers).tolist() == [1, 2]
    assert trials[torch.tensor([0])].inputs.shape == (1, 3, 2)
    assert trials[1::2].answers.tolist() == [[0, 0, 0, 2, 2]]
    told = trials.telling(1, 3)
    assert told.inputs[..., 2:].unique(dim=0).tolist() == [[[0, 1, 0]] * 5]


def test_a_seed_changes_data_and_a_step_s_batch_depends_on_nothing_else(cues):
    first, again, other = (Cognition(TINY, 8, seed) for seed in (0, 0, 1))
    sequence = [first.batch(step).trials for step in range(2 * cognition.STEPS_AT_ONCE)]
    for step in (2 * cognition.STEPS_AT_ONCE - 1, 3, cognition.STEPS_AT_ONCE):
        assert equal(again.batch(step).trials, sequence[step])
    assert not equal(other.batch(3).trials, sequence[3])
    assert not equal(other._test[0], first._test[0])
    assert not equal(first._test[0][:10], first._validation[0][:10])
    assert len({trials.inputs.numpy().tobytes() for trials in sequence}) == len(sequence)
    rules = [int(trials.inputs[0, 0, -2:].argmax()) for trials in sequence]
    assert sum(rules) / len(rules) == pytest.approx(0.5, abs=0.05)


def test_a_trial_is_drawn_once_for_several_readings(cues):
    task = Cognition(TINY, 8, seed=0)
    before = task._source.drawn
    steps = cognition.STEPS_AT_ONCE
    seen = torch.cat([task.batch(step).trials.inputs[:, 0] for step in range(steps)])
    drawn = task._source.drawn - before
    assert drawn == pytest.approx(8 * steps / cognition.READINGS, rel=0.01)
    assert len(seen.unique(dim=0)) > 0.99 * drawn
    task.batch(steps)
    assert task._source.drawn > before + drawn


def test_one_task_alone_needs_no_rule(cues):
    alone = Cognition(replace(TINY, problems="go"), 8, seed=0)
    assert alone.batch(0).trials.inputs.shape[-1] == 4
    assert alone.model()(alone.batch(0).trials.inputs).shape[-1] == 4
    assert Cognition(TINY, 8, seed=0).batch(0).trials.inputs.shape[-1] == 4 + 2


# The leaky network


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_rates_follow_the_equation(activation):
    network = LeakyNetwork(3, 5, leak=0.3, noise=0.7, activation=activation).eval()
    inputs = torch.randn(2, 6, 3)
    respond = torch.relu if activation == "relu" else lambda x: (1 + x.exp()).log()
    rates, expected = torch.zeros(2, 5), []
    for step in range(6):
        drive = network.weight_rec @ rates.T + network.input.weight @ inputs[:, step].T
        rates = 0.7 * rates + 0.3 * respond(drive.T + network.input.bias)
        expected.append(rates)
    assert torch.allclose(network(inputs), torch.stack(expected, dim=1), atol=1e-5)


def test_the_gradient_of_softplus_rates_is_that_of_autograd():
    driven = torch.randn(2, 4, 3, dtype=torch.float64, generator=seeded(), requires_grad=True)
    weight = torch.randn(3, 3, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda *each: softplus_rates(*each, 0.3), (driven, weight))


def test_softplus_rates_are_of_the_weight_s_precision_under_autocast():
    network = LeakyNetwork(3, 5, leak=0.3, activation="softplus")
    inputs = torch.randn(2, 6, 3, generator=seeded())
    expected = network(inputs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rates = network(inputs)
    rates.sum().backward()
    assert rates.dtype == network.weight_rec.grad.dtype == torch.float32
    assert torch.allclose(rates, expected, atol=0.02)


def test_noise_is_private_of_the_stated_size_and_gone_in_evaluation():
    network = LeakyNetwork(1, 400, leak=0.2, noise=0.05)
    with torch.no_grad():
        network.weight_rec.zero_()
        network.input.weight.zero_()
        network.input.bias.fill_(10.0)
        noisy = network(torch.zeros(50, 2, 1))
        first = noisy[:, 0] / 0.2 - 10
        assert float(first.std()) == pytest.approx(math.sqrt(2 / 0.2) * 0.05, rel=0.02)
        assert abs(float(first.mean())) < 0.01
        assert torch.equal(network.eval()(torch.zeros(50, 2, 1)), network(torch.zeros(50, 2, 1)))


def test_recurrent_weights_start_as_half_of_a_rotation_and_a_ticket_s_too():
    network = LeakyNetwork(3, 16, leak=0.2)
    before = network.weight_rec.clone()
    network.reset_parameters()
    assert not torch.equal(network.weight_rec, before)
    assert torch.allclose(network.weight_rec @ network.weight_rec.T, 0.25 * torch.eye(16), atol=1e-5)


def test_recurrent_names_the_weight_for_a_sparsifier():
    model = Decider(LeakyNetwork(3, 16, leak=0.2), 16, 4)
    sparsifier = Sparsifier(model, "dog", "torus", sparsity=0.75, scope="recurrent", recurrent="*.weight_rec")
    sparsifier.step()
    assert sparsifier.sparsity()["recurrent.weight_rec"] == pytest.approx(0.75, abs=0.01)
    ticket, masks = sparsifier.ticket(seed=1)
    assert torch.equal(masks.masks["recurrent.weight_rec"], sparsifier.masks["recurrent.weight_rec"])
    assert (ticket.recurrent.weight_rec != model.recurrent.weight_rec).any()


def test_noise_of_a_step_depends_on_seed_and_step_alone(cues):
    task = Cognition(TINY, 8, seed=0)
    model, batch = task.model(), task.batch(0)
    before = torch.get_rng_state()
    losses = [task.loss(model, each).item() for each in (batch, batch, replace(batch, number=1))]
    assert torch.equal(torch.get_rng_state(), before)
    assert losses[0] == losses[1] != losses[2]
    assert task.score(model) == task.score(model)
    assert model.training


# Scores


class Told(torch.nn.Module):
    """Tells the first cue that it sees at once, or waits for the response period; in go alone it is right."""

    def __init__(self, patient=True):
        super().__init__()
        self.patient = patient

    def forward(self, inputs):
        cue = 1 + inputs[:, 1:3, 1:4].mean(dim=1).argmax(dim=-1)
        answers = cue[:, None].expand(inputs.shape[:2])
        if self.patient:
            answers = torch.where(inputs[..., 0] == 0, answers, 0)
        return torch.eye(4)[answers]


def test_scores_are_shares_of_trials_by_task(cues):
    task = Cognition(TINY, 8, seed=0)
    assert task.score(Told()) == task.validate(Told()) == 50
    assert task.score(Told(patient=False)) == 50
    for patient in (True, False):
        measured = task.measurements(Told(patient))
        assert measured["wrong decisions by task (%)"] == {"go": 0, "anti": 100}
        broken = 0 if patient else 100
        assert measured["fixation broken by task (%)"] == {"go": broken, "anti": broken}
    assert task.references() == {
        "never answering": 100,
        "any direction equally likely": pytest.approx(100 * 2 / 3),
    }


def test_the_loss_counts_the_response_five_times_and_silence_never(cues):
    task = Cognition(TINY, 8, seed=0)
    model, batch = task.model().eval(), task.batch(0)
    trials = batch.trials
    nats = -model(trials.inputs).log_softmax(dim=-1)
    total = weights = 0.0
    for place, (response, end) in enumerate(zip(trials.responses, trials.ends, strict=True)):
        for step in range(end):
            weight = 5.0 if step >= response else 1.0
            total += weight * nats[place, step, trials.answers[place, step]].item()
            weights += weight
    assert task.loss(model, batch).item() == pytest.approx(total / weights, rel=1e-5)


# Learning


@pytest.mark.parametrize("cell", ["ctrnn", "gru"])
def test_the_protocol_learns_to_decide_with_few_weights(cues, tmp_path, cell):
    settings = replace(TINY, problems="go", cell=cell, criterion=40.0)
    run = Run(configured(settings, steps=200, log_interval=20), "torus-diffusion", 0, tmp_path)
    results = carry_out(run)
    weight = "recurrent.weight_rec" if cell == "ctrnn" else "recurrent.weight_hh_l0"
    for stage, result in results.items():
        assert result.score_name == "wrong decisions (%)"
        assert result.score < 25
        assert result.recurrent == [weight]
        assert result.sparsity[weight] == pytest.approx(0.5, abs=5e-3)
        rows = read_metrics(run.stage(stage))
        learned = result.measurements["steps to 40"]
        assert 0 < learned <= 200
        until = [row["validation"] <= 40 for row in rows if row["step"] <= learned]
        assert until == [False] * (len(until) - 1) + [True]


def test_what_is_never_learned_has_no_steps_to_criterion(cues, tmp_path):
    run = Run(configured(replace(TINY, criterion=1e-3), steps=10), "dense", 0, tmp_path)
    assert carry_out(run, stages=["trained"])["trained"].measurements["steps to 0.001"] is None


@pytest.mark.parametrize("method", ["torus-tiles@a-priori", "ring@a-priori"])
def test_a_leaky_network_takes_masks_known_beforehand(cues, tmp_path, method):
    result = carry_out(Run(configured(), method, 0, tmp_path))["ticket"]
    assert result.sparsity["recurrent.weight_rec"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("cell", ["ctrnn", "gru"])
def test_a_killed_run_resumes_and_ends_bit_identical(cues, tmp_path, monkeypatch, cell):
    check_resumption(Cognition, configured(replace(TINY, cell=cell)), tmp_path, monkeypatch)


# What is asked for


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"problems": "dlydm3"}, "got 'dlydm3'; did you mean 'dlydm"),
        ({"problems": "go,al"}, "problems must be all, or some of .*; got 'al'"),
        ({"problems": ""}, "problems must be all, or some of .*; got ''"),
        ({"cell": "lstm"}, "cell must be one of ctrnn, gru, mingru, lru; got 'lstm'"),
        ({"activation": "tanh"}, "activation must be one of relu, softplus"),
        ({"units": 0}, "units must be positive"),
        ({"noise": -0.1}, "noise must be non-negative"),
        ({"time_step": 200}, "time_step must be at most 100: an answer has 200 ms; got 200"),
        ({"time_step": 50, "time_constant": 20.0}, "time_constant must be at least time_step, which is 50"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(InvalidConfiguration, match=message):
        CognitionSettings(**change)


def test_tasks_are_named_in_any_order():
    assert CognitionSettings(problems="anti, go").chosen() == ("go", "anti")
    assert CognitionSettings().chosen() == PROBLEMS


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "neurogym.envs.collections.yang19", None)
    with pytest.raises(MissingDependency, match=r"need neurogym; .*pip install 'moduli\[cognition\]'"):
        make_task(preset("cognition", "smoke"), seed=0)


# NeuroGym itself


@pytest.fixture(scope="module")
def neurogym():
    reason = "neurogym 2.3.1 needs NumPy 2.2 and matplotlib 3.10, and newer ones are installed"
    return pytest.importorskip("neurogym", reason=reason, exc_type=ImportError)


@pytest.mark.parametrize("time_step", [20, 50])
def test_neurogym_has_these_tasks_and_draws_from_our_generator_alone(neurogym, time_step):
    registration = pytest.importorskip("neurogym.envs.registration")
    assert [f"yang19.{problem}-v0" for problem in PROBLEMS] == registration.get_collection("yang19")
    first, second = NeuroGym(PROBLEMS, time_step), NeuroGym(PROBLEMS, time_step)
    for problem in PROBLEMS:
        for _ in range(3):  # whatever was drawn before
            second.trial(problem, np.random.RandomState(5))
        ours, theirs = (
            [s.trial(problem, g) for _ in range(4)]
            for s, g in ((source, np.random.RandomState(1)) for source in (first, second))
        )
        for trial, other in zip(ours, theirs, strict=True):
            assert np.array_equal(trial.inputs, other.inputs)
            assert np.array_equal(trial.answers, other.answers)
            assert trial.inputs.shape == (len(trial.answers), NeuroGym.inputs)
            assert trial.inputs.dtype == np.float32
            assert 0 < trial.response < len(trial.answers) - 1
            assert 0 <= trial.answers.min() <= trial.answers.max() < NeuroGym.answers
            assert not trial.answers[: trial.response].any()
            assert len(set(trial.answers[trial.response :])) == 1
        assert len({trial.inputs.tobytes() for trial in ours}) == 4


def test_neurogym_s_tasks_are_learned_from(neurogym, tmp_path):
    smoke = preset("cognition", "smoke")
    task = make_task(smoke, seed=0)
    assert task.references()["any direction equally likely"] == pytest.approx(93.75)
    model = task.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    before = task.loss(model, task.batch(0)).item()
    for step in range(60):
        optimizer.zero_grad()
        task.loss(model, task.batch(step)).backward()
        optimizer.step()
    assert task.loss(model, task.batch(60)).item() < 0.8 * before
