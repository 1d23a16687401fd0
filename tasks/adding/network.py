"""The network of the adding problem: an Elman network that is asked once, at the end."""

from torch import Tensor, nn


class Adder(nn.Module):
    """Read a sequence of marked numbers; tell one number for it.

    A ReLU Elman network reads the sequence, and a linear read-out of its last state gives the sum,
    as in Le, Jaitly and Hinton, arXiv 1504.00941, but with PyTorch's own initial weights.

    Parameters
    ----------
    units : int
        Number of recurrent units.

    Examples
    --------
    >>> import torch
    >>> Adder(units=32)(torch.rand(4, 20, 2)).shape
    torch.Size([4])
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.recurrent = nn.RNN(2, units, nonlinearity="relu", batch_first=True)
        self.decoder = nn.Linear(units, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sums ``(batch,)`` of sequences ``(batch, length, 2)``."""
        states, _ = self.recurrent(inputs)
        sums: Tensor = self.decoder(states[:, -1])
        return sums.squeeze(-1)
