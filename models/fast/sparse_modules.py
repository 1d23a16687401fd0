"""Linear and recurrent modules whose weight matrices are kernels of any kind."""

import copy
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence

from moduli.models.errors import CannotCompress
from moduli.models.fast.kernels import Kernel, in_blocks
from moduli.regularizers import ShapeMismatch

MakeKernel = Callable[[str, Tensor], Kernel]
State = tuple[Tensor, ...]

# The input weights of a narrow batch are read once for as many time steps as make up so many columns.
COLUMNS = 64


class SparseLinear(nn.Module):
    """A linear module with a kernel of one's choice; called like ``nn.Linear``.

    Parameters
    ----------
    module : nn.Linear
        Where weight and bias come from; they are copied.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    weight: Kernel

    def __init__(self, module: nn.Linear, make_kernel: MakeKernel) -> None:
        super().__init__()
        self.weight = make_kernel("weight", module.weight)
        self.bias = _copy(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x W^T + b``, ``(..., n_sources) -> (..., n_targets)``."""
        result: Tensor = self.weight(x.reshape(-1, x.shape[-1]).t().contiguous())
        if self.bias is not None:
            result = result + self.bias.unsqueeze(1)
        return result.t().reshape(*x.shape[:-1], -1).contiguous()


class SparseRecurrent(nn.Module):
    """A recurrent module with kernels of one's choice; called like the module that it replaces.

    The equations are those of ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``. Inside, a sequence is a list of
    states ``(neurons, batch)``, one for each time step.

    Parameters
    ----------
    module : nn.RNN, nn.LSTM or nn.GRU
        Where the weights come from; they are copied.
    make_kernel : callable
        From a weight's name and the weight to its kernel.
    """

    def __init__(self, module: nn.RNNBase, make_kernel: MakeKernel) -> None:
        super().__init__()
        self.mode = module.mode
        self.input_size = module.input_size
        self.hidden_size = module.hidden_size
        self.output_size = module.proj_size or module.hidden_size
        self.num_layers = module.num_layers
        self.batch_first = module.batch_first
        self.dropout = module.dropout
        self.directions = ("", "_reverse") if module.bidirectional else ("",)
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() == 2:
                self.add_module(name, make_kernel(name, weight))
            else:
                self.register_parameter(name, _copy(weight))

    def extra_repr(self) -> str:
        """Return kind and size of the module."""
        return f"{self.mode}, {self.input_size}, {self.hidden_size}, num_layers={self.num_layers}"

    def forward(
        self, x: Tensor, hx: Tensor | tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
        """Run through a sequence.

        Parameters
        ----------
        x : Tensor
            Input ``(time, batch, input_size)``, ``(batch, time, input_size)`` if ``batch_first``, or
            ``(time, input_size)``.
        hx : Tensor or pair of Tensor, optional
            Initial state ``(layers * directions, batch, size)``, for an LSTM hidden and cell state;
            zero when absent.

        Returns
        -------
        output : Tensor
            The last layer's states at all times.
        state : Tensor or pair of Tensor
            All layers' states at the end.

        Raises
        ------
        CannotCompress
            If the input is a packed sequence.
        ShapeMismatch
            If a shape differs from the above.
        """
        if isinstance(x, PackedSequence):
            raise CannotCompress(
                "A compressed or sparse recurrent module takes padded tensors, got a PackedSequence; "
                "unpack it with torch.nn.utils.rnn.pad_packed_sequence."
            )
        if x.dim() not in (2, 3) or x.shape[-1] != self.input_size:
            raise ShapeMismatch(
                f"The input must have 2 or 3 axes, the last of size {self.input_size}, got {tuple(x.shape)}."
            )
        batched = x.dim() == 3
        time_axis = 1 if batched and self.batch_first else 0
        if x.shape[time_axis] == 0:
            raise ShapeMismatch(f"The input must have at least one time step, got shape {tuple(x.shape)}.")
        x = x.movedim(time_axis, 0) if batched else x.unsqueeze(1)
        sequence = [step.t() for step in x]
        states = self._initial(hx, x, batched)
        ends = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                sequence = [functional.dropout(step, self.dropout, self.training) for step in sequence]
            outputs: list[list[Tensor]] = []
            for direction, suffix in enumerate(self.directions):
                start = states[len(self.directions) * layer + direction]
                run, end = self._run(sequence, start, f"l{layer}{suffix}", backwards=direction == 1)
                outputs.append(run)
                ends.append(end)
            sequence = outputs[0]
            if len(outputs) > 1:
                sequence = [torch.cat(step) for step in zip(*outputs, strict=True)]
        # PyTorch transposes a matrix tile by tile, which is fast, but not a stack of matrices.
        output = torch.stack([step.t().contiguous() for step in sequence], dim=time_axis)
        final = tuple(torch.stack(parts).transpose(1, 2).contiguous() for parts in zip(*ends, strict=True))
        if not batched:
            output, final = output.squeeze(1), tuple(part.squeeze(1) for part in final)
        return (output, (final[0], final[1])) if self.mode == "LSTM" else (output, final[0])

    def _initial(self, hx: Tensor | tuple[Tensor, Tensor] | None, x: Tensor, batched: bool) -> list[State]:
        """Return the state of each layer and direction before the first step, neurons first."""
        count, batch = self.num_layers * len(self.directions), x.shape[1]
        sizes = (self.output_size, self.hidden_size) if self.mode == "LSTM" else (self.output_size,)
        if hx is None:
            return [tuple(x.new_zeros(size, batch) for size in sizes)] * count
        given = hx if isinstance(hx, tuple) else (hx,)
        expected = [(count, batch, size) if batched else (count, size) for size in sizes]
        if [tuple(part.shape) for part in given] != expected:
            raise ShapeMismatch(
                f"The initial state must have shape {', '.join(map(str, expected))}, "
                f"got {', '.join(str(tuple(part.shape)) for part in given)}."
            )
        parts = [(part if batched else part.unsqueeze(1)).transpose(1, 2).contiguous() for part in given]
        return list(zip(*parts, strict=True))

    def _run(
        self, sequence: list[Tensor], state: State, name: str, *, backwards: bool
    ) -> tuple[list[Tensor], State]:
        """Return one layer's outputs in one direction, and its last state."""
        recurrent = getattr(self, f"weight_hh_{name}").repeated()
        bias = getattr(self, f"bias_hh_{name}", None) if self.mode == "GRU" else None
        outputs = []
        for drive in self._drives(sequence[::-1] if backwards else sequence, name):
            pull = recurrent(state[0])
            if bias is not None:
                pull = pull + bias.unsqueeze(1)
            if self.mode == "LSTM":
                state = _lstm(drive, pull, state[1], getattr(self, f"weight_hr_{name}", None))
            elif self.mode == "GRU":
                state = _gru(drive, pull, state[0])
            else:
                drive = drive + pull
                state = (drive.tanh_() if self.mode == "RNN_TANH" else drive.relu_(),)
            outputs.append(state[0])
        return outputs[::-1] if backwards else outputs, state

    def _drives(self, sequence: list[Tensor], name: str) -> Iterator[Tensor]:
        """Yield what the input and the biases add at each time step, ``(neurons, batch)``."""
        kernel = getattr(self, f"weight_ih_{name}")
        constant = getattr(self, f"bias_ih_{name}", None)
        if constant is not None and self.mode != "GRU":
            # A GRU's reset gate acts between its two biases; elsewhere they are one constant.
            constant = constant + getattr(self, f"bias_hh_{name}")
        batch = sequence[0].shape[1]
        steps = max(1, COLUMNS // max(1, batch))
        for start in range(0, len(sequence), steps):
            part = sequence[start : start + steps]
            drives = kernel(torch.cat(part, dim=1))
            if constant is not None:
                drives = drives + constant.unsqueeze(1)
            yield from drives.unflatten(1, (len(part), batch)).unbind(1)


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


def with_replaced_modules(model: nn.Module, make: Callable[[str, nn.Module], nn.Module]) -> nn.Module:
    """Return a copy of a model with other linear and recurrent modules.

    A subclass may compute something else than its base and is left alone.

    Parameters
    ----------
    model : nn.Module
        The model; it is not changed.
    make : callable
        From a module's path and the copied module to its replacement.

    Returns
    -------
    nn.Module

    Raises
    ------
    CannotCompress
        If there is no such module, or one has hooks, which a replacement would lose.
    """
    found = _replaceable(model)
    if not found:
        names = sorted({type(module).__name__ for module in model.modules()})
        raise CannotCompress(
            "The model holds no nn.RNN, nn.LSTM, nn.GRU or nn.Linear that could be made sparse; "
            f"it consists of {', '.join(names)}."
        )
    for path, module in found.items():
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            raise CannotCompress(
                f"{path or 'The model'} ({type(module).__name__}) has hooks, which its replacement would "
                "lose; remove them first, those of torch.nn.utils.prune with prune.remove."
            )
    model = copy.deepcopy(model)
    replacements = {module: make(path, module) for path, module in _replaceable(model).items()}
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replacements:
                parent._modules[name] = replacements[child]
    return replacements.get(model, model)


def _replaceable(model: nn.Module) -> dict[str, nn.Module]:
    kinds = (nn.Linear, nn.RNN, nn.LSTM, nn.GRU)
    return {path: module for path, module in model.named_modules() if type(module) in kinds}


def dense_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the dense model that a sparse model's state came from.

    Parameters
    ----------
    state : mapping from str to Tensor
        ``state_dict()`` of what ``compress`` or ``train_survivors`` returned, or a file of it.

    Returns
    -------
    dict of str to Tensor
        What the dense model's ``load_state_dict`` takes.

    Examples
    --------
    >>> from moduli.models import compress
    >>> model = nn.GRU(3, 8)
    >>> model.load_state_dict(dense_state(compress(model).state_dict()))
    <All keys matched successfully>
    """
    dense = {}
    for name, tensor in state.items():
        base, _, part = name.rpartition(".")
        if f"{base}.row_offsets" in state:
            if part == "row_offsets":
                dense[base] = _expand(base, state)
        else:
            dense[base if part == "dense" else name] = tensor
    return dense


def _expand(name: str, state: Mapping[str, Tensor]) -> Tensor:
    values, columns, row_offsets, size = (
        state[f"{name}.{part}"] for part in ("values", "columns", "row_offsets", "size")
    )
    rows = torch.repeat_interleave(row_offsets.diff().long())
    side = int(size[0]) // (len(row_offsets) - 1)
    dense = values.new_zeros(int(size[0]), int(size[1]))
    in_blocks(dense, side)[rows, columns.long()] = values.view(-1, side, side)
    return dense


def _copy(parameter: Tensor | None) -> nn.Parameter | None:
    return None if parameter is None else nn.Parameter(parameter.detach().clone())
