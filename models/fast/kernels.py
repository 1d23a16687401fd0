"""Kernels: products of a weight matrix with columns of states, and which of them is fastest here."""

import functools
import time
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from moduli.models.fast.kernel import Kernel
from moduli.models.fast.numbering import Order

ROUNDS = 9

# Sides of the blocks that are looked for in a weight, the best first.
BLOCK_SIDES = (64, 32, 16, 8, 4)


class DenseKernel(Kernel):
    """Multiply by every weight, zeros included.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``; a parameter is shared.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight.shape)
        # A parameter stays the same one, so that what is tied to it or frozen stays so.
        same = isinstance(weight, nn.Parameter)
        self.dense: Tensor = weight if same else nn.Parameter(weight.detach().clone())

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.dense @ states

    def repeated_for(self, targets: Order) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, whose result is in the order inside."""
        weight = targets.inside(self.dense)
        return lambda states: weight @ states

    def to_dense(self) -> Tensor:
        """Return the weight, ``(n_targets, n_sources)``."""
        return self.dense

    def to_sparse(self) -> Tensor:
        """Return the weights that are not zero as a sparse tensor, ``(n_targets, n_sources)``."""
        return self.dense.to_sparse()


class SparseKernel(Kernel):
    """Store the surviving weights row by row (compressed sparse rows), one by one or in square blocks.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``; a sparse tensor of coordinates is alive where it has any.
    mask : Tensor, optional
        True where a weight is alive; by default where it is not zero.
    side : int
        Height and width of the blocks, which must divide the weight's; all weights of a block that
        holds a living one are stored.

    Attributes
    ----------
    values : Tensor
        The surviving weights, or blocks of them ``(n, side, side)``.
    columns : Tensor
        Their source neurons, or blocks of neurons, int32.
    row_offsets : Tensor
        Where each target's weights begin and end, or each block of targets', int32.
    size : Tensor
        Shape of the weight, so that a file of these tensors describes itself.
    """

    values: Tensor
    columns: Tensor
    row_offsets: Tensor
    size: Tensor

    def __init__(self, weight: Tensor, mask: Tensor | None = None, side: int = 1) -> None:
        super().__init__(weight.shape)
        if weight.is_sparse:
            weight = weight.coalesce()
            (rows, columns), values = weight.indices(), weight.values().clone()
        else:
            alive = weight.detach() != 0 if mask is None else mask.to(weight.device, torch.bool)
            blocks, alive = in_blocks(weight.detach(), side), in_blocks(alive, side).any(-1).any(-1)
            rows, columns = alive.nonzero(as_tuple=True)
            values = blocks[rows, columns]
        self.values = nn.Parameter(values.flatten() if side == 1 else values, requires_grad=trains(weight))
        self.register_buffer("columns", columns.int())
        self.register_buffer("row_offsets", offsets_of(torch.bincount(rows, minlength=len(weight) // side)))
        self.register_buffer("size", torch.tensor(weight.shape, device=weight.device))

    def to_dense(self) -> Tensor:
        """Return the weight with its zeros, ``(n_targets, n_sources)``; differentiable."""
        return expanded(self.values, self.columns, self.row_offsets, tuple(self.shape))

    def to_sparse(self) -> Tensor:
        """Return the weight as a sparse tensor of coordinates, ``(n_targets, n_sources)``; differentiable."""
        side = self.n_targets // (len(self.row_offsets) - 1)
        within = torch.arange(side, device=self.columns.device)
        rows = torch.repeat_interleave(self.row_offsets.diff().long()).view(-1, 1, 1) * side
        columns = self.columns.long().view(-1, 1, 1) * side
        shape = (-1, side, side)
        places = (rows + within.unsqueeze(1)).expand(shape), (columns + within).expand(shape)
        return coordinates(torch.stack(places).flatten(1), self.values.flatten(), self.shape)

    def extra_repr(self) -> str:
        """Return how much of the weight is alive."""
        return f"{self.n_targets} x {self.n_sources}, {self.values.numel()} weights alive"


class GatherKernel(SparseKernel):
    """For each target, add up the rows of states that its weights read.

    This is the weighted sum of an embedding bag, whose kernels PyTorch tunes for wide rows.
    """

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return gather(states, self.values, self.columns, self.row_offsets)


class RowsKernel(SparseKernel):
    """Multiply by a sparse tensor of compressed rows, which is fastest for a single column.

    Compiled or exported graphs, which cannot build sparse tensors, hold the gathering kernel, which also
    takes the place of products that PyTorch lacks.
    """

    def __init__(self, weight: Tensor, mask: Tensor | None = None) -> None:
        super().__init__(weight, mask)
        _without_announcement(self._matrix)

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        if torch.compiler.is_compiling() or not has_sparse_products(self.values):
            return lambda states: gather(states, self.values, self.columns, self.row_offsets)
        matrix = self._matrix()

        def multiply(states: Tensor) -> Tensor:
            return matrix.mv(states[:, 0]).unsqueeze(1) if states.shape[1] == 1 else matrix @ states

        return multiply

    def _matrix(self) -> Tensor:
        return torch.sparse_csr_tensor(
            self.row_offsets,
            self.columns,
            self.values,
            (self.n_targets, self.n_sources),
            check_invariants=False,
        )


class BlocksKernel(SparseKernel):
    """Multiply by a sparse tensor of compressed rows of square blocks, where a weight consists of such.

    Compiled or exported graphs, which cannot build sparse tensors, multiply block by block, and so do
    precisions for which PyTorch has no such product.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight, side=block_side(weight))
        _without_announcement(self._matrix)

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        if torch.compiler.is_compiling() or not has_sparse_products(self.values):
            return self._block_by_block
        matrix = self._matrix()
        return lambda states: matrix @ states

    def _block_by_block(self, states: Tensor) -> Tensor:
        side = self.values.shape[1]
        products = self.values @ states.view(len(states) // side, side, states.shape[1])[self.columns]
        counts = self.row_offsets.diff()
        rows = torch.arange(len(counts), device=counts.device)
        rows = rows.repeat_interleave(counts, output_size=len(products))
        result = states.new_zeros(self.n_targets // side, side, states.shape[1])
        return result.index_add(0, rows, products).flatten(0, 1)

    def _matrix(self) -> Tensor:
        return torch.sparse_bsr_tensor(
            self.row_offsets,
            self.columns,
            self.values,
            (self.n_targets, self.n_sources),
            check_invariants=False,
        )


def coordinates(places: Tensor, values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return a sparse tensor of coordinates ``(2, n)``, each of which is given once."""
    return torch.sparse_coo_tensor(places, values, tuple(shape), check_invariants=False).coalesce()


def trains(weight: Tensor) -> bool:
    """Tell whether what takes the place of a weight is trained: unless it is a frozen parameter."""
    return weight.requires_grad or not isinstance(weight, nn.Parameter)


def in_blocks(matrix: Tensor, side: int) -> Tensor:
    """Return a view of a matrix as blocks, ``(rows / side, columns / side, side, side)``."""
    rows, columns = matrix.shape
    return matrix.view(rows // side, side, columns // side, side).transpose(1, 2)


def block_side(weight: Tensor) -> int:
    """Return the side of the largest blocks that are zero or not as a whole; 1 if there are none.

    A tenth of the weights in living blocks may happen to be zero.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.

    Returns
    -------
    int

    Examples
    --------
    >>> block_side(torch.block_diag(torch.ones(16, 16), torch.ones(16, 16)))
    16
    """
    alive = weight.detach() != 0
    for side in BLOCK_SIDES:
        if weight.shape[0] % side == weight.shape[1] % side == 0:
            stored = side**2 * int(in_blocks(alive, side).any(-1).any(-1).sum())
            if stored <= 1.1 * int(alive.sum()):
                return side
    return 1


def gather(states: Tensor, values: Tensor, columns: Tensor, row_offsets: Tensor) -> Tensor:
    """Return the product of a sparse matrix in compressed rows with states.

    Parameters
    ----------
    states : Tensor
        States ``(n_sources, batch)``.
    values, columns, row_offsets : Tensor
        The matrix, see ``SparseKernel``.

    Returns
    -------
    Tensor
        ``(n_targets, batch)``.
    """
    return functional.embedding_bag(
        columns, states, row_offsets, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def fastest_kernel(weight: Tensor, batch: int, *others: Kernel) -> Kernel:
    """Return the kernel that takes the least time here, for states of so many columns.

    A weight that is more than half alive stays dense: its indices alone outweigh what it saves.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.
    batch : int
        Number of columns.
    *others : Kernel
        Further kernels of this weight that take part.

    Returns
    -------
    Kernel
    """
    dense = DenseKernel(weight)
    if 2 * int(weight.count_nonzero()) > weight.numel():
        return dense
    kinds: list[type[SparseKernel]] = [GatherKernel]
    on_cpu = weight.device.type == "cpu"
    if has_sparse_products(weight):
        kinds.append(RowsKernel)
        by_mkl = on_cpu and torch.backends.mkl.is_available()  # type: ignore[no-untyped-call]
        if by_mkl and block_side(weight) > 1:
            kinds.append(BlocksKernel)
    kernels = [dense, *others, *(kind(weight) for kind in kinds)]
    return fastest_of(kernels, weight, batch)


def fastest_of(kernels: Sequence[Kernel], like: Tensor, batch: int) -> Kernel:
    """Return the kernel that takes the least time for states of so many columns, of a tensor's kind."""
    states = noise((kernels[0].n_sources, batch), like)
    with torch.no_grad():
        seconds = timings([_trial(kernel, states) for kernel in kernels], like.device)
    costs = [min(times) for times in seconds]
    return kernels[costs.index(min(costs))]


def _trial(kernel: Kernel, states: Tensor) -> Callable[[], Tensor]:
    """Return what a kernel does at each time step."""
    if kernel.numbering is None:
        return functools.partial(kernel, states)
    return functools.partial(kernel.repeated_inside(), kernel.numbering.neurons.inside(states))


def timings(
    calls: Sequence[Callable[[], object]], device: torch.device, rounds: int = ROUNDS
) -> list[list[float]]:
    """Return how long each call took, every time, taken in turns so that other load strikes all alike.

    Other work on the machine only ever adds to a time, so that the smallest says best what a call costs.

    Parameters
    ----------
    calls : sequence of callable
        What to time; each is called once beforehand.
    device : torch.device
        Where the work is done; its queue is emptied before the clock is read.
    rounds : int
        How often each call is timed.

    Returns
    -------
    list of list of float
        Seconds, for each call.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for attempt in range(rounds + 1):
        for call, times in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call()
            if device.type != "cpu":
                torch.accelerator.synchronize(device)
            if attempt:
                times.append(time.perf_counter() - start)
    return seconds


def noise(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return random numbers in [0, 1) of a tensor's dtype and device, the same at every call."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(like)


def _without_announcement(make: Callable[[], Tensor]) -> None:
    """Make a sparse tensor, of which PyTorch says once per process that its kind is in beta state."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse (CSR|BSR) tensor support is in beta state")
        make()


def expanded(values: Tensor, columns: Tensor, row_offsets: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return a matrix of compressed rows of weights or blocks with its zeros, see ``SparseKernel``."""
    rows = torch.repeat_interleave(row_offsets.diff().long())
    side = shape[0] // (len(row_offsets) - 1)
    dense = values.new_zeros(shape)
    in_blocks(dense, side)[rows, columns.long()] = values.view(-1, side, side)
    return dense


def has_sparse_products(states: Tensor) -> bool:
    """Tell whether PyTorch multiplies sparse tensors in this precision, on this device."""
    return states.dtype in (torch.float32, torch.float64) or not states.is_cpu


def offsets_of(counts: Tensor) -> Tensor:
    """Return where each of some runs begins and where it ends, from their lengths, int32."""
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int()
