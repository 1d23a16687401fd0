"""The minGRU: a GRU whose gates see the inputs alone."""

import torch
from torch import Tensor, nn


class MinGRU(nn.Module):
    """Layers of minimal gated recurrent units.

    A layer's states h follow ``h <- (1 - z) h + z c`` from zero, unit by unit, with the gate ``z =
    sigmoid(W x + b)`` and the candidate ``c = V x + d`` of the inputs x: Feng, Tung, Ahmed, Bengio and
    Hajimirsadeghi, "Were RNNs all we needed?", arXiv 2410.01201, section 3.1. Nothing leads from the units of
    a layer to one another. The states are the next layer's inputs, whose weights are the rows of gates over
    those of candidates, ``(2 * units, units)``.

    Parameters
    ----------
    inputs : int
        Numbers that are read at a step.
    units : int
        Units of each layer.
    layers : int
        Number of layers.

    Examples
    --------
    >>> network = MinGRU(inputs=3, units=8, layers=2)
    >>> network(torch.rand(4, 10, 3)).shape
    torch.Size([4, 10, 8])
    >>> MinGRU.mixing(layers=2)
    ('layers.1.weight',)
    """

    def __init__(self, inputs: int, units: int, layers: int = 1) -> None:
        super().__init__()
        widths = [inputs] + [units] * (layers - 1)
        self.layers = nn.ModuleList(nn.Linear(width, 2 * units) for width in widths)

    @staticmethod
    def mixing(layers: int) -> tuple[str, ...]:
        """Return the names of the weights that lead from one layer's units to the next one's."""
        return tuple(f"layers.{index}.weight" for index in range(1, layers))

    def reset_parameters(self) -> None:
        """Draw all weights anew, as ``nn.Linear`` does."""
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            layer.reset_parameters()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the last layer's states ``(batch, steps, units)`` for inputs ``(batch, steps, inputs)``."""
        states = inputs
        for layer in self.layers:
            gates, candidates = layer(states).chunk(2, dim=-1)
            state, all_states = torch.zeros_like(candidates[:, 0]), []
            for gate, candidate in zip(gates.sigmoid().unbind(dim=1), candidates.unbind(dim=1), strict=True):
                state = state.lerp(candidate, gate)
                all_states.append(state)
            states = torch.stack(all_states, dim=1)
        return states
