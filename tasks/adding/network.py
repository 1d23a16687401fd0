"""The network of the adding problem: an Elman network that is asked once, at the end."""

from typing import Literal

from torch import Tensor, nn

from moduli.tasks.identity_start import start_as_identity


class Adder(nn.Module):
    """Read a sequence of marked numbers; tell one number for it.

    A ReLU Elman network reads the sequence, and a linear read-out of its last state gives the sum,
    as in Le, Jaitly and Hinton, arXiv 1504.00941.

    Parameters
    ----------
    units : int
        Number of recurrent units.
    initialization : {"uniform", "identity"}
        How recurrent weights start: as PyTorch draws them, or, as in that article, as the identity matrix,
        with biases of zero.

    Examples
    --------
    >>> import torch
    >>> Adder(units=32)(torch.rand(4, 20, 2)).shape
    torch.Size([4])
    """

    def __init__(self, units: int, initialization: Literal["uniform", "identity"] = "uniform") -> None:
        super().__init__()
        self.initialization = initialization
        self.recurrent = nn.RNN(2, units, nonlinearity="relu", batch_first=True)
        self.decoder = nn.Linear(units, 1)
        self._start_recurrence()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.recurrent.reset_parameters()
        self.decoder.reset_parameters()
        self._start_recurrence()

    def _start_recurrence(self) -> None:
        if self.initialization == "identity":
            start_as_identity(self.recurrent)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sums ``(batch,)`` of sequences ``(batch, length, 2)``."""
        states, _ = self.recurrent(inputs)
        sums: Tensor = self.decoder(states[:, -1])
        return sums.squeeze(-1)
