"""The graph of a sparse network: its statistics, and how much two masks share."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.analysis.undirected import undirected_statistics
from moduli.models.arguments import require_truths
from moduli.models.matrices import stacked
from moduli.regularizers import ShapeMismatch


@dataclass(frozen=True)
class GraphStatistics:
    """What the graph of a recurrent mask looks like.

    Parameters
    ----------
    neurons, connections : int
        Nodes and edges, self-connections included.
    largest_in_degree, largest_out_degree : int
        Most weights that arrive at, and leave, one neuron.
    isolated : int
        Neurons without any connection to another.
    reciprocity : float
        Fraction of connections between two neurons whose reverse exists as well.
    clustering : float
        Mean clustering coefficient, directions ignored.
    weak_components, strong_components : int
        Components with directions ignored, and followed.
    transitivity : float
        Fraction of connected triples of neurons that are triangles, directions ignored.
    triangles, four_cycles : int
        Cycles of three and of four neurons, directions ignored: ``tr(A³) / 6``, and
        ``(tr(A⁴) - 4 Σ d(d-1)/2 - 2 m) / 8`` with the degrees d and m edges (Harary and Manvel, "On the
        number of cycles in a graph", 1971).
    degree_deviation : float
        Standard deviation of the neurons' degrees, directions ignored.
    two_step_reach : float
        Mean number of neurons that one reaches in at most two steps, directions ignored, itself included.
    mean_path : float or None
        Mean number of steps between two neurons that are connected at all, directions ignored; None where
        no two are.
    spectral_gap : float
        One minus the second largest eigenvalue of a random walk, directions ignored; 0 where the graph falls
        apart. A walk forgets where it began the sooner, the larger the gap (Chung, "Spectral Graph
        Theory", 1997, chapter 1). A neuron without connections stays where it is.
    small_worldness : float or None
        ``(C / C_r) / (L / L_r)`` in the largest weak component: clustering C and mean path length L,
        directions ignored, over those of a random graph of the same size, ``C_r = k / n`` and
        ``L_r = ln n / ln k`` with mean degree k (Humphries and Gurney, "Network
        'small-world-ness'", PLoS ONE 2008). Above 1 is small-world; None where k is at most 1 or
        no path is longer than an edge.
    wiring : float or None
        Mean geodesic distance that a connection bridges, in the manifold's units; None without one.
    wiring_by_chance : float or None
        Mean geodesic distance between any two neurons: what random connections would bridge.
    """

    neurons: int
    connections: int
    largest_in_degree: int
    largest_out_degree: int
    isolated: int
    reciprocity: float
    clustering: float
    weak_components: int
    strong_components: int
    transitivity: float
    triangles: int
    four_cycles: int
    degree_deviation: float
    two_step_reach: float
    mean_path: float | None
    spectral_gap: float
    small_worldness: float | None
    wiring: float | None
    wiring_by_chance: float | None


@dataclass(frozen=True)
class Overlap:
    """How many weights two masks share, and how many they would share by chance.

    Parameters
    ----------
    shared : int
        Weights alive in both.
    expected : float
        Mean number shared by random masks of the same sizes.
    deviation : float
        Standard deviation of that number (hypergeometric distribution).
    """

    shared: int
    expected: float
    deviation: float

    @property
    def z(self) -> float:
        """Deviations by which ``shared`` exceeds what is expected; 0 where nothing can vary."""
        return (self.shared - self.expected) / self.deviation if self.deviation else 0.0


def mask_graph(mask: Tensor) -> Any:
    """Return a recurrent mask as a directed graph, with an edge from sender to receiver.

    Parameters
    ----------
    mask : Tensor
        Booleans ``(n, n)``, indexed ``[target, source]``; of a weight, pass ``weight != 0``.

    Returns
    -------
    networkx.DiGraph
        On nodes ``0 … n - 1``.

    Raises
    ------
    ShapeMismatch
        If the mask is not square.
    InvalidParameter
        If it holds numbers other than 0 and 1.

    Examples
    --------
    >>> mask_graph(torch.tensor([[False, True], [False, False]])).edges
    OutEdgeView([(1, 0)])
    """
    alive = _square(mask)
    import networkx  # a quarter of a second that a training never needs

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(alive)))
    graph.add_edges_from((source, target) for target, source in alive.nonzero().tolist())
    return graph


def connections_of(mask: Tensor) -> Tensor:
    """Return which neurons are connected, given the mask of a recurrent matrix.

    A matrix of a GRU or an LSTM has a block of rows for each gate; two neurons are connected there if a
    weight of any gate connects them.

    Parameters
    ----------
    mask : Tensor
        Booleans ``(gates * n, n)``.

    Returns
    -------
    Tensor
        Booleans ``(n, n)``.

    Examples
    --------
    >>> connections_of(torch.tensor([[True, False], [False, False], [False, True], [False, False]]))
    tensor([[ True,  True],
            [False, False]])
    """
    return mask.reshape(-1, mask.shape[1], mask.shape[1]).any(dim=0)


def graph_statistics(
    mask: Tensor, manifold: Manifold | None = None, embedding: Tensor | None = None
) -> GraphStatistics:
    """Return the statistics of a recurrent mask's graph.

    Parameters
    ----------
    mask : Tensor
        Booleans ``(n, n)``, indexed ``[target, source]``.
    manifold : Manifold, optional
        With ``embedding``, where the neurons are.
    embedding : Tensor, optional
        Points ``(n, *point_shape)``.

    Returns
    -------
    GraphStatistics

    Raises
    ------
    ShapeMismatch
        If the mask is not square, or the embedding places another number of neurons.
    InvalidParameter
        If the mask holds numbers other than 0 and 1, or one of manifold and embedding is missing.
    """
    if (manifold is None) != (embedding is None):
        raise InvalidParameter(
            "The wiring of a mask takes a manifold and an embedding; give both, or leave both out."
        )
    alive = _square(mask)
    between = alive & ~torch.eye(len(alive), dtype=torch.bool)
    connections = int(between.sum())
    adjacency = (between | between.T).double()
    edges = csr_array(between.numpy())
    wiring = by_chance = None
    if manifold is not None and embedding is not None:
        wiring, by_chance = wiring_length(mask, manifold, embedding)
    return GraphStatistics(
        neurons=len(alive),
        connections=int(alive.sum()),
        largest_in_degree=int(alive.sum(dim=1).max()) if len(alive) else 0,
        largest_out_degree=int(alive.sum(dim=0).max()) if len(alive) else 0,
        isolated=int((adjacency.sum(dim=1) == 0).sum()),
        reciprocity=int((between & between.T).sum()) / connections if connections else 0.0,
        weak_components=connected_components(edges, connection="weak", return_labels=False)
        if len(alive)
        else 0,
        strong_components=connected_components(edges, connection="strong", return_labels=False)
        if len(alive)
        else 0,
        **undirected_statistics(adjacency),
        wiring=wiring,
        wiring_by_chance=by_chance,
    )


def wiring_length(mask: Tensor, manifold: Manifold, embedding: Tensor) -> tuple[float | None, float | None]:
    """Return the mean distance that a recurrent mask's connections bridge, and that by chance.

    Connections of a neuron to itself, which bridge nothing, are not counted.

    Parameters
    ----------
    mask : Tensor
        Booleans ``(gates * n, n)``; an LSTM stacks four gates, a GRU three.
    manifold : Manifold
        Where the neurons are.
    embedding : Tensor
        Points ``(n, *point_shape)``.

    Returns
    -------
    wiring : float or None
        Mean geodesic distance over connections between two neurons; None where there is none.
    by_chance : float or None
        Mean geodesic distance over all pairs of neurons; None for fewer than two neurons.

    Raises
    ------
    ShapeMismatch
        If the embedding places another number of neurons than the mask has, or the mask is not a
        whole number of gates.
    InvalidParameter
        If the mask holds numbers other than 0 and 1.
    """
    require_tensor(mask, "The mask", ShapeMismatch, with_values=True)
    require_truths(mask, "The mask")
    require_tensor(embedding, "The embedding", ShapeMismatch, with_values=True)
    if mask.dim() != 2 or embedding.dim() == 0:
        raise ShapeMismatch(
            f"A mask (gates * n, n) and points (n, ...) are needed, got the shapes {tuple(mask.shape)} and "
            f"{tuple(embedding.shape)}."
        )
    neurons = mask.shape[1]
    if len(embedding) != neurons:
        raise ShapeMismatch(f"The mask has {neurons} neurons, the embedding places {len(embedding)}.")
    if neurons and len(mask) % neurons:
        raise ShapeMismatch(f"A mask of shape {tuple(mask.shape)} is not a whole number of gates.")
    if neurons < 2:
        return None, None
    distance = manifold.pairwise(embedding.detach())
    others = ~torch.eye(neurons, dtype=torch.bool, device=distance.device)
    alive = mask.to(distance.device, torch.bool) & stacked(others, mask)
    wiring = float(stacked(distance, mask)[alive].mean()) if alive.any() else None
    return wiring, float(distance[others].mean())


def mask_overlap(first: Tensor, second: Tensor) -> Overlap:
    """Return how many weights two masks share, against chance.

    Parameters
    ----------
    first, second : Tensor
        Booleans of one shape, such as the masks of two networks, or of a network and of its geometry.

    Returns
    -------
    Overlap

    Raises
    ------
    ShapeMismatch
        If the shapes differ.
    InvalidParameter
        If a mask holds numbers other than 0 and 1.

    Examples
    --------
    >>> mask_overlap(torch.eye(4) > 0, torch.eye(4) > 0).z > 3
    True
    """
    for mask in (first, second):
        require_tensor(mask, "Each mask", ShapeMismatch, with_values=True)
        require_truths(mask, "Each mask")
    if first.shape != second.shape:
        raise ShapeMismatch(
            f"Masks that overlap have one shape, got {tuple(first.shape)} and {tuple(second.shape)}."
        )
    size, own, other = first.numel(), int(first.count_nonzero()), int(second.count_nonzero())
    expected = own * other / size if size else 0.0
    variance = expected * (size - own) * (size - other) / (size * (size - 1)) if size > 1 else 0.0
    return Overlap(int((first.bool() & second.bool()).sum()), expected, math.sqrt(variance))


def _square(mask: Tensor) -> Tensor:
    """Return a recurrent mask as booleans on the CPU, or raise unless it is square."""
    require_tensor(mask, "The mask", ShapeMismatch, with_values=True)
    if mask.dim() != 2 or mask.shape[0] != mask.shape[1]:
        raise ShapeMismatch(f"The graph of a network needs a square mask, got shape {tuple(mask.shape)}.")
    require_truths(mask, "The mask")
    return mask.detach().bool().cpu()


def spectral_radius(weight: Tensor) -> float:
    """Return the largest magnitude of a recurrent weight's eigenvalues.

    Parameters
    ----------
    weight : Tensor
        Of shape ``(n, n)``.

    Raises
    ------
    ShapeMismatch
        If the weight is not square.

    Examples
    --------
    >>> round(spectral_radius(torch.tensor([[0.0, 2.0], [-2.0, 0.0]])), 9)
    2.0
    """
    require_tensor(weight, "The weight", ShapeMismatch, with_values=True)
    if weight.dim() != 2 or weight.shape[0] != weight.shape[1]:
        raise ShapeMismatch(f"A square weight has a spectral radius, got shape {tuple(weight.shape)}.")
    values: Tensor = torch.linalg.eigvals(weight.detach().cpu().double())
    return float(values.abs().max()) if len(values) else 0.0
