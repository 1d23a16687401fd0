"""Clause S11: what cannot be pruned is refused or named; and counts are of masks."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

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


@pytest.mark.parametrize("scope", ["layer", "recurrent"])
@pytest.mark.parametrize("kind", WRAPPED)
def test_s11_wrapped_weights_are_refused_by_name(kind, scope):
    with pytest.raises(CannotPrune, match=r"weight_hh.* is not a parameter"):
        Sparsifier(WRAPPED[kind](), scope=scope)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
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


def test_s11_packed_attention_is_named():
    with pytest.warns(NotPruned, match=r"^in_proj_weight of nn\.MultiheadAttention stays dense"):
        Sparsifier(nn.MultiheadAttention(8, 2))
    sparsifier = Sparsifier(nn.MultiheadAttention(8, 2), {"in_proj_weight": None})
    assert "in_proj_weight" in sparsifier.masks


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
