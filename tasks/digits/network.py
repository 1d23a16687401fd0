"""The network of the digits: it reads an image to its end, and is asked once."""

from torch import Tensor, nn

from moduli.tasks.digits.settings import Cell
from moduli.tasks.identity_start import start_as_identity
from moduli.tasks.recurrences.kinds import DIAGONAL
from moduli.tasks.recurrences.lru import LRU
from moduli.tasks.recurrences.mingru import MinGRU


class SequenceReader(nn.Module):
    """Read a sequence; tell the logits of its class from the last state.

    Parameters
    ----------
    cell : {"gru", "rnn", "mingru", "lru"}
        Kind of recurrent layer. ``"rnn"`` has ReLU units and recurrent weights that start as the identity
        matrix (Le, Jaitly and Hinton, arXiv 1504.00941). ``"mingru"`` and ``"lru"`` have no recurrent
        weights, see `moduli.tasks.recurrences`.
    inputs : int
        Numbers that are read at a step.
    units : int
        Number of recurrent units of each layer.
    classes : int
        Number of classes.
    layers : int
        Number of recurrent layers.

    Examples
    --------
    >>> import torch
    >>> SequenceReader("gru", inputs=8, units=16, classes=10)(torch.rand(4, 8, 8)).shape
    torch.Size([4, 10])
    """

    def __init__(self, cell: Cell, inputs: int, units: int, classes: int, layers: int = 1) -> None:
        super().__init__()
        self.recurrent: nn.GRU | nn.RNN | MinGRU | LRU
        if cell == "gru":
            self.recurrent = nn.GRU(inputs, units, layers, batch_first=True)
        elif cell == "rnn":
            self.recurrent = nn.RNN(inputs, units, layers, nonlinearity="relu", batch_first=True)
        else:
            self.recurrent = DIAGONAL[cell](inputs, units, layers)
        self.decoder = nn.Linear(units, classes)
        self._start_recurrence()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.recurrent.reset_parameters()
        self.decoder.reset_parameters()
        self._start_recurrence()

    def _start_recurrence(self) -> None:
        if isinstance(self.recurrent, nn.RNN):
            start_as_identity(self.recurrent)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits ``(batch, classes)`` of sequences ``(batch, steps, inputs)``."""
        states = self.recurrent(inputs)
        logits: Tensor = self.decoder((states[0] if isinstance(states, tuple) else states)[:, -1])
        return logits
