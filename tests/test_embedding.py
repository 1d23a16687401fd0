"""Embeddings: points that stay on their manifold while they are learned, and a hidden one recovered."""

import copy
import sys

import pytest
import torch
from torch import nn

from moduli.manifolds import (
    InvalidParameter,
    InvalidPoints,
    KleinBottle,
    Manifold,
    Sphere,
    Torus,
)
from moduli.models import Embedding, InvalidEmbedding, MissingDependency, Sparsifier
from moduli.regularizers import Communicability, Diffusion, Gaussian, penalty
from tests.conftest import SPACES, seeded


class Discrete(Manifold):
    """A space without gradients: distance 1 between any two different points."""

    point_shape = (1,)

    def distance(self, x, y):
        return (x != y).any(-1).to(x.dtype)

    def random_point(self, n, generator=None):
        return torch.arange(float(n))[:, None]


def riemannian_adam(parameters, **options):
    pytest.importorskip("moduli.models.placement.riemannian")
    import geoopt

    return geoopt.optim.RiemannianAdam(parameters, **options)


OPTIMIZERS = {
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.5),
    "Riemannian Adam": lambda p: riemannian_adam(p, lr=0.5),
}


@pytest.mark.parametrize("manifold", SPACES, ids=repr)
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_learned_points_stay_on_the_manifold_through_any_optimizer(manifold, kind):
    embedding = Embedding(manifold, 8, learn=True)
    if kind.startswith("Riemannian"):
        embedding.riemannian()
    optimizer = OPTIMIZERS[kind](embedding.parameters())
    start = embedding().detach().clone()
    losses = []
    for _ in range(12):
        loss = Gaussian(10.0, 10.0)(manifold, embedding()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        points = embedding().detach()
        assert manifold.contains(points).all()
        assert torch.allclose(points, manifold.project(points), atol=1e-5)
        assert points is not start
    assert min(losses) < losses[0]
    assert (embedding() != start).any()


def test_points_are_wrapped_when_called_and_when_saved():
    embedding = Embedding(Torus(), 5, learn=True)
    for use in (lambda: embedding(), lambda: embedding.state_dict()["points"]):
        with torch.no_grad():
            embedding.points.add_(23.0)
        assert (embedding.points > 10).any()  # a step does leave the square
        assert ((use() >= 0) & (use() < 10)).all()


def test_a_graph_of_an_earlier_call_stays_valid():
    embedding = Embedding(Sphere(), 1000, learn=True)
    settled = embedding().detach().clone()
    assert not torch.equal(Sphere().project(settled), settled)  # rounding moves what is projected again
    losses = [embedding().square().sum() for _ in range(3)]
    sum(losses).backward()
    assert torch.equal(embedding.points.grad, 6 * settled)


def test_a_momentum_turns_with_a_point_that_crosses_the_twisted_edge():
    embedding = Embedding(KleinBottle(), 1, learn=True).riemannian()
    x = torch.tensor([[9.9, 4.0]])
    reached, carried = embedding.points.manifold.retr_transp(x, torch.tensor([[0.2, 1.0]]), torch.ones(1, 2))
    assert torch.allclose(reached, torch.tensor([[0.1, 5.0]]), atol=1e-5)
    assert torch.equal(carried, torch.tensor([[1.0, -1.0]]))


def test_riemannian_gradients_are_tangent():
    embedding = Embedding(Sphere(), 6, learn=True).riemannian()
    gradient = embedding.points.manifold.egrad2rgrad(embedding(), torch.randn(6, 3, generator=seeded()))
    assert torch.allclose((gradient * embedding()).sum(-1), torch.zeros(6), atol=1e-6)


def test_a_retraction_without_derivative_is_named():
    class Rough(Sphere):
        def project(self, x):
            return super().project(x) + 0 * (x - x).abs().sqrt()

    embedding = Embedding(Rough(), 4, learn=True).riemannian()
    optimizer = riemannian_adam(embedding.parameters(), lr=0.1)
    Diffusion()(Rough(), embedding()).sum().backward()
    with pytest.raises(InvalidEmbedding, match=r"Rough.*retract has no finite derivative"):
        optimizer.step()


@pytest.mark.parametrize("riemannian", [False, True])
@pytest.mark.parametrize("learn", [False, True])
def test_state_copy_and_seed(learn, riemannian):
    first, other = (Embedding(Sphere(), 7, learn=learn, seed=seed) for seed in (0, 1))
    if learn and riemannian:
        first.riemannian()
    state = torch.get_rng_state()
    assert torch.equal(Embedding(Sphere(), 7, seed=0)(), first())
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(first(), other())
    other.load_state_dict(first.state_dict())
    assert torch.equal(first(), other())
    assert torch.equal(copy.deepcopy(first)(), first())
    assert len(list(first.parameters())) == learn
    assert first.double()().dtype == torch.float64


def test_crowding_keeps_apart_what_a_penalty_would_collapse():
    def spread(weight_of_crowding):
        embedding = Embedding(Torus(), 20, learn=True)
        optimizer = torch.optim.Adam(embedding.parameters(), lr=0.2)
        for _ in range(60):
            loss = penalty(torch.ones(20, 20), Diffusion()(Torus(), embedding()))
            loss = loss + weight_of_crowding * embedding.crowding(length=3.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(Torus().pairwise(embedding().detach()).mean())

    assert spread(0.0) < 0.5  # collapsed, of about 3.8 at the start
    assert spread(1000.0) > 2.5


def test_crowding_is_the_mean_of_the_gaussian_over_pairs():
    points = Embedding(Torus(), 6)()
    distance = Torus().pairwise(points)[~torch.eye(6, dtype=torch.bool)]
    expected = (-(distance / 2).square()).exp().mean()
    assert torch.allclose(Embedding(Torus(), 6).crowding(length=2.0), expected)


def recover(manifold, inhibitor, n, seed, steps=200):
    """Learn from the coefficients of a hidden embedding; return the loss, and how far distances are off."""
    hidden = manifold.random_point(n, seeded(100))
    target = inhibitor(manifold, hidden)
    embedding = Embedding(manifold, n, learn=True, seed=seed)
    optimizer = torch.optim.Adam(embedding.parameters(), lr=1.2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = (inhibitor(manifold, embedding()) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    off = manifold.pairwise(hidden) - manifold.pairwise(embedding().detach())
    return loss.item(), float(off.abs().max())


def test_a_hidden_embedding_is_recovered_up_to_isometry():
    """Distances agree although points do not: an isometry is all that the coefficients leave open."""
    results = [recover(Torus(), Gaussian(4.0, 1.0), 40, seed) for seed in range(3)]
    loss, error = min(results)  # a start may end in a local minimum, which its loss shows
    assert loss < 1e-8
    assert error < 0.01
    # Coefficients that see almost no distance recover nothing: the planted fault.
    assert recover(Torus(), Gaussian(0.05, 1.0), 40, 0)[1] > 1


class Network(nn.Module):
    def __init__(self, kind=nn.GRU):
        super().__init__()
        self.rnn = kind(3, 10)

    def forward(self, x):
        return self.rnn(x)[0]


def test_a_sparsifier_follows_a_learned_embedding():
    model, embedding = Network(), Embedding(Torus(), 10, learn=True)
    sparsifier = Sparsifier(model, Diffusion(), Torus(), embedding=embedding, sparsity=0.5)
    optimizer = torch.optim.Adam([*model.parameters(), *embedding.parameters()], lr=0.1)
    before = sparsifier.coefficients["rnn.weight_hh_l0"]
    for _ in range(3):
        loss = model(torch.ones(2, 1, 3)).square().mean() + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sparsifier.step()
    expected = penalty(model.rnn.weight_hh_l0, Diffusion()(Torus(), embedding()))
    assert torch.allclose(sparsifier.penalty(), expected)
    assert not torch.allclose(sparsifier.coefficients["rnn.weight_hh_l0"], before)
    assert torch.equal(sparsifier.embeddings["rnn.weight_hh_l0"], embedding())
    # Another sparsifier takes the points over, into its own embedding.
    own = Embedding(Torus(), 10, learn=True, seed=5)
    twin = Sparsifier(copy.deepcopy(model), Diffusion(), Torus(), embedding=own, sparsity=0.5)
    twin.load_state_dict(sparsifier.state_dict())
    assert torch.equal(own(), embedding())
    assert torch.allclose(twin.penalty(), sparsifier.penalty())
    assert torch.equal(sparsifier.ticket(0)[1].embeddings["rnn.weight_hh_l0"], embedding())


def test_a_sparsifier_keeps_a_fixed_embedding():
    embedding = Embedding(Torus(), 10, seed=4)
    sparsifier = Sparsifier(Network(), Diffusion(), Torus(), embedding=embedding)
    given = Sparsifier(sparsifier.model, Diffusion(), Torus(), embedding=embedding())
    assert torch.equal(sparsifier.penalty(), given.penalty())


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM])
def test_a_sparsifier_passes_the_weight_to_terms_that_depend_on_it(kind):
    model = Network(kind)
    sparsifier = Sparsifier(model, Diffusion() * Communicability(), Torus(), sparsity=0.5)
    weight, points = model.rnn.weight_hh_l0, sparsifier.embeddings["rnn.weight_hh_l0"]
    for _ in range(2):
        coefficients = (Diffusion() * Communicability())(Torus(), points, weight=weight)
        expected = penalty(weight, coefficients)
        assert torch.allclose(sparsifier.penalty(), expected)
        ours, theirs = (torch.autograd.grad(x, weight)[0] for x in (sparsifier.penalty(), expected))
        assert torch.allclose(ours, theirs)
        with torch.no_grad():
            weight.mul_(torch.rand(weight.shape, generator=seeded()))


def test_errors(monkeypatch):
    with pytest.raises(InvalidParameter, match="n must be a positive integer, got 0"):
        Embedding(Torus(), 0)
    with pytest.raises(InvalidEmbedding, match=r"Discrete\(\) have no gradient.*learn=False"):
        Embedding(Discrete(), 3, learn=True)
    assert Embedding(Discrete(), 3)().shape == (3, 1)
    with pytest.raises(InvalidEmbedding, match="learn=True"):
        Embedding(Torus(), 3).riemannian()
    with pytest.raises(InvalidEmbedding, match=r"on Sphere.*on Torus.*same manifold"):
        Sparsifier(Network(), Diffusion(), Torus(), embedding=Embedding(Sphere(), 10))
    with pytest.raises(InvalidEmbedding, match="connects 10 neurons, but the embedding places 9"):
        Sparsifier(Network(), Diffusion(), Torus(), embedding=Embedding(Torus(), 9))
    with pytest.raises(InvalidEmbedding, match="places only one"):
        Embedding(Torus(), 1).crowding(1.0)
    embedding = Embedding(Torus(), 3, learn=True)
    with torch.no_grad():
        embedding.points[1] = torch.nan
    with pytest.raises(InvalidPoints, match="finite; point 1"):
        embedding.crowding(1.0)
    monkeypatch.setitem(sys.modules, "geoopt", None)
    monkeypatch.delitem(sys.modules, "moduli.models.placement.riemannian", raising=False)
    with pytest.raises(MissingDependency, match=r"pip install 'moduli\[learn\]'"):
        Embedding(Torus(), 3, learn=True).riemannian()
