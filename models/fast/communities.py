"""Communities of a mask: groups of neurons whose weights are dense blocks of the matrix.

Targets and sources of a matrix are the two sides of a bipartite graph whose edges are the living weights. Its
connected components are the blocks, if no weight is astray; otherwise targets that read the same sources are
gathered.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy
from numpy.typing import NDArray
from scipy.sparse import block_array, csr_array
from scipy.sparse.csgraph import connected_components

Numbers = NDArray[numpy.int64]

WIDTH = 16
"""How many sources a block has on average, at least: products of smaller blocks gain nothing."""

FILLING = 0.4
"""Smallest share of the weights in blocks that are alive: a batched product costs a third a weight."""

ASTRAY = 0.5
"""Largest share of the living weights that are outside of blocks."""


class Community(NamedTuple):
    """The targets and sources between which a block of weights leads."""

    targets: Numbers
    sources: Numbers


def communities_of(mask: csr_array, gates: int | None = None) -> list[Community] | None:
    """Return the communities of which a mask consists but for a few weights, or None if it does not.

    Each target and each source is in exactly one community; one that no weight touches is alone.

    Parameters
    ----------
    mask : csr_array
        Living weights ``(n_targets, n_sources)``, without stored zeros.
    gates : int, optional
        How many times the rows repeat the sources, for a recurrent weight. The communities are then
        of neurons, if possible: a neuron is target and source of the same one.

    Returns
    -------
    list of Community, or None

    Examples
    --------
    >>> within = numpy.kron(numpy.eye(4), numpy.ones((16, 16)))
    >>> [len(community.targets) for community in communities_of(csr_array(within))]
    [16, 16, 16, 16]
    """
    if mask.nnz == 0:
        return None
    for targets, sources in _labels(mask, gates):
        if _pays(mask, targets, sources):
            return _listed(targets, sources)
    return None


def _labels(mask: csr_array, gates: int | None) -> Iterator[tuple[Numbers, Numbers]]:
    """Yield the numbers of the communities of targets and sources, the most useful choice first."""
    n_targets, n_sources = mask.shape
    if gates is not None:
        # A neuron is one node, so that what enters it and what leaves it are in one community.
        neurons = csr_array(sum(mask[gate * n_sources : (gate + 1) * n_sources] for gate in range(gates)))
        for labels in (connected_components(neurons, directed=False)[1], _gathered(neurons)):
            if labels is not None:
                yield numpy.tile(labels, gates), labels
    both = connected_components(block_array([[None, mask], [mask.T, None]], format="csr"), directed=False)[1]
    yield both[:n_targets], both[n_targets:]
    labels = _gathered(mask)
    if labels is not None:
        yield labels, _majority(mask, labels)


def _pays(mask: csr_array, targets: Numbers, sources: Numbers) -> bool:
    """Tell whether products of blocks are likely to be faster than those of single weights."""
    heights, widths = _counted(targets, sources)
    blocks = (heights > 0) & (widths > 0)
    area = int((heights * widths).sum())
    rows, columns = mask.nonzero()
    within = int((targets[rows] == sources[columns]).sum())
    mean_width = area / max(1, int(heights[blocks].sum()))
    return (
        int(blocks.sum()) > 1
        and mean_width >= WIDTH
        and within >= FILLING * area
        and within >= (1 - ASTRAY) * mask.nnz
    )


def _counted(targets: Numbers, sources: Numbers) -> tuple[Numbers, Numbers]:
    count = 1 + max(int(targets.max()), int(sources.max()))
    return numpy.bincount(targets, minlength=count), numpy.bincount(sources, minlength=count)


def _listed(targets: Numbers, sources: Numbers) -> list[Community]:
    heights, widths = _counted(targets, sources)
    parts = (
        numpy.split(numpy.argsort(labels, kind="stable"), numpy.cumsum(sizes)[:-1])
        for labels, sizes in ((targets, heights), (sources, widths))
    )
    return [Community(*both) for both in zip(*parts, strict=True) if len(both[0]) or len(both[1])]


def _gathered(mask: csr_array) -> Numbers | None:
    """Return a community for each target, those that share most of their sources; None if few share any.

    Targets of few sources come first: these are the least likely to have any of another community.
    """
    by_source = mask.tocsc()
    labels = numpy.full(mask.shape[0], -1, dtype=numpy.int64)
    lonely, count = 0, 0
    for target in numpy.argsort(numpy.diff(mask.indptr), kind="stable"):
        sources = mask.indices[mask.indptr[target] : mask.indptr[target + 1]]
        if labels[target] >= 0:
            continue
        shared = numpy.bincount(by_source[:, sources].indices, minlength=len(labels))
        members = (labels < 0) & (2 * shared > len(sources))
        members[target] = True
        labels[members] = count
        count += 1
        lonely += len(sources) > 0 and members.sum() < WIDTH // 2
        if lonely > 16 + len(labels) // 64:
            return None
    return labels


def _majority(mask: csr_array, targets: Numbers) -> Numbers:
    """Return for each source the community in which most of its weights end; one of its own without any."""
    count, n_sources = int(targets.max()) + 1, mask.shape[1]
    rows, columns = mask.nonzero()
    votes = csr_array((numpy.ones(len(rows)), (columns, targets[rows])), shape=(n_sources, count))
    labels = numpy.asarray(votes.argmax(axis=1)).ravel().astype(numpy.int64)
    unused = numpy.bincount(columns, minlength=n_sources) == 0
    labels[unused] = count + numpy.arange(int(unused.sum()))
    return labels
