"""Batched dense products, for weights that are dense blocks once neurons are numbered by community."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from moduli.models.fast.communities import Community, communities_of
from moduli.models.fast.kernel import Kernel, coordinates, trains
from moduli.models.fast.kernels import SparseKernel
from moduli.models.fast.numbering import Numbering, Order

FILLED = 0.8
"""A block is padded to a larger block's size if each of its sides is at least this share of it."""

FEW = 16
"""Up to so many blocks are multiplied with single columns one by one."""

# The compiler of PyTorch 2.6 knows types of nested functions by name only.
Products = list[Tensor]
"""What blocks of each size give, ``(blocks, height, batch)``."""


class Group(NamedTuple):
    """How many blocks of one size there are, and that size."""

    blocks: int
    height: int
    width: int


class BlockDiagonalKernel(Kernel):
    """Multiply dense blocks, those of one size in one batched product, and a few stray weights beside them.

    Inside, targets and sources are numbered block by block, and blocks of nearly one size are filled up with
    zeros. These are not trained: no neuron is there to send anything, or to pass a gradient on.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weight.
    communities : sequence of Community
        The targets and sources of each block; every target and every source is in one of them.
    gates : int
        How many gates the targets of each block stack, each of which is filled up.

    Attributes
    ----------
    values : Tensor
        The weights of all blocks, one block after the other, row by row; zero at first.
    targets, sources : Tensor
        The numbers outside of each block's targets and sources, int64; where it is filled up, the first
        number that is none.
    heights, widths : Tensor
        Size of each block, int64.
    dead : Tensor
        Which of the values stay zero, since a mask cuts them, int64.
    size : Tensor
        Shape of the weight, so that a file of these tensors describes itself.
    rest : SparseKernel or None
        The stray weights, numbered as inside.
    """

    targets: Tensor
    sources: Tensor
    heights: Tensor
    widths: Tensor
    dead: Tensor
    size: Tensor
    rest: SparseKernel | None
    target_places: Tensor
    source_places: Tensor
    _groups: list[Group]
    _recurrent: bool

    def __init__(self, shape: Sequence[int], communities: Sequence[Community], gates: int = 1) -> None:
        super().__init__(shape)
        blocks = sorted(communities, key=lambda block: (-len(block.sources), -len(block.targets)))
        targets, sources, sizes = [], [], []
        height = width = 0
        for block in blocks:
            filled = FILLED * width <= len(block.sources) <= width
            if not (filled and FILLED * height <= len(block.targets) // gates <= height):
                height, width = len(block.targets) // gates, len(block.sources)
            targets += [_filled(gate, height, shape[0]) for gate in numpy.split(block.targets, gates)]
            sources.append(_filled(block.sources, width, shape[1]))
            sizes.append((gates * height, width))
        heights, widths = map(torch.tensor, zip(*sizes, strict=True))
        self.values = nn.Parameter(torch.zeros(int((heights * widths).sum())))
        self.rest = None
        for name, tensor in {
            "targets": torch.from_numpy(numpy.concatenate(targets)),
            "sources": torch.from_numpy(numpy.concatenate(sources)),
            "heights": heights,
            "widths": widths,
            "dead": torch.empty(0, dtype=torch.int64),
            "size": torch.tensor(shape),
        }.items():
            self.register_buffer(name, tensor)
        _find_places(self)
        self.register_load_state_dict_post_hook(_find_places)  # type: ignore[no-untyped-call]

    def forward(self, states: Tensor) -> Tensor:
        """Return the weight times the states, ``(n_sources, batch) -> (n_targets, batch)``."""
        return self.repeated()(states)

    def repeated(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps, between which the weight stays the same."""
        sources, targets = Order(self.sources, self.source_places), Order(self.targets, self.target_places)
        multiply = self._repeated_by_blocks()
        return lambda states: targets.outside(_joined(multiply(sources.inside(states)), 1))

    def repeated_inside(self) -> Callable[[Tensor], Tensor]:
        """Return the product for states of many time steps in the order inside, for a numbered weight."""
        multiply, gates = self._repeated_by_blocks(), self.n_targets // self.n_sources
        return lambda states: _joined(multiply(states), gates)

    @property
    def numbering(self) -> Numbering | None:
        """How the neurons of a recurrent weight are numbered inside; None if targets are other neurons."""
        if not self._recurrent:
            return None
        shifts = range(0, self.n_targets, self.n_sources)
        rows = [_shifted(self.sources, shift, self) for shift in shifts]
        places = [self.source_places + gate * len(self.sources) for gate in range(len(rows))]
        gates = Order(torch.cat(rows), torch.cat(places))
        return Numbering(Order(self.sources, self.source_places), gates)

    def _repeated_by_blocks(self) -> Callable[[Tensor], Products]:
        """Return the product inside."""
        values: Tensor = self.values
        groups = self._groups
        if len(self.dead) and torch.is_grad_enabled() and values.requires_grad:
            values = values.index_fill(0, self.dead, 0.0)
        stacks = [
            part.view(group)
            for group, part in zip(
                groups, torch.split(values, [c * h * w for c, h, w in groups]), strict=True
            )
        ]
        rest = None if self.rest is None else self.rest.repeated()

        def multiply(states: Tensor) -> Products:
            batch = states.shape[1]
            parts = torch.split(states, [count * width for count, _, width in groups])
            read = [part.view(c, w, batch) for (c, _, w), part in zip(groups, parts, strict=True)]
            if rest is None:
                product = _of_vectors if batch == 1 and not torch.is_grad_enabled() else torch.bmm
                return [product(*pair) for pair in zip(stacks, read, strict=True)]
            strays = torch.split(rest(states), [count * height for count, height, _ in groups])
            return [
                torch.baddbmm(stray.view(count, height, batch), *pair)
                for (count, height, _), stray, *pair in zip(groups, strays, stacks, read, strict=True)
            ]

        return multiply

    def ends(self) -> list[tuple[Tensor, Tensor]]:
        """Return the numbers of targets and sources, each ``(blocks, side)``, for each size of blocks."""
        return _by_block(self.targets, self.sources, self._groups)

    def to_sparse(self) -> Tensor:
        """Return the weight as a sparse tensor of coordinates, ``(n_targets, n_sources)``; differentiable."""
        pairs = [
            torch.stack([targets.unsqueeze(2).expand(group), sources.unsqueeze(1).expand(group)]).flatten(1)
            for group, (targets, sources) in zip(self._groups, self.ends(), strict=True)
        ]
        places = torch.cat(pairs, dim=1)
        alive = (places < self.size.unsqueeze(1)).all(dim=0)
        alive[self.dead] = False
        places, values = places[:, alive], self.values[alive]
        if self.rest is not None:
            rest = self.rest.to_sparse()
            rows, columns = rest.indices()
            places = torch.cat([places, torch.stack([self.targets[rows], self.sources[columns]])], dim=1)
            values = torch.cat([values, rest.values()])
        return coordinates(places, values, self.shape)

    @torch.no_grad()
    def draw(self, bound: float) -> None:
        """Draw all weights anew, uniformly, with the variance of sums of a dense weight.

        No mask may cut weights within blocks.

        Parameters
        ----------
        bound : float
            Largest size of the weights, if the weight were dense.
        """
        rest, strays = self.rest, torch.zeros_like(self.targets)
        if rest is not None:
            strays = rest.row_offsets.diff().long()
        counts = [count * height for count, height, _ in self._groups]
        parts = torch.split(self.values, [c * h * w for c, h, w in self._groups])
        scales = []
        for (targets, sources), part, stray in zip(
            self.ends(), parts, torch.split(strays, counts), strict=True
        ):
            there = (targets < self.n_targets).unsqueeze(2) & (sources < self.n_sources).unsqueeze(1)
            inputs = (sources < self.n_sources).sum(dim=1).view(-1, 1, 1) + stray.view(*targets.shape, 1)
            scale = (self.n_sources / inputs).sqrt()
            part.view(there.shape).uniform_(-bound, bound).mul_(there).mul_(scale)
            scales.append(scale.flatten())
        if rest is not None:
            scale = torch.cat(scales).repeat_interleave(strays, output_size=len(rest.values))
            rest.values.uniform_(-bound, bound).mul_(scale)

    def to_dense(self) -> Tensor:
        """Return the weight with its zeros, ``(n_targets, n_sources)``; differentiable."""
        rest = self.rest
        strays = None if rest is None else (rest.values, rest.columns, rest.row_offsets)
        return spread(self.values, self.targets, self.sources, self.heights, self.widths, self.size, strays)

    def extra_repr(self) -> str:
        """Return the size of the weight and of its blocks."""
        blocks = ", ".join(f"{count} of {height} x {width}" for count, height, width in self._groups)
        return f"{self.n_targets} x {self.n_sources}, blocks: {blocks}"


def block_diagonal(
    weight: Tensor, mask: Tensor, gates: int | None, make_rest: Callable[[Tensor], SparseKernel]
) -> BlockDiagonalKernel | None:
    """Return the kernel of a weight that consists of dense blocks, but for a few weights.

    Parameters
    ----------
    weight : Tensor
        The weight ``(n_targets, n_sources)``.
    mask : Tensor
        True where a weight is alive.
    gates : int or None
        How many times the rows repeat the sources, for a recurrent weight.
    make_rest : callable
        From the stray weights, as a sparse tensor, to their kernel.

    Returns
    -------
    BlockDiagonalKernel or None
        None if the mask has no such blocks.
    """
    graph = csr_array(mask.detach().cpu().bool().numpy())
    communities = communities_of(graph, gates)
    if communities is None:
        return None
    if gates is None or any(len(targets) != gates * len(sources) for targets, sources in communities):
        gates = 1
    kernel = BlockDiagonalKernel(weight.shape, communities, gates).to(weight)
    dense, alive = (
        functional.pad(each, (0, 1, 0, 1)) for each in (weight.detach(), mask.to(weight.device).bool())
    )
    places = [(targets.unsqueeze(2), sources.unsqueeze(1)) for targets, sources in kernel.ends()]
    living = torch.cat([alive[place].flatten() for place in places])
    values = torch.cat([dense[place].flatten() for place in places])
    kernel.values = nn.Parameter(values * living, requires_grad=trains(weight))
    for place in places:
        alive[place] = False
    real = torch.cat([((t < weight.shape[0]) & (s < weight.shape[1])).flatten() for t, s in places])
    kernel.dead = (real & ~living).nonzero().flatten()
    rows, columns = alive.nonzero(as_tuple=True)
    if len(rows):
        inside = torch.stack([kernel.target_places[rows], kernel.source_places[columns]])
        shape = (len(kernel.targets), len(kernel.sources))
        strays = torch.sparse_coo_tensor(inside, dense[rows, columns], shape, check_invariants=False)
        kernel.rest = make_rest(strays).requires_grad_(trains(weight))
    return kernel


def spread(
    values: Tensor,
    targets: Tensor,
    sources: Tensor,
    heights: Tensor,
    widths: Tensor,
    size: Tensor,
    strays: tuple[Tensor, Tensor, Tensor] | None,
) -> Tensor:
    """Return the matrix of a `BlockDiagonalKernel` with its zeros.

    Parameters
    ----------
    values, targets, sources, heights, widths, size : Tensor
        The kernel's.
    strays : tuple of Tensor or None
        Values, columns and row offsets of the stray weights.

    Returns
    -------
    Tensor
        ``(n_targets, n_sources)``.
    """
    groups = _groups_of(heights, widths)
    dense = values.new_zeros([int(length) + 1 for length in size])
    parts = torch.split(values, [count * height * width for count, height, width in groups])
    for group, part, ends in zip(groups, parts, _by_block(targets, sources, groups), strict=True):
        dense[ends[0].unsqueeze(2), ends[1].unsqueeze(1)] = part.view(group)
    if strays is not None:
        weights, columns, row_offsets = strays
        rows = torch.repeat_interleave(row_offsets.diff().long())
        dense[targets[rows], sources[columns.long()]] = weights
    return dense[:-1, :-1].contiguous()


def _of_vectors(blocks: Tensor, vectors: Tensor) -> Tensor:
    """Return the products of blocks and single columns, ``(blocks, height, 1)``.

    A batched product of columns takes up to eight times what one by one take, if these are few, and four
    times what the batched product of rows takes (PyTorch 2.13, one thread, 10 blocks of 410, 50 of 82).
    """
    if len(blocks) <= FEW:
        return torch.stack([block @ vector for block, vector in zip(blocks, vectors, strict=True)])
    return torch.bmm(vectors.transpose(1, 2), blocks.transpose(1, 2)).transpose(1, 2)


def _by_block(targets: Tensor, sources: Tensor, groups: Sequence[Group]) -> list[tuple[Tensor, Tensor]]:
    """Return the numbers of the targets and of the sources, ``(blocks, side)`` for each size of blocks."""
    return [
        (rows.view(count, height), columns.view(count, width))
        for (count, height, width), rows, columns in zip(
            groups,
            torch.split(targets, [count * height for count, height, _ in groups]),
            torch.split(sources, [count * width for count, _, width in groups]),
            strict=True,
        )
    ]


def _groups_of(heights: Tensor, widths: Tensor) -> list[Group]:
    sizes = zip(heights.tolist(), widths.tolist(), strict=True)
    return [Group(len(list(same)), *size) for size, same in itertools.groupby(sizes)]


def _find_places(kernel: BlockDiagonalKernel, _: Any = None) -> None:
    """Keep where inside each target and source is, and whether targets and sources are the same neurons."""
    kernel._groups = _groups_of(kernel.heights, kernel.widths)
    for name, numbers, count in (
        ("target_places", kernel.targets, kernel.n_targets),
        ("source_places", kernel.sources, kernel.n_sources),
    ):
        inside = torch.arange(len(numbers), device=numbers.device)
        places = numbers.new_empty(count + 1).index_copy_(0, numbers, inside)
        kernel.register_buffer(name, places[:-1], persistent=False)
    gates = kernel.n_targets // kernel.n_sources
    kernel._recurrent = kernel.n_targets == gates * kernel.n_sources and all(
        height == gates * width
        and torch.equal(
            rows.view(count, gates, width),
            torch.stack([_shifted(columns, gate * kernel.n_sources, kernel) for gate in range(gates)], dim=1),
        )
        for (count, height, width), (rows, columns) in zip(kernel._groups, kernel.ends(), strict=True)
    )


def _shifted(sources: Tensor, shift: int, kernel: BlockDiagonalKernel) -> Tensor:
    """Return the rows of a gate that belong to some sources; what fills blocks up stays none."""
    return torch.where(sources < kernel.n_sources, sources + shift, kernel.n_targets)


def _filled(numbers: numpy.ndarray, length: int, none: int) -> numpy.ndarray:
    return numpy.pad(numbers.astype(numpy.int64), (0, length - len(numbers)), constant_values=none)


def _joined(parts: Sequence[Tensor], gates: int) -> Tensor:
    """Return products by block, ``(blocks, gates * n, batch)``, as rows gate by gate."""
    batch = parts[0].shape[2]
    if gates > 1:
        parts = [
            part.view(len(part), gates, part.shape[1] // gates, batch).transpose(0, 1).flatten(1, 2)
            for part in parts
        ]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)).flatten(0, 1)
    parts = [part.flatten(0, 1) for part in parts]
    return parts[0] if len(parts) == 1 else torch.cat(parts)
