"""Recurrent modules whose weight matrices are kernels of any kind."""

import functools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from moduli.models.fast.kernel import Kernel
from moduli.models.fast.module import MakeKernel, SparseModule
from moduli.models.fast.numbering import Numbering
from moduli.models.fast.precision import in_own_precision
from moduli.regularizers import ShapeMismatch

State = tuple[Tensor, ...]

# The input weights of a narrow batch are read once for as many time steps as make up so many columns; where
# each call is a launch, for many more.
COLUMNS, COLUMNS_ELSEWHERE = 64, 2**14


class SparseRecurrent(SparseModule):
    """A recurrent module with kernels of one's choice; called like the module that it replaces.

    The equations are those of ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``. Inside, a sequence is a list of
    states ``(neurons, batch)``, one for each time step; those of a packed sequence become narrower.

    Parameters
    ----------
    module : nn.RNN, nn.LSTM or nn.GRU
        Where the weights come from; biases are shared.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    mode: str
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    proj_size: int

    def __init__(self, module: nn.RNNBase, make_kernel: MakeKernel) -> None:
        super().__init__(module, make_kernel)
        if isinstance(module, nn.RNN):
            self.nonlinearity = module.nonlinearity
        self.output_size = self.proj_size or self.hidden_size
        self.directions = ("", "_reverse") if self.bidirectional else ("",)

    @property
    def all_weights(self) -> list[list[Kernel | nn.Parameter]]:
        """Kernels and biases of each layer and direction, in PyTorch's order."""
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
        return [
            [getattr(self, f"{part}_{name}") for part in parts if hasattr(self, f"{part}_{name}")]
            for name in (
                f"l{layer}{suffix}" for layer in range(self.num_layers) for suffix in self.directions
            )
        ]

    def flatten_parameters(self) -> None:
        """Do nothing: kernels have no common memory."""

    def extra_repr(self) -> str:
        """Return kind and size of the module."""
        return f"{self.mode}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}"

    def forward(
        self, x: Tensor | PackedSequence, hx: Tensor | tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, Tensor]]:
        """Run through a sequence.

        Parameters
        ----------
        x : Tensor or PackedSequence
            Input ``(time, batch, input_size)``, ``(batch, time, input_size)`` if ``batch_first``, or
            ``(time, input_size)``.
        hx : Tensor or pair of Tensor, optional
            Initial state ``(layers * directions, batch, size)``, for an LSTM hidden and cell state;
            zero when absent.

        Returns
        -------
        output : Tensor or PackedSequence
            The last layer's states at all times, packed like the input.
        state : Tensor or pair of Tensor
            All layers' states at the end.

        Raises
        ------
        ShapeMismatch
            If a shape differs from the above.
        """
        packed = isinstance(x, PackedSequence)
        data = x.data if isinstance(x, PackedSequence) else x
        if data.dim() not in (2, 3) or data.shape[-1] != self.input_size:
            raise ShapeMismatch(
                f"The input must have 2 or 3 axes, the last of size {self.input_size}, "
                f"got {tuple(data.shape)}."
            )
        batched = packed or data.dim() == 3
        time_axis = 1 if data.dim() == 3 and self.batch_first else 0
        if data.shape[time_axis] == 0:
            raise ShapeMismatch(f"The input must have at least one time step, got shape {tuple(data.shape)}.")
        state: State = () if hx is None else hx if isinstance(hx, tuple) else (hx,)
        batch = int(x.batch_sizes[0]) if isinstance(x, PackedSequence) else data.shape[1 - time_axis]
        self._check(state, batch, batched)
        output: Tensor | PackedSequence
        if isinstance(x, PackedSequence):
            if x.sorted_indices is not None:
                state = tuple(part.index_select(1, x.sorted_indices) for part in state)
            run = functools.partial(self._packed, x.batch_sizes.tolist())
            data, *final = in_own_precision(run, self, data, *state, promotes=self._gated)
            output = PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)
            if x.unsorted_indices is not None:
                final = [part.index_select(1, x.unsorted_indices) for part in final]
        else:
            output, *final = in_own_precision(self._padded, self, data, *state, promotes=self._gated)
        return (output, (final[0], final[1])) if self.mode == "LSTM" else (output, final[0])

    @property
    def _gated(self) -> bool:
        return self.mode in ("LSTM", "GRU")

    def _check(self, state: State, batch: int, batched: bool) -> None:
        count = self.num_layers * len(self.directions)
        expected = [(count, batch, size) if batched else (count, size) for size in self._sizes()]
        if state and [tuple(part.shape) for part in state] != expected:
            raise ShapeMismatch(
                f"The initial state must have shape {', '.join(map(str, expected))}, "
                f"got {', '.join(str(tuple(part.shape)) for part in state)}."
            )

    def _sizes(self) -> tuple[int, ...]:
        return (self.output_size, self.hidden_size) if self.mode == "LSTM" else (self.output_size,)

    def _padded(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        batched = x.dim() == 3
        time_axis = 1 if batched and self.batch_first else 0
        x = x.movedim(time_axis, 0) if batched else x.unsqueeze(1)
        state = state if batched else tuple(part.unsqueeze(1) for part in state)
        sequence, final = self._through_layers([step.t() for step in x], state)
        # PyTorch transposes a matrix tile by tile, which is fast, but not a stack of matrices.
        if torch.is_grad_enabled() or time_axis == 1:
            output = torch.stack([step.t().contiguous() for step in sequence], dim=time_axis)
        else:
            output = sequence[0].new_empty(len(sequence), *sequence[0].t().shape)
            for place, step in zip(output, sequence, strict=True):
                place.copy_(step.t())
        return (output, *final) if batched else (output.squeeze(1), *(part.squeeze(1) for part in final))

    def _packed(self, widths: list[int], x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        sequence, final = self._through_layers([step.t() for step in torch.split(x, widths)], state)
        return (torch.cat([step.t() for step in sequence]), *final)

    def _through_layers(self, sequence: list[Tensor], state: State) -> tuple[list[Tensor], State]:
        """Return the last layer's outputs, and the last states of all, ``(layers, batch, size)``."""
        count, batch = self.num_layers * len(self.directions), sequence[0].shape[1]
        starts: list[State] = (
            list(zip(*((part.transpose(1, 2).contiguous()) for part in state), strict=True))
            if state
            else [tuple(sequence[0].new_zeros(size, batch) for size in self._sizes())] * count
        )
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                sequence = [functional.dropout(step, self.dropout, self.training) for step in sequence]
            outputs: list[list[Tensor]] = []
            for direction, suffix in enumerate(self.directions):
                start = starts[len(self.directions) * layer + direction]
                run, end = self._run(sequence, start, f"l{layer}{suffix}", backwards=direction == 1)
                outputs.append(run)
                ends.append(end)
            sequence = outputs[0]
            if len(outputs) > 1:
                sequence = [torch.cat(step) for step in zip(*outputs, strict=True)]
        return sequence, tuple(
            torch.stack(parts).transpose(1, 2).contiguous() for parts in zip(*ends, strict=True)
        )

    def _run(
        self, sequence: list[Tensor], start: State, name: str, *, backwards: bool
    ) -> tuple[list[Tensor], State]:
        """Return one layer's outputs in one direction, and its last state."""
        kernel = getattr(self, f"weight_hh_{name}")
        bias = getattr(self, f"bias_hh_{name}", None) if self.mode == "GRU" else None
        projection = getattr(self, f"weight_hr_{name}", None)
        numbering = kernel.numbering if projection is None else None
        recurrent = kernel.repeated() if numbering is None else kernel.repeated_inside()
        if bias is not None:
            bias = bias.unsqueeze(1) if numbering is None else numbering.gates.inside(bias.unsqueeze(1))
        if numbering is not None:
            start = tuple(map(numbering.neurons.inside, start))
        sequence = sequence[::-1] if backwards else sequence
        width = sequence[0].shape[1]
        state = start if width == start[0].shape[1] else columns_of(start, 0, width)
        ended: list[State] = []
        outputs = []
        for drive in self._drives(sequence, name, numbering):
            before, width = width, drive.shape[1]
            if width < before:
                ended.append(columns_of(state, width, before))
                state = columns_of(state, 0, width)
            elif width > before:
                state = side_by_side([state, columns_of(start, before, width)])
            pull = recurrent(state[0])
            if bias is not None:
                pull = pull + bias
            state = next_state(self.mode, drive, pull, state, projection)
            outputs.append(state[0])
        if ended:
            state = side_by_side([state, *reversed(ended)])
        if numbering is not None:
            outputs, state = (
                list(map(numbering.neurons.outside, outputs)),
                tuple(map(numbering.neurons.outside, state)),
            )
        return outputs[::-1] if backwards else outputs, state

    def _drives(self, sequence: list[Tensor], name: str, numbering: Numbering | None) -> Iterator[Tensor]:
        """Yield what the input and the biases add at each time step, ``(neurons, batch)``."""
        kernel = getattr(self, f"weight_ih_{name}")
        product = kernel.repeated() if numbering is None else kernel.repeated_for(numbering.gates)
        constant = getattr(self, f"bias_ih_{name}", None)
        if constant is not None and self.mode != "GRU":
            # A GRU's reset gate acts between its two biases; elsewhere they are one constant.
            constant = constant + getattr(self, f"bias_hh_{name}")
        if constant is not None:
            constant = constant.unsqueeze(1)
            constant = constant if numbering is None else numbering.gates.inside(constant)
        columns = COLUMNS if sequence[0].device.type == "cpu" else COLUMNS_ELSEWHERE
        steps = max(1, columns // max(1, sequence[0].shape[1]))
        for start in range(0, len(sequence), steps):
            part = sequence[start : start + steps]
            drives = product(torch.cat(part, dim=1))
            if constant is not None:
                drives = drives + constant
            yield from drives.split([step.shape[1] for step in part], dim=1)


def next_state(
    mode: str, drive: Tensor, pull: Tensor, state: State, projection: Kernel | None = None
) -> State:
    """Return the state that follows, from what input and recurrent weights add, ``(gates * n, batch)``."""
    if mode == "LSTM":
        return _lstm(drive, pull, state[1], projection)
    if mode == "GRU":
        return _gru(drive, pull, state[0])
    drive = drive + pull
    return (drive.tanh_() if mode == "RNN_TANH" else drive.relu_(),)


def columns_of(state: State, first: int, last: int) -> State:
    """Return the states of some sequences of a batch."""
    return tuple(part[:, first:last].contiguous() for part in state)


def side_by_side(states: list[State]) -> State:
    """Return the states of several batches as those of one."""
    return tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))


def _lstm(drive: Tensor, pull: Tensor, cell: Tensor, projection: Kernel | None) -> State:
    keep_in, forget, candidate, keep_out = (drive + pull).chunk(4)
    cell = torch.sigmoid(forget) * cell + torch.sigmoid(keep_in) * torch.tanh(candidate)
    hidden = torch.sigmoid(keep_out) * torch.tanh(cell)
    return (hidden if projection is None else projection(hidden)), cell


def _gru(drive: Tensor, pull: Tensor, hidden: Tensor) -> State:
    drive_reset, drive_update, drive_new = drive.chunk(3)
    pull_reset, pull_update, pull_new = pull.chunk(3)
    new = torch.tanh(drive_new + torch.sigmoid(drive_reset + pull_reset) * pull_new)
    return (new + torch.sigmoid(drive_update + pull_update) * (hidden - new),)
