"""The networks of the cognitive tasks: a leaky rate network, and a GRU beside it."""

import math

import torch
from torch import Tensor, nn

from moduli.tasks.cognition.settings import Activation, Cell
from moduli.tasks.cognition.softplus_rates import softplus_rates
from moduli.tasks.recurrences.kinds import mixing_weights

START = 0.5
"""Factor of the orthogonal matrix that recurrent weights of a leaky network start from."""


class LeakyNetwork(nn.Module):
    """A continuous-time recurrent network in steps, the usual one of systems neuroscience.

    The rates r follow ``r <- (1 - a) r + a f(W r + V u + b + sqrt(2 / a) s noise)`` from zero, where a is the
    time step over the time constant: Yang, Joglekar, Song, Newsome and Wang, Nature Neuroscience 2019
    (methods), also for the weights that it starts from.

    Parameters
    ----------
    inputs : int
        Numbers that are seen at a step.
    units : int
        Number of units.
    leak : float
        a, in (0, 1].
    noise : float
        s, the standard deviation of the private noise of a unit; there is none in evaluation mode.
    activation : {"relu", "softplus"}
        f.

    Examples
    --------
    >>> network = LeakyNetwork(inputs=3, units=8, leak=0.2)
    >>> network(torch.rand(4, 10, 3)).shape
    torch.Size([4, 10, 8])
    >>> [name for name, _ in network.named_parameters()]
    ['weight_rec', 'input.weight', 'input.bias']
    """

    def __init__(
        self, inputs: int, units: int, leak: float, noise: float = 0.0, activation: Activation = "relu"
    ) -> None:
        super().__init__()
        self.leak, self.noise, self.activation = leak, noise, activation
        self.input = nn.Linear(inputs, units)
        self.weight_rec = nn.Parameter(torch.empty(units, units))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        nn.init.normal_(self.input.weight, std=1 / math.sqrt(self.input.in_features))
        nn.init.zeros_(self.input.bias)
        nn.init.orthogonal_(self.weight_rec, gain=START)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return rates ``(batch, steps, units)`` after each step of inputs ``(batch, steps, inputs)``."""
        driven = self.input(inputs)
        if self.training and self.noise:
            size = math.sqrt(2 / self.leak) * self.noise
            driven = torch.add(driven, torch.randn_like(driven), alpha=size)
        if self.activation == "softplus":
            return softplus_rates(driven, self.weight_rec, self.leak)
        rates, all_rates, weight = torch.zeros_like(driven[:, 0]), [], self.weight_rec.T
        for drive in driven.unbind(dim=1):
            rates = rates.lerp(torch.relu(torch.addmm(drive, rates, weight)), self.leak)
            all_rates.append(rates)
        return torch.stack(all_rates, dim=1)


class Decider(nn.Module):
    """Watch trials; tell the logits of the answer at each step.

    Parameters
    ----------
    recurrent : nn.Module
        A `LeakyNetwork`, or an ``nn.GRU`` with the batch first.
    units : int
        Number of its units.
    answers : int
        Number of answers.

    Examples
    --------
    >>> Decider(LeakyNetwork(3, 8, leak=0.2), units=8, answers=5)(torch.rand(4, 10, 3)).shape
    torch.Size([4, 10, 5])
    """

    def __init__(self, recurrent: nn.Module, units: int, answers: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.decoder = nn.Linear(units, answers)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(batch, steps, answers)`` of inputs ``(batch, steps, inputs)``."""
        states = self.recurrent(inputs)
        logits: Tensor = self.decoder(states[0] if isinstance(states, tuple) else states)
        return logits


def recurrent_weights(cell: Cell, layers: int = 1) -> tuple[str, ...]:
    """Return the names of a `Decider`'s recurrent weights that are not those of a module of PyTorch.

    Where there are none, weights between layers take their place.
    """
    return ("recurrent.weight_rec",) if cell == "ctrnn" else mixing_weights(cell, layers)
