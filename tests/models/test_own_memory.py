"""A sparsifier shares no memory with what it is given and what it gives, and keeps the precision of both."""

import pytest
import torch
from torch import nn

from moduli.manifolds import Torus
from moduli.models import (
    CannotRedraw,
    Embedding,
    InvalidEmbedding,
    Sparsifier,
    sparse_rnn,
    train_survivors,
)
from moduli.models.errors import StateMismatch
from moduli.regularizers import Diffusion, ShapeMismatch
from tests.conftest import seeded

SPACE = Torus(2)


def test_points_that_are_changed_later_stay_where_they_were():
    points = SPACE.random_point(16, generator=seeded(0))
    sparsifier = Sparsifier(nn.RNN(3, 16), Diffusion(), SPACE, embedding=points)
    before = sparsifier.embeddings["weight_hh_l0"]
    points.zero_()
    assert torch.equal(sparsifier.embeddings["weight_hh_l0"], before)
    assert before.any()


def test_points_that_would_be_learned_once_are_refused_with_what_learns_them():
    points = SPACE.random_point(16, generator=seeded(0)).requires_grad_()
    with pytest.raises(InvalidEmbedding, match=r"requires a gradient.*points.detach\(\), or Embedding\("):
        Sparsifier(nn.RNN(3, 16), Diffusion(), SPACE, embedding=points)
    learned = Embedding(SPACE, 16, learn=True)
    sparsifier = Sparsifier(nn.RNN(3, 16), Diffusion(), SPACE, embedding=learned)
    for _ in range(2):
        learned.points.grad = None
        sparsifier.penalty().backward()
        assert learned.points.grad is not None


def test_points_of_a_network_that_is_born_sparse_stay_where_they_were():
    points = SPACE.random_point(64, generator=seeded(0))
    network = sparse_rnn("rnn", 3, 64, embedding=points)
    before = points.clone()
    points.zero_()
    assert torch.equal(network.embedding, before)


def test_what_a_sparsifier_shows_can_be_written_into():
    sparsifier = Sparsifier(nn.RNN(3, 16), Diffusion(), SPACE, sparsity=0.5)
    sparsifier.step()
    penalty, zeros = sparsifier.penalty(), sparsifier.sparsity()
    sparsifier.coefficients["weight_hh_l0"].zero_()
    places = sparsifier.embeddings["weight_hh_l0"].clone()
    sparsifier.embeddings["weight_hh_l0"].zero_()
    assert torch.equal(sparsifier.embeddings["weight_hh_l0"], places)
    for tensor in sparsifier.state_dict().values():
        tensor.fill_(1)
    assert torch.equal(sparsifier.penalty(), penalty)
    assert sparsifier.sparsity() == zeros


def test_a_score_may_work_in_place():
    model = nn.RNN(3, 16)
    before = model.weight_hh_l0.detach().clone()
    sparsifier = Sparsifier(model, Diffusion(), SPACE, sparsity=0.5, score=lambda w, c: w.abs_())
    sparsifier.step()
    alive = sparsifier.masks["weight_hh_l0"]
    assert torch.equal(model.weight_hh_l0[alive], before[alive])
    assert before[alive].abs().min() >= before[~alive].abs().max()


def test_scores_keep_the_precision_of_weights():
    model = nn.Linear(10, 10, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(1 + 1e-12 * torch.randperm(100, generator=seeded(0)).double().view(10, 10))
    before = model.weight.detach().clone()
    sparsifier = Sparsifier(model, sparsity=0.5)
    sparsifier.step()
    alive = sparsifier.masks["weight"]
    assert before[alive].min() > before[~alive].max()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_distances_that_half_a_float_cannot_square_are_charged_all_the_same(dtype):
    wide = Torus(2, period=1000.0)
    model = nn.RNN(3, 32).to(dtype)
    sparsifier = Sparsifier(model, Diffusion(), wide, sparsity=0.5, score="magnitude/coefficient")
    assert sparsifier.coefficients["weight_hh_l0"].max() > torch.finfo(torch.float16).max
    sparsifier.step()
    penalty = sparsifier.penalty()
    prices, weight = sparsifier.coefficients["weight_hh_l0"], model.weight_hh_l0.detach().float()
    torch.testing.assert_close(penalty, (prices * weight.abs()).mean().to(dtype))
    penalty.backward()
    assert model.weight_hh_l0.grad.isfinite().all()


def test_looking_in_inference_mode_spoils_no_training():
    model = nn.RNN(3, 16)
    sparsifier = Sparsifier(model, Diffusion(), SPACE, sparsity=0.5)
    with torch.inference_mode():
        seen = sparsifier.penalty()
        assert sparsifier.coefficients
    sparsifier.step()
    with torch.inference_mode():
        sparse = train_survivors(model, sparsifier.masks)
    sparsifier.penalty().backward()
    sparse(torch.randn(2, 3, generator=seeded(0)))[0].sum().backward()
    assert seen > 0
    assert all(parameter.grad is not None for parameter in sparse.parameters())


def test_leaving_inference_mode_turns_no_gradients_on():
    sparsifier = Sparsifier(nn.RNN(3, 16), Diffusion(), Embedding(SPACE, 16).manifold)
    with torch.no_grad():
        assert not sparsifier.penalty().requires_grad
        assert not torch.is_grad_enabled()


def test_a_weight_of_another_shape_is_told():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 1))
    sparsifier = Sparsifier(model, sparsity=0.5)
    sparsifier.step()
    model[1] = nn.Linear(8, 5)
    before = model[1].weight.detach().clone()
    with pytest.raises(ShapeMismatch, match=r"1.weight has shape \(5, 8\) now, and had \(1, 8\) when"):
        sparsifier.step()
    with pytest.raises(ShapeMismatch, match=r"1.weight has shape \(5, 8\) now"):
        sparsifier.report()
    assert torch.equal(model[1].weight, before)


def test_a_report_tells_of_dead_weights_that_somebody_wrote():
    model = nn.RNN(3, 16)
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    assert "not zero now" not in sparsifier.report()
    model.reset_parameters()
    assert "230 dead weights are not zero now; settle() sets them to zero" in sparsifier.report()
    sparsifier.settle()
    assert "not zero now" not in sparsifier.report()


class Cell(nn.Module):
    """A cell that redraws its own weight alone, as PyTorch's modules do."""

    def __init__(self) -> None:
        super().__init__()
        self.own = nn.Parameter(torch.zeros(16, 16))
        self.out = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the own weight."""
        nn.init.normal_(self.own)


class Whole(Cell):
    """A cell that redraws everything below it, the last layer as zeros."""

    def reset_parameters(self) -> None:
        """Draw all weights."""
        super().reset_parameters()
        self.out[0].weight.data.normal_()
        nn.init.zeros_(self.out[0].bias)
        nn.init.zeros_(self.out[2].weight)
        nn.init.zeros_(self.out[2].bias)


def ticket_of(model):
    sparsifier = Sparsifier(model, sparsity=0.5, recurrent="own")
    sparsifier.step()
    return sparsifier.ticket(seed=1)[0]


@pytest.mark.filterwarnings("ignore::moduli.models.NotPruned")
def test_a_ticket_redraws_what_a_module_s_reset_leaves_alone():
    model = Cell()
    ticket = ticket_of(model)
    for (name, trained), fresh in zip(model.named_parameters(), ticket.parameters(), strict=True):
        assert not torch.equal(trained, fresh), name


@pytest.mark.filterwarnings("ignore::moduli.models.NotPruned")
@pytest.mark.parametrize("trained", [False, True])
def test_a_ticket_keeps_to_a_reset_that_does_all(trained):
    model = Whole()
    if trained:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
    ticket = ticket_of(model)
    assert not ticket.out[2].weight.any()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model.reset_parameters()
    assert torch.equal(ticket.out[0].weight != 0, ticket.out[0].weight != 0)
    assert torch.equal(ticket.out[0].bias, model.out[0].bias)


class Hidden(Cell):
    """A cell with a module below it that nothing can redraw."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Module()
        self.scale.factors = nn.Parameter(torch.tensor([1.0, 2.0]))


@pytest.mark.filterwarnings("ignore::moduli.models.NotPruned")
def test_what_nothing_redraws_is_named():
    with pytest.raises(CannotRedraw, match=r"the model\.scale \(Module\) holds factors but defines no"):
        ticket_of(Hidden())


def test_where_weights_are_is_not_made_of_empty_memory():
    network = sparse_rnn("gru", 3, 64, device="meta")
    network.to_empty(device="cpu")
    for module in network.modules():
        if "size" in dict(module.named_buffers(recurse=False)):
            module.size.fill_(-1)  # as empty memory may hold anything
    with pytest.raises(StateMismatch, match=r"has lost where its weights are.*sparse_rnn\(\.\.\., device="):
        network.reset_parameters()
