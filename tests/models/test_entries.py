"""Functions that analyse networks refuse what is not theirs, each in one sentence."""

import math

import pytest
import torch
from torch import nn

from moduli.errors import InvalidParameter, ModuliError
from moduli.manifolds import InvalidDistance, InvalidPoints, Torus
from moduli.models import (
    Sparsifier,
    graph_statistics,
)
from moduli.models.analysis.topology import (
    cloud_topology,
    graph_distances,
    graph_topology,
    persistent_homology,
)
from moduli.models.errors import StateMismatch
from moduli.regularizers import ShapeMismatch, penalty, proximal

DISTANCES = 1 - torch.eye(4)
SPARSIFIER = Sparsifier(nn.RNN(2, 8))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: graph_distances([1.0]), ShapeMismatch, "The weight must be a tensor, got list"),
        (lambda: graph_distances(torch.zeros(0, 0)), ShapeMismatch, "of one neuron or more"),
        (lambda: graph_distances(torch.full((2, 2), math.nan)), InvalidParameter, "finite weights"),
        (lambda: persistent_homology([[0.0]]), InvalidDistance, "The distances must be a tensor, got list"),
        (lambda: persistent_homology(DISTANCES, prime=2.0), InvalidParameter, "prime must be a positive"),
        (lambda: persistent_homology(DISTANCES, prime=4), InvalidParameter, "prime must be a prime number"),
        (lambda: persistent_homology(DISTANCES, dimension="a"), InvalidParameter, "dimension must be 0 or"),
        (lambda: persistent_homology(DISTANCES, dimension=-1), InvalidParameter, "dimension must be 0 or"),
        (lambda: cloud_topology([[0.0]]), InvalidPoints, "The points must be a tensor, got list"),
        (lambda: graph_topology(torch.ones(4, 4), seed="a"), InvalidParameter, "seed must be an integer"),
        (lambda: graph_statistics(torch.eye(4), Torus()), InvalidParameter, "a manifold and an embedding"),
        (lambda: penalty(torch.ones(2, 2), torch.ones(2, 2), p="a"), InvalidParameter, "exponent p must be"),
        (lambda: penalty(torch.ones(2, 2), torch.ones(2, 2), p=True), InvalidParameter, "exponent p must be"),
        (
            lambda: proximal(torch.ones(2, 2), torch.ones(2, 2), "a"),
            InvalidParameter,
            "proximal step must be",
        ),
        (
            lambda: SPARSIFIER.load_state_dict([1]),
            StateMismatch,
            "A state is a mapping from names to tensors",
        ),
        (lambda: penalty(torch.ones(2, 2), torch.ones(2, 2), p=10**400), InvalidParameter, "exponent p must"),
        (lambda: proximal(torch.ones(2, 2), torch.ones(2, 2), 10**400), InvalidParameter, "step must be"),
        (lambda: Sparsifier(nn.RNN(2, 8), strength=10**400), InvalidParameter, "strength must be"),
        (lambda: SPARSIFIER.ticket("x"), InvalidParameter, "seed must be an integer of at most 64 bits"),
        (lambda: SPARSIFIER.ticket(2**70), InvalidParameter, "seed must be an integer of at most 64 bits"),
        (lambda: SPARSIFIER.ticket(1.5), InvalidParameter, "seed must be an integer of at most 64 bits"),
    ],
)
@pytest.mark.filterwarnings("ignore::moduli.models.EarlyTicket")
def test_what_is_not_theirs_is_refused(call, error, message):
    assert issubclass(error, ModuliError)
    with pytest.raises(error, match=message):
        call()
