"""The holes of a sparse network's graph."""

import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import InvalidPoints
from moduli.manifolds.tensors import require_tensor
from moduli.models.analysis.topology.holes import Topology, largest_prominence
from moduli.models.analysis.topology.homology import Barcode, persistent_homology
from moduli.models.masks.rewiring import rewired_mask
from moduli.regularizers import ShapeMismatch
from moduli.requirements import require_dimension, require_seed


def graph_distances(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lengths of the shortest paths along a network's surviving weights.

    A connection has the length ``1 / |w|`` of the stronger of its two directions, so that strong
    weights join closely. The manifold is not consulted: with geodesic lengths, paths along a random mask
    of 512 neurons on a torus, 90% sparse, still correlate by 0.97 with geodesic distance, and the
    network would seem to have a geometry that is only the embedding's.

    Parameters
    ----------
    weight : Tensor
        Recurrent weight ``(n, n)``; pruned weights are exactly zero.

    Returns
    -------
    distance : Tensor
        Lengths ``(m, m)`` in float64 on the CPU, in units of one over weight, between the neurons of the
        largest component.
    neurons : Tensor
        Which neurons these are, ``(m,)``.

    Raises
    ------
    ShapeMismatch
        If the weight is not a square tensor of one neuron or more.
    InvalidParameter
        If a weight is NaN or infinite.

    Examples
    --------
    >>> weight = torch.tensor([[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0] * 4])
    >>> distance, neurons = graph_distances(weight)
    >>> distance
    tensor([[0.0000, 0.5000, 1.5000],
            [0.5000, 0.0000, 1.0000],
            [1.5000, 1.0000, 0.0000]], dtype=torch.float64)
    >>> neurons
    tensor([0, 1, 2])
    """
    require_tensor(weight, "The weight", ShapeMismatch, with_values=True)
    if weight.dim() != 2 or weight.shape[0] != weight.shape[1] or not len(weight):
        raise ShapeMismatch(
            f"The graph of a network needs a square weight of one neuron or more, got {tuple(weight.shape)}."
        )
    if not weight.isfinite().all():
        raise InvalidParameter("The graph of a network needs finite weights; some are NaN or infinite.")
    strength = weight.detach().cpu().double().abs()
    strength = torch.maximum(strength, strength.mT).fill_diagonal_(0)
    lengths = csr_array(torch.where(strength > 0, 1 / strength, 0).numpy())
    _, component = connected_components(lengths, directed=False)
    labels = torch.from_numpy(component)
    neurons = (labels == labels.mode().values).nonzero()[:, 0]
    distance = torch.from_numpy(dijkstra(lengths, directed=False, indices=neurons.numpy()))[:, neurons]
    # Paths found from either end may differ in their last digit.
    return torch.minimum(distance, distance.mT), neurons


def graph_topology(
    weight: Tensor,
    *,
    landmarks: int = 100,
    dimension: int = 2,
    prime: int = 2,
    nulls: int = 19,
    seed: int = 0,
) -> Topology:
    """Return the holes of the graph of a network's surviving weights.

    The null model is a network of the same weights at random places, rewired as by
    `moduli.models.rewired_mask`: every neuron has as many connections, pairs of weights to and fro stay
    together, and nothing is left of the geometry but what degrees tell of it.

    Parameters
    ----------
    weight : Tensor
        Recurrent weight ``(n, n)``; pruned weights are exactly zero.
    landmarks, dimension, prime : int
        See `persistent_homology`.
    nulls : int
        Number of networks of the null model.
    seed : int
        Seed of their places.

    Returns
    -------
    Topology

    Raises
    ------
    ShapeMismatch
        If the weight is not square.
    InvalidPoints
        If the weights connect fewer than three neurons.
    InvalidParameter
        If a number is not positive, or ``prime`` no prime number.
    MissingDependency
        If ripser is not installed.
    """
    require_dimension("graph_topology", nulls, "nulls")

    def barcode(network: Tensor) -> Barcode:
        distance, neurons = graph_distances(network)
        if len(neurons) < 3:
            raise InvalidPoints(f"The weights connect {len(neurons)} neurons; holes need at least three.")
        return persistent_homology(distance, landmarks=landmarks, dimension=dimension, prime=prime)

    own = barcode(weight)
    generator = torch.Generator().manual_seed(require_seed(seed))
    return Topology(own, largest_prominence(barcode(_rewired(weight, generator)) for _ in range(nulls)))


def _rewired(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Return a network whose weights are at other places: of pairs at pairs, single ones at single ones."""
    weight = weight.detach().cpu()
    before = (weight != 0).fill_diagonal_(False)
    after = rewired_mask(before, int(torch.randint(2**31, (), generator=generator)))
    rewired = torch.zeros_like(weight)
    for old, new in ((_pairs(before), _pairs(after)), (before & ~before.T, after & ~after.T)):
        low, high = old.nonzero()[torch.randperm(int(old.sum()), generator=generator)].unbind(1)
        to_low, to_high = new.nonzero().unbind(1)
        rewired[to_low, to_high] = weight[low, high]
        rewired[to_high, to_low] = weight[high, low]
    return rewired


def _pairs(mask: Tensor) -> Tensor:
    """Return the pairs of a mask, each once."""
    return (mask & mask.T).triu()
