"""Tickets that are drawn before everything is cut are told."""

import warnings

import pytest
import torch
from torch import nn

from moduli.models import CubicSchedule, EarlyTicket, Sparsifier, random_mask


@pytest.mark.parametrize("steps", [0, 10])
def test_a_ticket_before_its_time_is_told_with_the_zeros_that_it_has(steps):
    sparsifier = Sparsifier(nn.GRU(3, 20), sparsity=0.9, schedule=CubicSchedule(2, 500))
    for _ in range(steps):
        sparsifier.step()
    zeros = sparsifier.sparsity()["total"]
    with pytest.warns(EarlyTicket, match=rf"has {zeros:.1%} zeros after .* the target is 90.0%: call step"):
        sparsifier.ticket(seed=1)


@pytest.mark.parametrize(
    "options",
    [
        {"sparsity": 0.9},
        {"sparsity": 0.0},
        {"sparsity": 0.9, "granularity": 4},
        {"sparsity": 0.5, "scope": "erk"},
        {"masks": {"0.weight_hh_l0": random_mask(20, 20, sparsity=0.5)}},
    ],
)
def test_a_ticket_in_time_and_a_ticket_s_ticket_are_not(options):
    torch.manual_seed(0)
    sparsifier = Sparsifier(nn.Sequential(nn.RNN(4, 20)), **options)
    sparsifier.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error", EarlyTicket)
        _, ticket = sparsifier.ticket(seed=1)
        ticket.ticket(seed=2)
