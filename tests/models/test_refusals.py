"""Clause S11: what cannot be pruned is refused or named; and counts are of masks."""

import os

import pytest
import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard
from torch.nn.utils import parametrizations, parametrize, prune

from moduli.manifolds import Torus
from moduli.models import CannotPrune, NotPruned, Sparsifier, TiedWeights
from moduli.regularizers import Diffusion
from tests.conftest import seeded


def weight_dropped():
    model = nn.LSTM(3, 8)
    raw = model.weight_hh_l0
    del model._parameters["weight_hh_l0"]
    model.register_parameter("weight_hh_l0_raw", raw)
    model.weight_hh_l0 = raw * 1
    return model


WRAPPED = {
    "weight norm": lambda: parametrizations.weight_norm(nn.LSTM(3, 8), "weight_hh_l0"),
    "orthogonal": lambda: parametrizations.orthogonal(nn.RNN(3, 8), "weight_hh_l0"),
    "legacy spectral norm": lambda: nn.utils.spectral_norm(nn.RNNCell(3, 8), "weight_hh"),
    "prune": lambda: prune.l1_unstructured(nn.GRUCell(3, 8), "weight_hh", 0.5),
    "weight drop": weight_dropped,
}


class WeightDrop(nn.Module):
    """A wrapper that keeps the weight of the module that it wraps, as fastai's does."""

    def __init__(self):
        super().__init__()
        self.module = nn.LSTM(3, 8)
        raw = self.module.weight_hh_l0
        del self.module._parameters["weight_hh_l0"]
        self.weight_hh_l0_raw = nn.Parameter(raw.detach().clone())
        self.module._parameters["weight_hh_l0"] = nn.functional.dropout(self.weight_hh_l0_raw, 0.5)


WRAPPED |= {
    "legacy weight norm": lambda: nn.utils.weight_norm(nn.LSTM(3, 8), "weight_hh_l0"),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.GRU(3, 8), "weight_hh_l0"),
    "weight drop by a wrapper": WeightDrop,
}


class Cell(nn.Module):
    """A recurrent weight of one's own."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Parameter(torch.randn(8, 8))


class Positive(nn.Module):
    """A parametrization under which no weight is ever zero."""

    def forward(self, x):
        return x.exp()


def positive(module, name):
    parametrize.register_parametrization(module, name, Positive())
    return module


UNDERLYING = {
    "parametrizations.weight.original": lambda: positive(nn.Linear(8, 8), "weight"),
    "parametrizations.inner.original": lambda: positive(Cell(), "inner"),
    "parametrizations.weight_hh_l0.original1": WRAPPED["weight norm"],
    "weight_hh_l0_g": WRAPPED["legacy weight norm"],
    "weight_hh_l0_v": WRAPPED["legacy weight norm"],
    "weight_hh_orig": WRAPPED["prune"],
    "weight_orig": lambda: nn.utils.spectral_norm(nn.Linear(8, 8)),
    "weight_hh_l0_raw": weight_dropped,
}

legacy = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")


@legacy
@pytest.mark.parametrize("name", UNDERLYING)
def test_s11_what_a_weight_is_computed_from_is_refused_by_name(name):
    """Zeros in it need not be the weight's: under `Positive` none is, and gains of zero divide by zero."""
    model = UNDERLYING[name]()
    before = model.get_parameter(name).clone()
    options = [{"masks": {name: torch.zeros_like(before)}}, {"recurrent": name, "scope": "recurrent"}]
    options += [{"regularizer": {name: None}, "scope": "layer"}]
    for each in options if before.shape[1] == 8 else options[:1]:
        with pytest.raises(CannotPrune, match=r"is not (a parameter|the weight itself)"):
            Sparsifier(model, **each)
    with pytest.raises(CannotPrune, match=rf"^{name} is not the weight itself"):
        Sparsifier(model, masks={name: torch.zeros_like(before)})
    assert torch.equal(model.get_parameter(name), before)


def test_s11_a_state_that_is_called_like_a_weight_is_not_computed_from_it():
    model = Cell()
    model.inn, model.inner_state = torch.zeros(3, 8), torch.zeros(8)
    model.state, model.state_to_state = torch.zeros(2, 8), nn.Parameter(torch.ones(8, 8))
    Sparsifier(model, masks={"inner": torch.eye(8), "state_to_state": torch.eye(8)})


@legacy
@pytest.mark.parametrize("scope", ["layer", "recurrent"])
@pytest.mark.parametrize("kind", WRAPPED)
def test_s11_wrapped_weights_are_refused_by_name(kind, scope):
    with pytest.raises(CannotPrune, match=r"weight_hh.* is not a parameter"):
        Sparsifier(WRAPPED[kind](), scope=scope)


@legacy
def test_s11_legacy_weight_norm_is_refused():
    with pytest.raises(CannotPrune, match="weight_hh_l0 of LSTM is not a parameter"):
        Sparsifier(nn.utils.weight_norm(nn.LSTM(3, 8), "weight_hh_l0"))


def test_s11_what_the_scope_leaves_out_may_be_wrapped():
    model = nn.Sequential(nn.RNN(3, 8), parametrizations.spectral_norm(nn.Linear(8, 2)))
    with pytest.raises(CannotPrune, match=r"1\.weight of ParametrizedLinear"):
        Sparsifier(model)
    Sparsifier(model, scope="recurrent").step()
    Sparsifier(model, masks={"0.weight_hh_l0": torch.eye(8)})


def test_s11_lazy_weights_are_refused():
    with pytest.raises(CannotPrune, match="weight has no shape yet"):
        Sparsifier(nn.LazyLinear(3))


def test_s11_lazy_weights_that_are_not_named_may_be_lazy():
    model = nn.Sequential(nn.RNN(3, 8), nn.LazyLinear(2))
    with pytest.raises(CannotPrune, match=r"1\.weight has no shape yet"):
        Sparsifier(model, masks={"1.weight": torch.ones(2, 8)})
    Sparsifier(model, masks={"0.weight_hh_l0": torch.eye(8)}).step()


@pytest.mark.filterwarnings("ignore:.*torch.ao.quantization.* is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:torch")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.GRUCell, nn.Linear])
def test_s11_quantized_modules_are_refused_by_name(kind):
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.RNN(3, 4), kind(4, 8)), {kind})
    for options in ({}, {"masks": {"1.weight": torch.ones(8, 4)}}):
        with pytest.raises(CannotPrune, match=rf"^1 \({kind.__name__}\) is quantized; prune first"):
            Sparsifier(model, **options)
    Sparsifier(model, masks={"0.weight_hh_l0": torch.eye(4)})


def test_s11_weights_of_integers_are_refused_by_name():
    model = nn.Linear(4, 4)
    model.weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    with pytest.raises(CannotPrune, match=r"weight holds torch\.int8 and is quantized"):
        Sparsifier(model)


@pytest.fixture
def one_process(tmp_path):
    """A group of this process alone, in which weights can be sharded."""
    os.environ["USE_LIBUV"] = "0"
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield distributed.device_mesh.init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def test_s11_sharded_weights_are_refused_by_name(one_process):
    model = nn.Sequential(nn.RNN(3, 8), nn.Linear(8, 2))
    before = Sparsifier(model, scope="recurrent")
    fully_shard(model[0], mesh=one_process)
    message = r"^0\.weight_\w+ is sharded over processes"
    for options in ({}, {"scope": "recurrent"}, {"masks": {"0.weight_hh_l0": torch.eye(8)}}):
        with pytest.raises(CannotPrune, match=message):
            Sparsifier(model, **options)
    with pytest.raises(CannotPrune, match=message):
        before.step()
    Sparsifier(model, masks={"1.weight": torch.ones(2, 8)})


def test_s9_what_becomes_of_a_weight_after_the_sparsifier_was_made_is_named():
    model = nn.Sequential(nn.RNN(3, 8))
    sparsifier = Sparsifier(model)
    parametrizations.weight_norm(model[0], "weight_hh_l0")
    for call in (sparsifier.step, sparsifier.settle, sparsifier.report):
        with pytest.raises(CannotPrune, match=r"^0\.weight_hh_l0 is not a parameter of the model any more"):
            call()


def test_s11_packed_attention_is_named():
    with pytest.warns(NotPruned, match=r"^in_proj_weight of nn\.MultiheadAttention stays dense"):
        Sparsifier(nn.MultiheadAttention(8, 2))
    sparsifier = Sparsifier(nn.MultiheadAttention(8, 2), {"in_proj_weight": None})
    assert "in_proj_weight" in sparsifier.masks


def test_s11_attention_s_separate_projections_are_named():
    with pytest.warns(NotPruned, match=r"^q_proj_weight, k_proj_weight, v_proj_weight of nn\.Multihead"):
        Sparsifier(nn.MultiheadAttention(8, 2, kdim=4, vdim=4))
    Sparsifier(nn.MultiheadAttention(8, 2, kdim=4, vdim=4), {"*_proj_weight": None})


def test_s11_square_parameters_of_one_s_own_are_named():
    model = nn.Sequential(nn.Linear(3, 8), Cell())
    model[1].unlike, model[1].mixing = nn.Parameter(torch.ones(8, 3)), nn.Parameter(torch.ones(8, 8))
    with pytest.warns(
        NotPruned, match=r"^1\.inner, 1\.mixing of Cell stays dense; .*or by recurrent=, to prune it"
    ):
        Sparsifier(model)
    model[1].mixing.requires_grad_(False)
    Sparsifier(model, recurrent="1.inner")
    Sparsifier(model, {"1.inner": None})
    Sparsifier(model, scope="recurrent", recurrent="1.inner")


def test_s11_the_advice_on_tied_weights_works():
    model = nn.ModuleDict({"rnn": nn.RNN(4, 4), "one": nn.Linear(4, 4), "two": nn.Linear(4, 4)})
    model["two"].weight = model["one"].weight
    with pytest.raises(TiedWeights, match="scope='recurrent' or by masks"):
        Sparsifier(model)
    Sparsifier(model, scope="recurrent")
    Sparsifier(model, masks={"rnn.weight_hh_l0": torch.eye(4)})
    model["two"].weight = nn.Parameter(model["two"].weight.detach().clone())
    Sparsifier(model)


def test_living_zeros_are_alive_and_named():
    model = nn.RNN(3, 8)
    nn.init.eye_(model.weight_hh_l0)
    sparsifier = Sparsifier(model, scope="recurrent")
    assert sparsifier.sparsity()["total"] == 0
    assert "weight_hh_l0: 56 living weights are zero besides" in sparsifier.report()


def test_passes_in_bfloat16_leave_coefficients_as_they_were():
    model = nn.RNN(3, 8)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), embedding=Torus().random_point(8, seeded()))
    before = sparsifier.coefficients["weight_hh_l0"]
    model.bfloat16()
    assert sparsifier.penalty().dtype == torch.bfloat16
    model.float()
    assert torch.equal(sparsifier.coefficients["weight_hh_l0"], before)
