"""The sparsifier's options: patterns, pairs, scopes, scores, regrowth, given masks, states, reports."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from moduli.manifolds import Circle, InvalidParameter, Torus
from moduli.models import (
    CubicSchedule,
    InvalidEmbedding,
    NothingToPrune,
    Regrowth,
    Sparsifier,
    StateMismatch,
    TiedWeights,
    geometric_mask,
)
from moduli.models.files import CHECKSUM
from moduli.models.pruning.blocks import Blocks
from moduli.models.pruning.cuts import cut, cut_blocks, exchange, lowest
from moduli.models.pruning.targets import zeros_wanted
from moduli.regularizers import Diffusion, ShapeMismatch, Uniform
from tests.conftest import seeded
from tests.test_sparsifier import Reader, train

HIDDEN = "rnn.weight_hh_l0"


class Custom(nn.Module):
    """A recurrent module of one's own."""

    def __init__(self, size=10):
        super().__init__()
        self.inner = nn.Parameter(torch.randn(size, size))
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return torch.tanh(x @ self.inner.T) * self.gain


def test_patterns_reach_modules_of_one_s_own():
    sparsifier = Sparsifier(Custom(), {"inn*": None}, Torus(), sparsity=0.7)
    sparsifier.step()
    assert sparsifier.sparsity() == {"inner": 0.7, "total": 0.7}
    with pytest.raises(NothingToPrune, match=r"'iner'; did you mean 'inner'"):
        Sparsifier(Custom(), {"iner": None}, Torus())


def test_a_weight_between_two_populations_takes_a_pair():
    model = Reader()
    hidden, read_out = Torus().random_point(12, seeded(0)), Torus().random_point(2, seeded(1))
    sparsifier = Sparsifier(
        model,
        {"*weight_hh*": Diffusion(), "out.weight": Uniform() + Diffusion()},
        Torus(),
        embedding={HIDDEN: hidden, "out.weight": (read_out, hidden)},
        strength=2.0,
    )
    expected = [
        (Diffusion()(Torus(), hidden) * model.rnn.weight_hh_l0.abs()).mean(),
        ((Uniform() + Diffusion())(Torus(), read_out, hidden) * model.out.weight.abs()).mean(),
    ]
    assert torch.allclose(sparsifier.penalty(), 2 * sum(expected))
    assert set(sparsifier.embeddings) == {HIDDEN, "out.weight.targets", "out.weight.sources"}
    for wrong, message in [
        ({"out.weight": hidden}, r"as a pair \(targets, sources\)"),
        ({HIDDEN: (hidden, hidden)}, "give one embedding, not a pair"),
        ({"out.weight": (hidden, hidden)}, r"out\.weight\.targets connects 2 neurons"),
    ]:
        with pytest.raises(InvalidEmbedding, match=message):
            Sparsifier(model, {"*": Diffusion()}, Torus(), embedding=wrong)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_the_hidden_state_of_projections_is_no_population_of_cells():
    model = Reader(nn.LSTM, size=8, proj_size=4)
    model.out = nn.Linear(4, 2)
    with pytest.raises(InvalidEmbedding, match="from projected units to cells"):
        Sparsifier(model, Diffusion(), Torus())
    cells, units = Torus().random_point(8, seeded(0)), Torus().random_point(4, seeded(1))
    sparsifier = Sparsifier(
        model, Diffusion(), Torus(), embedding={HIDDEN: (cells, units)}, scope="recurrent", sparsity=0.875
    )
    train(model, sparsifier, 2)
    assert sparsifier.sparsity() == {HIDDEN: 0.875, "total": 0.875}
    assert sparsifier.coefficients[HIDDEN].shape == (8, 4)


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
def test_cells_are_recurrent(cell):
    model = cell(3, 8)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), scope="recurrent", sparsity=0.75)
    sparsifier.penalty().backward()
    sparsifier.step()
    assert sparsifier.sparsity()["weight_hh"] == 0.75


shapes = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    min_size=1,
    max_size=5,
)


@given(shapes, st.floats(0, 0.999), st.sampled_from(["layer", "global", "recurrent", "erk"]))
def test_zeros_wanted_are_exact_and_fit(shapes, sparsity, scope):
    wanted = zeros_wanted(shapes, sparsity, scope)
    sizes = {name: rows * columns for name, (rows, columns) in shapes.items()}
    assert {name for names in wanted for name in names} == set(shapes)
    for names, zeros in wanted.items():
        assert 0 <= zeros <= sum(sizes[name] for name in names)
    if scope in ("global", "erk"):
        assert sum(wanted.values()) == round(sparsity * sum(sizes.values()))


def test_erk_shares_are_proportional_where_nothing_is_full():
    shapes = {"a": (100, 50), "b": (200, 300)}
    wanted = zeros_wanted(shapes, 0.95, "erk")
    alive = {name: math.prod(shape) - wanted[name,] for name, shape in shapes.items()}
    assert alive["a"] / alive["b"] == pytest.approx(150 / 500, rel=0.01)
    small = zeros_wanted({"tiny": (2, 2), "large": (100, 100)}, 0.5, "erk")
    assert small["tiny",] == 0


def test_scope_erk_reaches_the_target_overall():
    model = Reader(nn.GRU)
    sparsifier = Sparsifier(model, sparsity=0.83, scope="erk", schedule=CubicSchedule(0, 4))
    train(model, sparsifier, 6)
    size = sum(mask.numel() for mask in sparsifier.masks.values())
    assert abs(sparsifier.sparsity()["total"] - 0.83) * size <= 1
    assert sparsifier.sparsity()["out.weight"] < sparsifier.sparsity()[HIDDEN]


def test_scores_decide_what_is_cut():
    places = Torus().random_point(12, seeded())
    weight = torch.rand(12, 12, generator=seeded(1)) + 0.1
    coefficients = Diffusion()(Torus(), places)

    def mask(score):
        model = nn.RNN(3, 12)
        model.weight_hh_l0.data.copy_(weight)
        options = {"embedding": places, "scope": "recurrent", "sparsity": 0.5}
        sparsifier = Sparsifier(model, Diffusion(), Torus(), score=score, **options)
        sparsifier.step()
        return sparsifier.masks["weight_hh_l0"]

    for score, values in [
        ("magnitude", weight),
        ("magnitude/coefficient", weight / coefficients),
        (lambda w, c: -c, -coefficients),
    ]:
        alive = mask(score)
        assert values[alive].min() >= values[~alive].max()
    assert mask("magnitude/coefficient").diagonal().all()  # what costs nothing is cut last
    with pytest.raises(InvalidParameter, match=r"of weight_hh_l0's shape \(12, 12\); got \(3,\)"):
        mask(lambda w, c: torch.zeros(3))
    with pytest.raises(InvalidParameter, match="with NaN"):
        mask(lambda w, c: w * math.nan)
    with pytest.raises(InvalidParameter, match="did you mean 'magnitude'"):
        mask("magnitud")


@given(st.integers(0, 10**6), st.integers(1, 4), st.data())
def test_cuts_are_exact_whatever_ties_there_are(seed, levels, data):
    generator = seeded(seed)
    masks, scores = {}, {}
    for name, shape in {"a": (3, 4), "b": (5, 2)}.items():
        masks[name] = torch.rand(shape[::-1], generator=generator).t() > 0.3
        drawn = torch.randint(levels, shape, generator=generator).float()
        scores[name] = drawn.masked_fill(drawn == levels - 1, math.inf)
    alive = sum(int(mask.sum()) for mask in masks.values())
    count = data.draw(st.integers(1, alive))
    changed = cut(masks, scores, count)
    kept, lost = (
        torch.cat([scores[name][masks[name] & (changed[name] == survives)] for name in masks])
        for survives in (True, False)
    )
    assert not any((changed[name] & ~masks[name]).any() for name in masks)
    assert len(lost) == count
    assert not len(kept) or lost.max() <= kept.min()


def test_ties_leave_no_pattern():
    names = ("first", "second")
    alive = {name: torch.ones(40, 40) > 0 for name in names}
    scores = dict.fromkeys(names, torch.zeros(40, 40))
    changed = cut(alive, scores, 2560)
    for mask in changed.values():  # 320 of 1600 weights are left, 8 of each row and column
        assert 260 < int(mask.sum()) < 380
        assert all(0 < int(count) < 20 for axis in (0, 1) for count in mask.sum(dim=axis))
    half = torch.zeros(40, 40, dtype=torch.bool)
    half[:, ::2] = True
    exchanged = exchange(half, torch.zeros(40, 40), torch.zeros(40, 40), 400)
    assert int(exchanged.sum()) == 800
    assert int((exchanged & ~half).sum()) == 400
    assert all(0 < int(count) < 20 for count in (exchanged & half).sum(dim=1))
    died, rose = half & ~exchanged, exchanged & ~half
    assert int((died[:, ::2] & rose[:, 1::2]).sum()) < 300  # 200 by chance; not the neighbours of the dead
    for dtype in (torch.bfloat16, torch.float16, torch.float64):
        values = torch.tensor([math.nan, 2.0, 1.0, math.inf], dtype=dtype)
        assert lowest(values, torch.ones(4) > 0, 3).tolist() != lowest(values, torch.ones(4) > 0, 2).tolist()
        assert [int(lowest(values, torch.ones(4) > 0, count).sum()) for count in range(5)] == [0, 1, 2, 3, 4]
    blocks = {name: Blocks((40, 40), 4) for name in names}
    halves = cut_blocks(alive, scores, blocks, 1600)
    assert all(500 < int(mask.sum()) < 1100 for mask in halves.values())


def test_a_score_that_fails_for_one_matrix_leaves_all_masks_as_they_were():
    def fails_for_the_last(weight, coefficients):
        return weight.abs() if len(weight) > 2 else weight * math.nan

    sparsifier = Sparsifier(Reader(), score=fails_for_the_last)
    with pytest.raises(InvalidParameter, match=r"out\.weight's shape \(2, 12\)"):
        sparsifier.step()
    assert all(mask.all() for mask in sparsifier.masks.values())


@pytest.mark.parametrize("where", ["gradient", "cheapest", "random"])
def test_regrowth_replaces_weights_and_keeps_their_number(where):
    model = Reader(size=20)
    sparsifier = Sparsifier(
        model,
        Diffusion(),
        Torus(),
        scope="recurrent",
        sparsity=0.8,
        regrowth=Regrowth(end=20, interval=5, where=where),
    )
    train(model, sparsifier, 4)
    before = sparsifier.masks[HIDDEN].clone()
    train(model, sparsifier, 1)
    after = sparsifier.masks[HIDDEN]
    assert before.sum() == after.sum() == 80
    grown = after & ~before
    assert 0 < grown.sum() <= 0.3 * 80
    if where == "cheapest":
        coefficients = sparsifier.coefficients[HIDDEN]
        assert coefficients[grown].max() <= coefficients[~after & ~before].min()
    weight = model.rnn.weight_hh_l0
    assert (weight[grown] == 0).all()
    assert (weight[~after] == 0).all()
    train(model, sparsifier, 4)
    assert (weight[grown] != 0).all()  # what came back learns
    train(model, sparsifier, 16)
    settled = sparsifier.masks[HIDDEN].clone()
    train(model, sparsifier, 10)
    assert torch.equal(sparsifier.masks[HIDDEN], settled)


def test_regrowth_by_gradient_chooses_the_largest_dense_gradients():
    model = nn.Linear(6, 6, bias=False)
    sparsifier = Sparsifier(model, sparsity=0.5, regrowth=Regrowth(end=9, interval=2, share=0.5))
    sparsifier.step()
    before = sparsifier.masks["weight"].clone()
    slope = torch.rand(6, 6, generator=seeded())
    (model.weight * slope).sum().backward()
    assert torch.equal(model.weight.grad != 0, before)
    sparsifier.step()
    grown = sparsifier.masks["weight"] & ~before
    assert slope[grown].min() >= slope[~before & ~grown].max()
    for wrong in ({"end": 0}, {"end": 5, "share": 1.0}, {"end": 5, "where": "there"}):
        with pytest.raises(InvalidParameter, match="Regrowth"):
            Regrowth(**wrong)


def test_given_masks_make_the_model_sparse_from_its_first_step():
    model = Reader()
    places = Torus().random_point(12, seeded())
    mask = geometric_mask(Diffusion(), Torus(), places, sparsity=0.9)
    sparsifier = Sparsifier(model, masks={HIDDEN: mask})
    assert (model.rnn.weight_hh_l0[~mask] == 0).all()
    train(model, sparsifier, 5)
    assert torch.equal(sparsifier.masks[HIDDEN], mask)
    assert torch.equal(model.rnn.weight_hh_l0 != 0, mask)
    assert set(sparsifier.masks) == {HIDDEN}
    with pytest.raises(ShapeMismatch, match=r"shape \(3, 3\), the weight \(12, 12\)"):
        Sparsifier(model, masks={HIDDEN: torch.ones(3, 3)})
    with pytest.raises(NothingToPrune, match=r"did you mean 'rnn\.weight_hh_l0'"):
        Sparsifier(model, masks={"rnn.weight_hh_l1": mask})


def test_tied_weights_are_refused_and_left_alone():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    before = model[0].weight.detach().clone()
    with pytest.raises(TiedWeights, match=r"0\.weight and 1\.weight are one tensor"):
        Sparsifier(model)
    assert torch.equal(model[0].weight, before)


def test_a_ticket_s_fan_in_may_be_corrected():
    model = Reader(size=30)
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    (plain, _), (corrected, _) = sparsifier.ticket(0), sparsifier.ticket(0, correct_fan_in=True)
    living = sparsifier.masks[HIDDEN].sum(dim=1, keepdim=True).clamp_min(1)
    expected = plain.rnn.weight_hh_l0 * (30 / living).sqrt()
    assert torch.allclose(corrected.rnn.weight_hh_l0, expected)


def test_layers_that_share_their_places_travel_as_safetensors(tmp_path):
    model, places = torch.nn.LSTM(3, 8, num_layers=2), Torus().random_point(8, seeded())
    state = Sparsifier(model, Diffusion(), Torus(), scope="recurrent", embedding=places).state_dict()
    save_file(state, tmp_path / "state.safetensors")
    restored = load_file(tmp_path / "state.safetensors")
    for layer in (0, 1):
        assert torch.equal(restored[f"embedding.weight_hh_l{layer}"], places)


def test_states_travel_as_safetensors_and_are_refused_where_they_do_not_belong(tmp_path):
    model = Reader()
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.8)
    train(model, sparsifier, 3)
    save_file({n: t.contiguous() for n, t in sparsifier.state_dict().items()}, tmp_path / "state.safetensors")
    state = load_file(tmp_path / "state.safetensors")
    twin = Sparsifier(Reader(), Diffusion(), Torus(), sparsity=0.8, seed=9)
    twin.load_state_dict(state)
    assert twin.steps_taken == 3
    assert all(torch.equal(twin.masks[name], mask) for name, mask in sparsifier.masks.items())
    assert torch.equal(twin.coefficients[HIDDEN], sparsifier.coefficients[HIDDEN])
    for other, message in [
        (
            Sparsifier(Reader(), Diffusion(), Circle(), sparsity=0.8),
            r"manifold Torus\(.*this one's is Circle\(",
        ),
        (Sparsifier(Reader(), Uniform(), Torus(), sparsity=0.8), r"regularizer Diffusion\(\).*Uniform\(\)"),
        (Sparsifier(Reader(), Diffusion(), Torus(), sparsity=0.7), r"sparsity 0\.8, this one's is 0\.7"),
    ]:
        before = {name: mask.clone() for name, mask in other.masks.items()}
        with pytest.raises(StateMismatch, match=message):
            other.load_state_dict(state)
        assert all(torch.equal(other.masks[name], mask) for name, mask in before.items())


def test_a_file_holds_masks_embeddings_position_and_spec(tmp_path):
    def sparsifier_of(model, manifold=Torus(), regularizer=Diffusion(), **options):  # noqa: B008
        shared = manifold.random_point(model.rnn.hidden_size, seeded())
        return Sparsifier(model, regularizer, manifold, sparsity=0.8, embedding=shared, **options)

    path = tmp_path / "sparsifier.safetensors"
    model = Reader(num_layers=2)
    sparsifier = sparsifier_of(model)
    train(model, sparsifier, 3)
    sparsifier.save(path)
    with safe_open(path, "pt") as file:
        assert file.metadata() == sparsifier.identity | {CHECKSUM: file.metadata()[CHECKSUM]}
        assert file.metadata()["manifold"] == "Torus(dim=2, period=10.0)"
        assert set(file.keys()) == set(sparsifier.state_dict()) - {"spec"}
    other = Reader(num_layers=2)
    twin = sparsifier_of(other)
    twin.load(path)
    assert twin.steps_taken == 3
    assert all(torch.equal(twin.masks[name], mask) for name, mask in sparsifier.masks.items())
    assert all(torch.equal(other.get_parameter(name) != 0, mask) for name, mask in twin.masks.items())
    for wrong, message in [
        (sparsifier_of(Reader(num_layers=2), Torus(3)), r"manifold Torus\(dim=2.*this one's is Torus\(dim=3"),
        (sparsifier_of(Reader(size=13, num_layers=2)), r"\(12, 12\) there, \(13, 13\) here"),
        (sparsifier_of(Reader(num_layers=2), granularity=2), r"granularity 1, this one's is 2"),
    ]:
        with pytest.raises(StateMismatch, match=message):
            wrong.load(path)
        assert wrong.steps_taken == 0
        assert all(mask.all() for mask in wrong.masks.values())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateMismatch, match=r"sparsifier\.safetensors is not a complete safetensors file"):
        twin.load(path)
    save_file({"something": torch.ones(1)}, path)
    with pytest.raises(StateMismatch, match="manifold None, this one's is Torus"):
        twin.load(path)
    with pytest.raises(FileNotFoundError, match="absent"):
        twin.load(tmp_path / "absent")


def test_the_report_tells_sparsity_and_graph():
    model = Reader()
    sparsifier = Sparsifier(model, Diffusion(), Torus(), sparsity=0.8)
    train(model, sparsifier, 2)
    text = sparsifier.report()
    for expected in (
        "rnn.weight_hh_l0: 12 x 12, 79.86% zeros, 29 weights alive",
        "connections a neuron: 2.4 on average",
        "reciprocity",
        "distance bridged",
        "total: ",
    ):
        assert expected in text
