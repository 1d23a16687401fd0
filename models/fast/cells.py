"""Recurrent cells, which take one time step, whose weight matrices are kernels of any kind."""

from torch import Tensor, nn

from moduli.models.fast.kernel import Kernel
from moduli.models.fast.module import MakeKernel, SparseModule
from moduli.models.fast.precision import in_own_precision
from moduli.models.fast.recurrent import next_state
from moduli.regularizers import ShapeMismatch


class SparseCell(SparseModule):
    """A recurrent cell with kernels of one's choice; called like the cell that it replaces.

    Parameters
    ----------
    module : nn.RNNCell, nn.LSTMCell or nn.GRUCell
        Where the weights come from; biases are shared.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    input_size: int
    hidden_size: int
    bias: bool
    weight_ih: Kernel
    weight_hh: Kernel
    bias_ih: nn.Parameter
    bias_hh: nn.Parameter

    def __init__(self, module: nn.RNNCellBase, make_kernel: MakeKernel) -> None:
        super().__init__(module, make_kernel)
        if isinstance(module, nn.RNNCell):
            self.mode = f"RNN_{module.nonlinearity.upper()}"
        else:
            self.mode = "LSTM" if isinstance(module, nn.LSTMCell) else "GRU"

    def extra_repr(self) -> str:
        """Return kind and size of the cell."""
        return f"{self.mode}, {self.input_size}, {self.hidden_size}"

    def forward(
        self, x: Tensor, hx: Tensor | tuple[Tensor, Tensor] | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Take one step.

        Parameters
        ----------
        x : Tensor
            Input ``(batch, input_size)`` or ``(input_size,)``.
        hx : Tensor or pair of Tensor, optional
            State ``(batch, hidden_size)`` or ``(hidden_size,)``, of an LSTM hidden and cell state; zero when
            absent.

        Returns
        -------
        Tensor or pair of Tensor
            The next state.

        Raises
        ------
        ShapeMismatch
            If a shape differs from the above.
        """
        if x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
            raise ShapeMismatch(
                f"The input must have 1 or 2 axes, the last of size {self.input_size}, got {tuple(x.shape)}."
            )
        parts = 2 if self.mode == "LSTM" else 1
        expected = (*x.shape[:-1], self.hidden_size)
        state = (x.new_zeros(expected),) * parts if hx is None else hx if isinstance(hx, tuple) else (hx,)
        if [tuple(part.shape) for part in state] != [expected] * parts:
            raise ShapeMismatch(
                f"The state must be {parts} of shape {expected}, "
                f"got {', '.join(str(tuple(part.shape)) for part in state)}."
            )
        result = in_own_precision(self._step, self, x, *state, promotes=self.mode in ("LSTM", "GRU"))
        return (result[0], result[1]) if parts == 2 else result[0]

    def _step(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        shape = state[0].shape
        columns = tuple(part.reshape(-1, part.shape[-1]).t().contiguous() for part in (x, *state))
        drive, pull = self.weight_ih(columns[0]), self.weight_hh(columns[1])
        if self.bias:
            drive, pull = drive + self.bias_ih.unsqueeze(1), pull + self.bias_hh.unsqueeze(1)
        state = next_state(self.mode, drive, pull, columns[1:])
        return tuple(part.t().reshape(shape).contiguous() for part in state)
