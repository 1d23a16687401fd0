"""Which kernel is the fastest here, by trial."""

import functools
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from moduli.models.fast.compressed_rows import block_side, has_sparse_products
from moduli.models.fast.kernel import Kernel
from moduli.models.fast.kernels import BlocksKernel, DenseKernel, GatherKernel, RowsKernel, SparseKernel

ROUNDS = 9


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
        seconds = timings([_step(kernel, states) for kernel in kernels], like.device)
    costs = [min(times) for times in seconds]
    return kernels[costs.index(min(costs))]


def _step(kernel: Kernel, states: Tensor) -> Callable[[], Tensor]:
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
