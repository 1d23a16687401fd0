"""Clauses S1-S6 and S8: exact counts, masks that hold, tickets, and errors."""

import copy
import math
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from moduli.manifolds import InvalidParameter, Torus
from moduli.models import (
    CannotRedraw,
    CubicSchedule,
    InvalidEmbedding,
    InvalidSchedule,
    InvalidSparsity,
    LayerCollapse,
    LinearSchedule,
    NonFiniteWeights,
    NothingToPrune,
    OneShotSchedule,
    Sparsifier,
    StateMismatch,
)
from moduli.regularizers import Diffusion
from tests.conftest import seeded


class Reader(nn.Module):
    """A recurrent network with a linear read-out."""

    def __init__(self, kind=nn.RNN, size=12, **options):
        super().__init__()
        self.rnn = kind(3, size, **options)
        self.out = nn.Linear(size * (2 if options.get("bidirectional") else 1), 2)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def train(model, sparsifier, steps, optimizer=torch.optim.Adam, **options):
    optimizer = optimizer(model.parameters(), lr=0.01, **options)
    generator = seeded()
    for _ in range(steps):
        loss = model(torch.randn(4, 2, 3, generator=generator)).square().mean() + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sparsifier.step()


schedules = st.one_of(
    st.builds(
        lambda begin, length: LinearSchedule(begin, begin + length), st.integers(0, 3), st.integers(1, 4)
    ),
    st.builds(
        lambda begin, length: CubicSchedule(begin, begin + length), st.integers(0, 3), st.integers(1, 4)
    ),
    st.builds(OneShotSchedule, st.integers(0, 6)),
)
models = st.builds(
    lambda kind, size, layers, both: Reader(kind, size, num_layers=layers, bidirectional=both),
    st.sampled_from([nn.RNN, nn.GRU, nn.LSTM]),
    st.integers(2, 9),
    st.integers(1, 2),
    st.booleans(),
)
sparsities = st.floats(0, 0.99)
scopes = st.sampled_from(["layer", "global", "recurrent"])


@pytest.mark.filterwarnings("ignore::moduli.models.LayerCollapse")  # tiny layers may well be emptied
@settings(max_examples=60)
@given(models, sparsities, schedules, scopes)
def test_zeros_equal_the_target_to_within_one_weight(model, sparsity, schedule, scope):
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=sparsity, schedule=schedule, scope=scope)
    train(model, sparsifier, 8)
    zeros = {name: int((model.get_parameter(name) == 0).sum()) for name in sparsifier.masks}
    sizes = {name: model.get_parameter(name).numel() for name in sparsifier.masks}
    if scope == "global":
        assert abs(sum(zeros.values()) - sparsity * sum(sizes.values())) <= 1
    else:
        assert all(abs(zeros[name] - sparsity * sizes[name]) <= 1 for name in zeros)
    assert sparsifier.sparsity()["total"] == sum(zeros.values()) / sum(sizes.values())
    assert (scope == "recurrent") == all("weight_hh" in name for name in zeros)


@pytest.mark.filterwarnings("ignore::moduli.models.LayerCollapse")
@given(
    st.sampled_from([torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop]),
    schedules,
    scopes,
)
def test_masks_only_grow_and_pruned_weights_stay_exactly_zero(optimizer, schedule, scope):
    model = Reader()
    sparsifier = Sparsifier(model, sparsity=0.8, schedule=schedule, scope=scope)
    options = {} if optimizer in (torch.optim.Adam, torch.optim.AdamW) else {"momentum": 0.9}
    previous = copy.deepcopy(sparsifier.masks)
    for _ in range(3):
        train(model, sparsifier, 3, optimizer, **options)
        for name, mask in sparsifier.masks.items():
            assert not (mask & ~previous[name]).any()
            assert (model.get_parameter(name)[~mask] == 0).all()
        previous = copy.deepcopy(sparsifier.masks)


def test_a_cut_takes_the_smallest_weights():
    model = nn.Linear(10, 1)
    with torch.no_grad():
        model.weight.copy_(torch.arange(10.0) - 4.5)
    sparsifier = Sparsifier(model, sparsity=0.4)
    sparsifier.step()
    assert torch.equal(sparsifier.masks["weight"], (model.weight.abs() > 2))


def test_global_scope_lets_shares_differ_and_reports_a_collapse_once_and_where_it_was_caused():
    model = Reader()
    with torch.no_grad():
        model.out.weight.mul_(1e-6)
    sparsifier = Sparsifier(model, sparsity=0.5, scope="global", schedule=LinearSchedule(0, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            sparsifier.step()
    [warning] = caught
    assert warning.category is LayerCollapse
    assert "out.weight has no connection left at step 1 " in str(warning.message)
    assert Path(warning.filename) == Path(__file__)
    assert sparsifier.sparsity()["out.weight"] == 1


def test_gradients_of_cut_weights_are_zero():
    model = Reader()
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    model(torch.ones(4, 2, 3)).sum().backward()
    for name, mask in sparsifier.masks.items():
        assert (model.get_parameter(name).grad[~mask] == 0).all()
        assert (model.get_parameter(name).grad[mask] != 0).any()


def test_a_sparsifier_that_is_gone_leaves_the_gradients_alone():
    model = nn.Linear(4, 4)
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    del sparsifier
    model(torch.ones(1, 4)).sum().backward()
    assert (model.weight.grad != 0).all()


def test_deepcopy_moves_masks_hooks_and_weights_together():
    original = Reader()
    model, sparsifier = copy.deepcopy((original, Sparsifier(original, Diffusion(), Torus(), sparsity=0.9)))
    model_twin, twin = copy.deepcopy((model, sparsifier))
    assert twin.model is model_twin
    train(model_twin, twin, 3)
    assert twin.sparsity()["total"] > 0.85
    assert sparsifier.sparsity()["total"] == 0


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_training_after_pruning_and_saving_raise_no_warning(kind, tmp_path):
    model = Reader(kind)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9)
    train(model, sparsifier, 2)
    torch.save(model.state_dict(), tmp_path / "weights")
    other = Reader(kind)
    other.load_state_dict(torch.load(tmp_path / "weights", weights_only=True))
    twin = Sparsifier(other, Diffusion(), Torus(), sparsity=0.9, seed=5)
    twin.load_state_dict(sparsifier.state_dict())
    for _ in range(2):
        train(model, sparsifier, 2)
        train(other, twin, 2)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_state_of_another_model_is_refused():
    sparsifier = Sparsifier(Reader(size=12))
    with pytest.raises(StateMismatch, match=r"mask\.out\.weight \(\(2, 13\) there, \(2, 12\) here\)"):
        sparsifier.load_state_dict(Sparsifier(Reader(size=13)).state_dict())


def test_moving_the_model_moves_masks_and_coefficients():
    model = Reader()
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9)
    model.double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    (model(torch.ones(4, 2, 3).double()).sum() + sparsifier.penalty()).backward()
    optimizer.step()
    sparsifier.step()
    assert sparsifier.penalty().dtype == torch.float64
    assert sparsifier.sparsity()["rnn.weight_hh_l0"] == pytest.approx(0.9, abs=1 / 144)


def test_penalty_is_strength_times_the_mean_weighted_magnitude():
    model = Reader(nn.LSTM)
    embedding = Torus().random_point(12, seeded(3))
    sparsifier = Sparsifier(model, Diffusion(), Torus(), embedding=embedding, strength=0.3)
    weight = model.rnn.weight_hh_l0
    expected = 0.3 * (Diffusion()(Torus(), embedding).repeat(4, 1) * weight.abs()).mean()
    assert torch.allclose(sparsifier.penalty(), expected)
    assert Sparsifier(model).penalty() == 0


def test_survivors_concentrate_where_coefficients_are_small():
    torch.manual_seed(0)
    model = Reader(size=48)
    sparsifier = Sparsifier(
        model,
        Diffusion().normalized(),
        Torus(),
        sparsity=0.9,
        strength=200.0,
        schedule=CubicSchedule(100, 200),
    )
    # Adam would divide each weight's gradient, and with it the coefficient, by its own size.
    train(model, sparsifier, 220, torch.optim.SGD)
    coefficients, mask = sparsifier.coefficients["rnn.weight_hh_l0"], sparsifier.masks["rnn.weight_hh_l0"]
    # Without geometry the survivors' mean coefficient would be that of all weights, about 1.
    assert coefficients[mask].mean() < 0.4


def test_ticket_keeps_masks_embedding_and_counts_and_redraws_the_weights():
    model = Reader(nn.GRU)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.9)
    train(model, sparsifier, 2)
    state = torch.get_rng_state()
    (first, ticket), (again, _), (other, _) = sparsifier.ticket(1), sparsifier.ticket(1), sparsifier.ticket(2)
    assert torch.equal(state, torch.get_rng_state())
    assert ticket.sparsity() == sparsifier.sparsity()
    for name, mask in sparsifier.masks.items():
        assert torch.equal(ticket.masks[name], mask)
        assert torch.equal(first.get_parameter(name), again.get_parameter(name))
        alive = first.get_parameter(name)[mask]
        assert (alive != model.get_parameter(name)[mask]).all()
        assert (alive != other.get_parameter(name)[mask]).all()
    for name, points in sparsifier.embeddings.items():
        assert torch.equal(ticket.embeddings[name], points)
    train(first, ticket, 5)
    assert ticket.sparsity() == sparsifier.sparsity()
    assert sparsifier.model is model


def test_a_module_that_cannot_redraw_is_named():
    class Custom(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(2, 3)
            self.gain = nn.Parameter(torch.ones(1))

    sparsifier = Sparsifier(Custom())
    sparsifier.step()
    with pytest.raises(CannotRedraw, match=r"Custom.*gain.*reset_parameters"):
        sparsifier.ticket(0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_cut_of_non_finite_weights_is_refused_and_changes_nothing(value):
    model = Reader()
    sparsifier = Sparsifier(model, sparsity=0.9)
    with torch.no_grad():
        model.rnn.weight_hh_l0[0, 0] = value
    with pytest.raises(NonFiniteWeights, match=r"rnn\.weight_hh_l0 holds NaN or infinite weights at step 1"):
        sparsifier.step()
    assert all(mask.all() for mask in sparsifier.masks.values())


def test_errors():
    model = Reader()
    for sparsity in (-0.1, 1.0, 1.5, math.nan):
        with pytest.raises(InvalidSparsity, match=r"in \[0, 1\)"):
            Sparsifier(model, sparsity=sparsity)
    with pytest.raises(NothingToPrune, match="consists of ReLU"):
        Sparsifier(nn.ReLU())
    with pytest.raises(NothingToPrune, match="the model has none, only weight"):
        Sparsifier(nn.Linear(2, 2), Diffusion(), Torus())
    with pytest.raises(InvalidParameter, match="did you mean 'layer'"):
        Sparsifier(model, scope="layers")
    with pytest.raises(InvalidParameter, match="needs a manifold"):
        Sparsifier(model, Diffusion())
    with pytest.raises(InvalidParameter, match="strength"):
        Sparsifier(model, strength=-1)
    with pytest.raises(InvalidEmbedding, match=r"must have shape \(n, 2\), got \(12, 3\)"):
        Sparsifier(model, Diffusion(), Torus(), embedding=torch.zeros(12, 3))
    with pytest.raises(InvalidEmbedding, match="finite"):
        Sparsifier(model, Diffusion(), Torus(), embedding=torch.full((12, 2), math.nan))
    with pytest.raises(InvalidEmbedding, match="connects 12 neurons, but the embedding places 5"):
        Sparsifier(model, Diffusion(), Torus(), embedding=torch.zeros(5, 2))
    with pytest.raises(InvalidEmbedding, match=r"did you mean 'rnn\.weight_hh_l0'"):
        Sparsifier(model, Diffusion(), Torus(), embedding={"rnn.weight_hh_l1": torch.zeros(12, 2)})
    with pytest.raises(InvalidSchedule, match=r"returned 1\.5 at step 1"):
        Sparsifier(model, schedule=lambda step: 1.5).step()
