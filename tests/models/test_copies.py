"""Copies of models lie in memory as cuDNN wants them."""

import pytest
import torch
from torch import nn

from moduli.models import Sparsifier, compress


@pytest.fixture
def flattened(monkeypatch):
    """Return the recurrent modules whose weights were put into one piece of memory."""
    modules = []
    monkeypatch.setattr(nn.RNNBase, "flatten_parameters", lambda module: modules.append(module))
    return modules


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_tickets_and_compressed_models_are_in_one_piece(kind, flattened):
    torch.manual_seed(0)
    model = nn.Sequential(kind(3, 8), nn.Linear(8, 1))
    sparsifier = Sparsifier(model)
    sparsifier.step()
    flattened.clear()
    ticket, _ = sparsifier.ticket(seed=1)
    assert flattened == [ticket[0]]
    flattened.clear()
    compress(model)
    assert flattened
    assert model[0] not in flattened
