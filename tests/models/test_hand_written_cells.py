"""`recurrent=`: weights of hand-written cells are what ``weight_hh_l0`` is in `nn.RNN`, for every option."""

import copy

import pytest
import torch
from torch import nn

from moduli.manifolds import InvalidParameter, Torus
from moduli.models import (
    InvalidEmbedding,
    NothingToPrune,
    Regrowth,
    Sparsifier,
    geometric_mask,
    random_mask,
)
from moduli.regularizers import Diffusion
from tests.conftest import seeded
from tests.test_sparsifier import train

SIZE = 12


class CTRNN(nn.Module):
    """A leaky rate network of two linear layers and a read-out."""

    def __init__(self):
        super().__init__()
        self.i2h, self.h2h, self.out = nn.Linear(3, SIZE), nn.Linear(SIZE, SIZE), nn.Linear(SIZE, 2)

    def recurrence(self, state):
        return self.h2h(state)

    def forward(self, x):
        states = [x.new_zeros(x.shape[1], SIZE)]
        for step in x:
            new = torch.relu(self.i2h(step) + self.recurrence(states[-1]))
            states.append(0.8 * states[-1] + 0.2 * new)
        return self.out(torch.stack(states[1:]))


class Elman(CTRNN):
    """The recurrent matrix is a raw parameter."""

    def __init__(self):
        super().__init__()
        del self.h2h
        self.inner = nn.Parameter(torch.randn(SIZE, SIZE, generator=seeded()) / SIZE**0.5)

    def reset_parameters(self):
        self.i2h.reset_parameters()
        self.out.reset_parameters()
        nn.init.normal_(self.inner, std=SIZE**-0.5)

    def recurrence(self, state):
        return state @ self.inner.T


class LowRank(Elman):
    """A full matrix and one of rank two."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Parameter(torch.randn(SIZE, 2)), nn.Parameter(torch.randn(SIZE, 2))

    def recurrence(self, state):
        return state @ (self.inner + self.left @ self.right.T / SIZE).T


class Masked(Elman):
    """A mask of the user's own, such as Dale's signs."""

    def __init__(self):
        super().__init__()
        self.register_buffer("signs", torch.ones(SIZE).index_fill_(0, torch.arange(3), -1.0))

    def recurrence(self, state):
        return state @ (self.inner.abs() * self.signs).T


class Gated(Elman):
    """Two gates stacked in the rows of one raw parameter."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Parameter(torch.randn(2 * SIZE, SIZE, generator=seeded()) / SIZE**0.5)

    def recurrence(self, state):
        value, gate = (state @ self.inner.T).chunk(2, -1)
        return torch.sigmoid(gate) * value


class MinGRU(nn.Module):
    """Gates that read the input alone (arXiv 2410.01201); layers of equal size are square."""

    def __init__(self):
        super().__init__()
        self.first, self.gate, self.value, self.out = (
            nn.Linear(3, SIZE),
            nn.Linear(SIZE, SIZE),
            nn.Linear(SIZE, SIZE),
            nn.Linear(SIZE, 2),
        )

    def forward(self, x):
        state, states = x.new_zeros(x.shape[1], SIZE), []
        for step in self.first(x):
            z = torch.sigmoid(self.gate(step))
            state = (1 - z) * state + z * self.value(step)
            states.append(state)
        return self.out(torch.stack(states))


class LRU(nn.Module):
    """A diagonal recurrence (arXiv 2303.06349) between dense maps; ``mix`` leads back to its units."""

    def __init__(self):
        super().__init__()
        self.decay = nn.Parameter(torch.rand(SIZE))
        self.into, self.mix, self.out = nn.Linear(3, SIZE), nn.Linear(SIZE, SIZE), nn.Linear(SIZE, 2)

    def reset_parameters(self):
        nn.init.uniform_(self.decay)
        for part in (self.into, self.mix, self.out):
            part.reset_parameters()

    def forward(self, x):
        state, states = x.new_zeros(x.shape[1], SIZE), []
        for step in self.into(x):
            state = torch.exp(-self.decay.exp()) * state + step
            states.append(self.mix(state))
        return self.out(torch.stack(states))


CELLS = [
    (CTRNN, "h2h.weight"),
    (Elman, "inner"),
    (LowRank, "inner"),
    (Masked, "inner"),
    (Gated, "inner"),
    (MinGRU, ["gate.weight", "val*.weight"]),
    (LRU, "mix.weight"),
]


def names_of(recurrent):
    return (
        {"h2h.weight", "inner", "mix.weight"} & {recurrent}
        if isinstance(recurrent, str)
        else {
            "gate.weight",
            "value.weight",
        }
    )


@pytest.mark.parametrize(("kind", "recurrent"), CELLS)
def test_the_recurrent_weights_alone_are_pruned_and_penalised(kind, recurrent):
    torch.manual_seed(0)
    model = kind()
    sparsifier = Sparsifier(model, Diffusion(), Torus(2), scope="recurrent", recurrent=recurrent)
    train(model, sparsifier, 3)
    assert set(sparsifier.masks) == set(sparsifier.embeddings) == set(sparsifier.coefficients)
    assert set(sparsifier.masks) == names_of(recurrent)
    for name, mask in sparsifier.masks.items():
        weight = model.get_parameter(name)
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= 1
        assert torch.equal(weight != 0, mask)
        points = sparsifier.embeddings[name]
        assert points.shape == (SIZE, 2)
        assert torch.equal(sparsifier.coefficients[name], Diffusion()(Torus(2), points))
    assert "recurrent" in repr(sparsifier)


@pytest.mark.parametrize(("kind", "name"), [(CTRNN, "h2h.weight"), (Elman, "inner"), (Gated, "inner")])
def test_every_option_takes_them_as_it_takes_those_of_known_modules(kind, name):
    torch.manual_seed(0)
    points = Torus(2).random_point(SIZE, seeded())
    options = {"scope": "recurrent", "recurrent": name}
    shared = Sparsifier(kind(), Diffusion(), Torus(2), embedding=points, **options)
    assert torch.equal(shared.embeddings[name], points)
    model = kind()
    blocks = Sparsifier(model, Diffusion(), Torus(2), granularity=4, sparsity=0.5, **options)
    train(model, blocks, 1)
    rows = len(blocks.masks[name]) // 4
    assert set(blocks.masks[name].view(rows, 4, 3, 4).sum((1, 3)).flatten().tolist()) == {0, 16}
    gates = len(model.get_parameter(name)) // SIZE
    mask = geometric_mask(Diffusion(), Torus(2), points, sparsity=0.8).repeat(gates, 1)
    model = kind()
    known = Sparsifier(model, masks={name: mask}, recurrent=name)
    assert torch.equal(model.get_parameter(name) != 0, mask)
    assert "reciprocity" in known.report()
    ticket, ticket_sparsifier = known.ticket(seed=1)
    assert torch.equal(ticket.get_parameter(name) != 0, mask)
    train(ticket, ticket_sparsifier, 2)
    assert torch.equal(ticket.get_parameter(name) != 0, mask)
    model = kind()
    moving = Sparsifier(
        model, Diffusion(), Torus(2), regrowth=Regrowth(end=9, interval=2, where="cheapest"), **options
    )
    train(model, moving, 1)
    before = moving.masks[name].clone()
    train(model, moving, 1)
    assert not torch.equal(moving.masks[name], before)
    assert moving.masks[name].sum() == before.sum()


def test_a_cell_trains_to_the_bit_as_the_module_that_it_copies():
    """The penalty and the masks of a raw parameter are those of ``weight_hh_l0``."""
    torch.manual_seed(0)
    known = nn.RNN(3, SIZE)
    cell = nn.Module()
    for name, weight in copy.deepcopy(known).named_parameters():
        cell.register_parameter(name.replace("weight_hh", "inner"), weight)
    given = {"embedding": Torus(2).random_point(SIZE, seeded()), "scope": "recurrent"}
    one = Sparsifier(known, Diffusion(), Torus(2), **given)
    other = Sparsifier(cell, Diffusion(), Torus(2), recurrent="inner_l0", **given)
    assert torch.equal(one.penalty(), other.penalty())
    one.step()
    other.step()
    assert torch.equal(known.weight_hh_l0, cell.inner_l0)


def test_a_model_without_known_recurrence_is_told_of_recurrent():
    for options in ({"scope": "recurrent"}, {"regularizer": Diffusion(), "manifold": Torus(2)}):
        with pytest.raises(
            NothingToPrune, match=r"none, only .*recurrent=; its square matrices are h2h\.weight\."
        ):
            Sparsifier(CTRNN(), **options)
        with pytest.raises(NothingToPrune, match=r"recurrent=; its square matrices are inner\."):
            Sparsifier(Elman(), **options)
    bare = nn.Module()
    bare.inner = nn.Parameter(torch.ones(3, 3))
    with pytest.raises(NothingToPrune, match=r"recurrent=; its square matrices are inner\."):
        Sparsifier(bare)
    with pytest.raises(NothingToPrune, match="recurrent=; it has no square matrix"):
        Sparsifier(nn.Linear(3, 2), scope="recurrent")


def test_what_cannot_be_recurrent_is_refused():
    with pytest.raises(NothingToPrune, match=r"called 'h2h'; available: h2h\.weight"):
        Sparsifier(CTRNN(), recurrent="h2h")
    with pytest.raises(NothingToPrune, match="called 'decay'"):
        Sparsifier(LRU(), recurrent="decay")
    with pytest.raises(InvalidParameter, match="must be square") as error:
        Sparsifier(LowRank(), recurrent=["right"])
    assert "right of shape" in str(error.value)
    with pytest.raises(InvalidParameter, match="weight_ih_l0 is not recurrent: it belongs to RNN"):
        Sparsifier(nn.RNN(SIZE, SIZE), recurrent="weight*")
    Sparsifier(nn.RNN(SIZE, SIZE), scope="recurrent", recurrent="weight_hh*")
    for wrong in (3, [3], {"h2h.weight"}, None):
        with pytest.raises(InvalidParameter, match="recurrent"):
            Sparsifier(CTRNN(), recurrent=wrong)


def test_a_shared_embedding_that_no_weight_would_use_is_refused():
    points = Torus(2).random_point(SIZE, seeded())
    for regularizer in (None, {"h2h.weight": None}, {"i2h.weight": Diffusion()}):
        with pytest.raises(InvalidEmbedding, match=r"would use the embedding.*recurrent="):
            Sparsifier(CTRNN(), regularizer, Torus(2), embedding=points)
    Sparsifier(CTRNN(), None, Torus(2), embedding=points, recurrent="h2h.weight")


def test_a_pattern_without_regularizer_needs_no_manifold():
    sparsifier = Sparsifier(Elman(), {"inner": None}, masks={"inner": random_mask(SIZE, SIZE, sparsity=0.5)})
    assert sparsifier.penalty() == 0
