"""minGRU and LRU: their equations, where they start, what can be sparse in them, and what they learn."""

import math
from dataclasses import replace

import pytest
import torch

from moduli.errors import InvalidConfiguration
from moduli.models import NothingToPrune, Sparsifier
from moduli.tasks.cognition.settings import CognitionSettings
from moduli.tasks.digits.network import SequenceReader
from moduli.tasks.digits.settings import DigitsSettings
from moduli.tasks.digits.task import Digits
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.verification import Verification
from moduli.tasks.recurrences.kinds import DIAGONAL, mixing_weights
from moduli.tasks.recurrences.lru import LARGEST, LRU, SMALLEST, LRULayer
from moduli.tasks.recurrences.mingru import MinGRU
from tests.conftest import seeded
from tests.tasks.resumption import check_resumption

TINY = DigitsSettings(units=32, order="rows", layers=2)
CELLS = pytest.mark.parametrize("cell", ["mingru", "lru"])


def configured(cell, layers=2, **training):
    chosen = {"steps": 200, "batch": 50, "optimizer": "adam", "learning_rate": 0.01, "log_interval": 100}
    settings = replace(TINY, cell=cell, layers=layers)
    return Configuration(settings, TrainingSettings(**chosen | training), PruningSettings(sparsity=0.5))


def test_a_mingru_follows_the_equations():
    network = MinGRU(3, 5, layers=2)
    inputs = torch.randn(2, 6, 3, generator=seeded())
    expected = inputs
    for layer in network.layers:
        state, states = torch.zeros(2, 5), []
        for step in expected.unbind(dim=1):
            gate = torch.sigmoid(step @ layer.weight[:5].T + layer.bias[:5])
            candidate = step @ layer.weight[5:].T + layer.bias[5:]
            state = (1 - gate) * state + gate * candidate
            states.append(state)
        expected = torch.stack(states, dim=1)
    assert torch.allclose(network(inputs), expected, atol=1e-6)


def test_an_lru_is_the_sum_over_the_past_of_what_turned_and_faded():
    layer = LRULayer(3, 5).double()
    inputs = torch.randn(2, 6, 3, generator=seeded(), dtype=torch.float64)
    radii, angles = torch.exp(-torch.exp(layer.nu)), torch.exp(layer.theta)
    weight_in = torch.complex(layer.weight_in[:5], layer.weight_in[5:]) * torch.exp(layer.gamma)[:, None]
    weight_out = torch.complex(layer.weight_out[:5], layer.weight_out[5:])
    for step in range(6):
        powers = torch.arange(step, -1, -1)[:, None]
        remembered = radii**powers * torch.exp(1j * angles * powers)
        state = (remembered * (inputs[:, : step + 1].cdouble() @ weight_in.T)).sum(dim=1)
        expected = torch.nn.functional.gelu((state @ weight_out.T).real)
        assert torch.allclose(layer(inputs)[:, step], expected)


def test_an_lru_starts_on_its_ring_with_states_of_the_size_of_its_inputs():
    layer = LRULayer(40, 4000)
    eigenvalues = layer.eigenvalues().detach()
    radii, angles = eigenvalues.abs(), eigenvalues.angle()
    assert SMALLEST - 1e-4 < float(radii.min()) < float(radii.max()) < LARGEST + 1e-4
    middle = math.sqrt((SMALLEST**2 + LARGEST**2) / 2)  # half of the ring's area is within
    assert float((radii < middle).double().mean()) == pytest.approx(0.5, abs=0.03)
    assert abs(float(angles.mean())) < 0.1
    assert torch.allclose(layer.gamma.exp().square() + radii.square(), torch.ones(4000), atol=1e-4)
    before = [parameter.clone() for parameter in layer.parameters()]
    layer.reset_parameters()
    assert not any(torch.equal(*pair) for pair in zip(before, layer.parameters(), strict=True))


@CELLS
def test_a_unit_of_one_layer_hears_of_no_other_one(cell):
    network = DIAGONAL[cell](3, 6)
    if cell == "lru":
        torch.nn.init.eye_(network.layers[0].weight_out)  # real parts of the states alone
    inputs = torch.randn(1, 9, 3, generator=seeded())
    before = network(inputs)
    with torch.no_grad():
        for parameter in network.parameters():
            if len(parameter) == 12 and parameter is not getattr(network.layers[0], "weight_out", None):
                parameter.view(2, 6, -1)[:, 2] += 1.0
    moved = (network(inputs) != before).any(dim=1).squeeze()
    assert moved.tolist() == [unit == 2 for unit in range(6)]


@CELLS
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_mixes_units_is_named_and_nothing_else(cell, layers):
    model = SequenceReader(cell, 4, 16, 10, layers)
    names = mixing_weights(cell, layers)
    assert len(names) == (layers - 1) * (1 if cell == "mingru" else 2)
    square = [name for name, each in model.named_parameters() if each.dim() == 2 and each.shape[1] == 16]
    ends = {"decoder.weight", f"recurrent.layers.{layers - 1}.weight_out"}
    assert sorted(set(square) - ends) == sorted(names)
    if names:
        sparsifier = Sparsifier(model, "dog", "torus", sparsity=0.75, scope="recurrent", recurrent=names)
        sparsifier.step()
        assert set(sparsifier.masks) == set(sparsifier.embeddings) == set(names)
        ticket, masks = sparsifier.ticket(seed=1)
        for name in names:
            assert sparsifier.sparsity()[name] == pytest.approx(0.75, abs=0.01)
            assert torch.equal(masks.masks[name], sparsifier.masks[name])
            assert (ticket.get_parameter(name) != model.get_parameter(name)).any()


@CELLS
def test_the_protocol_learns_with_few_weights_between_layers(tmp_path, cell):
    results = carry_out(Run(configured(cell), "torus-diffusion", 0, tmp_path))
    names = list(mixing_weights(cell, 2))
    for result in results.values():
        assert result.score < 45
        assert result.recurrent == names
        assert all(result.sparsity[name] == pytest.approx(0.5, abs=5e-3) for name in names)


@CELLS
@pytest.mark.parametrize("method", ["none", "torus-diffusion", "ring@a-priori", "l1@layer", "narrow"])
def test_a_method_about_recurrent_weights_is_refused_where_there_are_none(tmp_path, cell, method):
    run = Run(configured(cell, layers=1), method, 0, tmp_path)
    message = rf"^The method '{method}' is about recurrent weights, and this network of the task 'digits' has"
    for work in (carry_out, Verification().verify) if method != "narrow" else (carry_out,):
        with pytest.raises(NothingToPrune, match=message):
            work(run)


@CELLS
def test_one_layer_is_compared_by_what_needs_no_recurrent_weights(tmp_path, cell):
    for method in ("dense", "none@layer"):
        run = Run(configured(cell, layers=1, steps=20), method, 0, tmp_path)
        Verification().verify(run)
        assert carry_out(run)["ticket"].recurrent == []


@CELLS
def test_a_killed_run_resumes_and_ends_bit_identical(tmp_path, monkeypatch, cell):
    check_resumption(Digits, configured(cell, steps=30, batch=8, log_interval=10), tmp_path, monkeypatch)


def test_runs_of_before_layers_are_still_the_same_runs(tmp_path):
    for settings in (DigitsSettings(), CognitionSettings(cell="gru")):
        one, two = Configuration(settings), Configuration(replace(settings, layers=2))
        assert "layers" not in one.as_dict()["task"]
        assert two.as_dict()["task"]["layers"] == 2


def test_bad_settings():
    with pytest.raises(InvalidConfiguration, match="layers must be 1 for the cell ctrnn; got 2"):
        CognitionSettings(layers=2)
    for settings in (DigitsSettings, CognitionSettings):
        with pytest.raises(InvalidConfiguration, match="layers must be positive; got 0"):
            settings(cell="gru", layers=0)
    assert LRU.mixing(1) == MinGRU.mixing(1) == ()
