"""The path integrator: an Elman network between place cells."""

from typing import Literal

from torch import Tensor, nn

from moduli.tasks.identity_start import start_as_identity


class PathIntegrator(nn.Module):
    """Read where a walk starts and how it goes on; tell which place cells are active throughout.

    The architecture of Sorscher et al., NeurIPS 2019, and of arXiv 2406.06290: the start's place
    cells set the hidden state, velocities drive a ReLU Elman network, and a linear read-out gives
    the place cells' logits after each step; no layer has a bias.

    Parameters
    ----------
    cells : int
        Number of place cells.
    units : int
        Number of recurrent units.
    initialization : {"identity", "uniform"}
        How recurrent weights start: as the identity matrix, so that every unit remembers and adds up
        what it is told (Le, Jaitly, Hinton, arXiv 1504.00941), or as PyTorch draws them.

    Examples
    --------
    >>> import torch
    >>> network = PathIntegrator(cells=16, units=32)
    >>> network(torch.rand(4, 16), torch.rand(4, 20, 2)).shape
    torch.Size([4, 20, 16])
    """

    def __init__(
        self, cells: int, units: int, initialization: Literal["identity", "uniform"] = "identity"
    ) -> None:
        super().__init__()
        self.initialization = initialization
        self.encoder = nn.Linear(cells, units, bias=False)
        self.recurrent = nn.RNN(2, units, nonlinearity="relu", bias=False, batch_first=True)
        self.decoder = nn.Linear(units, cells, bias=False)
        self._start_recurrence()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in (self.encoder, self.recurrent, self.decoder):
            module.reset_parameters()
        self._start_recurrence()

    def _start_recurrence(self) -> None:
        if self.initialization == "identity":
            start_as_identity(self.recurrent)

    def forward(self, start: Tensor, velocities: Tensor) -> Tensor:
        """Return logits ``(batch, steps, cells)``.

        Parameters
        ----------
        start : Tensor
            Place-cell activity at the start, ``(batch, cells)``.
        velocities : Tensor
            Velocities, ``(batch, steps, 2)``, in metres per second or on the scale trained with.
        """
        logits: Tensor = self.decoder(self.hidden(start, velocities))
        return logits

    def hidden(self, start: Tensor, velocities: Tensor) -> Tensor:
        """Return the activity of the recurrent units, ``(batch, steps, units)``; see `forward`."""
        hidden: Tensor = self.recurrent(velocities, self.encoder(start)[None])[0]
        return hidden
