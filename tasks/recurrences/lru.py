"""The linear recurrent unit, LRU: units that turn and fade, each by itself."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, linear

SMALLEST, LARGEST = 0.9, 0.999
"""Between which moduli the eigenvalues start: a unit remembers for ten to a thousand steps."""


class LRULayer(nn.Module):
    """A layer of linear recurrent units.

    The complex states x follow ``x <- lambda x + gamma B u`` from zero, unit by unit, with the eigenvalues
    ``lambda = exp(-exp(nu) + i exp(theta))`` inside the unit circle and the inputs u; the outputs are
    ``gelu(Re(C x))``. Equations and start are those of Orvieto, Smith, Gu, Fernando, Gulcehre, Pascanu and
    De, "Resurrecting recurrent neural networks for long sequences", arXiv 2303.06349, section 3; the skip
    connection D is left out, and a GELU stands in the place of the layers between the recurrences. The real
    and the imaginary rows of B and C are stacked.

    Parameters
    ----------
    inputs : int
        Numbers that are read at a step.
    units : int
        Number of units, and of outputs.

    Examples
    --------
    >>> layer = LRULayer(inputs=3, units=8)
    >>> layer(torch.rand(4, 10, 3)).shape
    torch.Size([4, 10, 8])
    >>> bool((layer.eigenvalues().abs() < 1).all())
    True
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.nu, self.theta, self.gamma = (nn.Parameter(torch.empty(units)) for _ in range(3))
        self.weight_in = nn.Parameter(torch.empty(2 * units, inputs))
        self.weight_out = nn.Parameter(torch.empty(2 * units, units))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all weights anew: eigenvalues uniform on a ring, the rest normal."""
        area = self.nu.uniform_(SMALLEST**2, LARGEST**2)
        self.nu.copy_((-area.log() / 2).log())
        self.theta.uniform_(0, 2 * math.pi).clamp_(min=1e-6).log_()  # an angle of 0 has no logarithm
        self.gamma.copy_((1 - self.eigenvalues().abs().square()).sqrt().log())
        nn.init.normal_(self.weight_in, std=1 / math.sqrt(2 * self.weight_in.shape[1]))
        nn.init.normal_(self.weight_out, std=1 / math.sqrt(self.weight_out.shape[1]))

    def eigenvalues(self) -> Tensor:
        """Return by what each unit is multiplied at a step, ``(units,)``, complex."""
        return torch.polar((-self.nu.exp()).exp(), self.theta.exp())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs ``(batch, steps, units)`` for inputs ``(batch, steps, inputs)``."""
        driven = self.gamma.exp().repeat(2) * linear(inputs, self.weight_in)
        drives = torch.complex(*driven.chunk(2, dim=-1))
        eigenvalues, state, all_states = self.eigenvalues(), torch.zeros_like(drives[:, 0]), []
        for drive in drives.unbind(dim=1):
            state = torch.addcmul(drive, eigenvalues, state)
            all_states.append(state)
        states = torch.stack(all_states, dim=1)
        real, imaginary = self.weight_out.chunk(2)
        return gelu(linear(states.real, real) - linear(states.imag, imaginary))


class LRU(nn.Module):
    """Layers of linear recurrent units; see `LRULayer`.

    Nothing leads from the units of a layer to one another but through its outputs, which are the next layer's
    inputs.

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
    >>> LRU(inputs=3, units=8, layers=2)(torch.rand(4, 10, 3)).shape
    torch.Size([4, 10, 8])
    >>> LRU.mixing(layers=2)
    ('layers.0.weight_out', 'layers.1.weight_in')
    """

    def __init__(self, inputs: int, units: int, layers: int = 1) -> None:
        super().__init__()
        widths = [inputs] + [units] * (layers - 1)
        self.layers = nn.Sequential(*(LRULayer(width, units) for width in widths))

    @staticmethod
    def mixing(layers: int) -> tuple[str, ...]:
        """Return the names of the weights that lead from one layer's units to the next one's."""
        return tuple(
            name
            for index in range(1, layers)
            for name in (f"layers.{index - 1}.weight_out", f"layers.{index}.weight_in")
        )

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for layer in self.layers:
            assert isinstance(layer, LRULayer)
            layer.reset_parameters()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the last layer's outputs ``(batch, steps, units)`` for inputs ``(batch, steps, inputs)``."""
        outputs: Tensor = self.layers(inputs)
        return outputs
