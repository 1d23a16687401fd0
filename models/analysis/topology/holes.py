"""Which bars are holes, and which are the noise of a sample.

A bar counts as a hole if it is more prominent than every bar of its dimension in every space of a
null model. Where the null model is true, that happens to one of ``nulls + 1`` exchangeable spaces: with
probability ``1 / (nulls + 1)`` at most in each dimension.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from moduli.manifolds import Euclidean, InvalidPoints, Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.analysis.topology.betti import betti_numbers
from moduli.models.analysis.topology.homology import Barcode, cloud_homology, persistent_homology
from moduli.requirements import require_dimension, require_seed


@dataclass(frozen=True, eq=False)
class Topology:
    """The barcode of a space, and which of its bars are holes.

    Parameters
    ----------
    barcode : Barcode
        The bars.
    thresholds : tuple of float
        For each dimension, the prominence that a bar must exceed to count as a hole.
    """

    barcode: Barcode
    thresholds: tuple[float, ...]

    @property
    def betti(self) -> tuple[int, ...]:
        """The number of holes found in dimensions 0, 1, …."""
        return tuple(
            int((self.barcode.prominence(dimension) > threshold).sum())
            for dimension, threshold in enumerate(self.thresholds)
        )

    def predicted(self, manifold: Manifold) -> tuple[int, ...]:
        """Return a manifold's Betti numbers, in as many dimensions as were looked at.

        Raises
        ------
        UnknownTopology
            If they are not known.
        """
        known = betti_numbers(manifold, self.barcode.prime)
        return (*known, *[0] * len(self.thresholds))[: len(self.thresholds)]

    def compare(self, manifold: Manifold) -> str:
        """Say whether the holes are those that a manifold predicts.

        Raises
        ------
        UnknownTopology
            If the manifold's Betti numbers are not known.

        Examples
        --------
        >>> from moduli.manifolds import Circle
        >>> points = Circle().random_point(200, torch.Generator().manual_seed(0))
        >>> print(embedding_topology(Circle(), points, landmarks=40, nulls=9).compare(Circle()))
        Circle(radius=5.0) has Betti numbers 1, 1, 0 over Z/2; found: 1, 1, 0, as predicted.
        """
        predicted = self.predicted(manifold)
        verdict = "as predicted" if self.betti == predicted else "not as predicted"
        return (
            f"{manifold!r} has Betti numbers {_listed(predicted)} over Z/{self.barcode.prime}; "
            f"found: {_listed(self.betti)}, {verdict}."
        )


def embedding_topology(
    manifold: Manifold,
    embedding: Tensor,
    *,
    landmarks: int = 100,
    dimension: int = 2,
    prime: int = 2,
    nulls: int = 49,
    seed: int = 0,
) -> Topology:
    """Return the holes of an embedding, under its manifold's geodesic distance.

    The null model for holes of dimension k is a cube of dimension k + 1, which has none: as many points,
    uniform in it, and as many landmarks. In fewer dimensions nothing can surround such a hole, and in more
    the noise is less prominent. A point far from all others counts as a component.

    Parameters
    ----------
    manifold : Manifold
        Where the neurons are.
    embedding : Tensor
        Points ``(n, *point_shape)``.
    landmarks, dimension, prime : int
        See `persistent_homology`.
    nulls : int
        Number of clouds of the null model. Where there is no hole, one is found with probability
        ``1 / (nulls + 1)`` at most in each dimension, over draws of the points and of the clouds.
    seed : int
        Seed of the clouds. Another one draws them anew, and shows whether a hole near the threshold holds.

    Returns
    -------
    Topology

    Raises
    ------
    InvalidPoints
        If the embedding holds no points of the manifold.
    InvalidDistance
        If all its points coincide.
    InvalidParameter
        If a number is not positive, or ``prime`` no prime number.
    MissingDependency
        If ripser is not installed.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> points = Torus().random_point(300, torch.Generator().manual_seed(0))
    >>> embedding_topology(Torus(), points, landmarks=60, nulls=9).betti
    (1, 2, 1)
    """
    distance = manifold.pairwise(embedding.detach())
    barcode = persistent_homology(distance, landmarks=landmarks, dimension=dimension, prime=prime)
    require_dimension("embedding_topology", nulls, "nulls")
    thresholds = [
        _empty_cubes(len(embedding), k, barcode.landmarks, prime, nulls, require_seed(seed))
        for k in range(dimension + 1)
    ]
    return Topology(barcode, tuple(thresholds))


def cloud_topology(
    points: Tensor,
    *,
    landmarks: int = 100,
    dimension: int = 2,
    prime: int = 2,
    nulls: int = 49,
    seed: int = 0,
) -> Topology:
    """Return the holes of a cloud of points, such as hidden activity along trajectories.

    Parameters
    ----------
    points : Tensor
        Points of Euclidean space ``(n, d)``: the states of d neurons at n times. All their distances are
        computed: pass every tenth or hundredth of a long trajectory.
    landmarks, dimension, prime, nulls, seed : int
        See `embedding_topology`.

    Returns
    -------
    Topology

    Raises
    ------
    InvalidPoints
        If the tensor has another shape.
    InvalidDistance
        If all points coincide.
    InvalidParameter
        If a number is not positive, or ``prime`` no prime number.
    MissingDependency
        If ripser is not installed.
    """
    require_tensor(points, "The points", InvalidPoints, with_values=True)
    if points.dim() != 2:
        raise InvalidPoints(
            f"A cloud has shape (points, coordinates), got {tuple(points.shape)}; flatten trajectories "
            "with points.flatten(0, -2)."
        )
    return embedding_topology(
        Euclidean(points.shape[1]),
        points,
        landmarks=landmarks,
        dimension=dimension,
        prime=prime,
        nulls=nulls,
        seed=seed,
    )


def largest_prominence(barcodes: Iterable[Barcode]) -> tuple[float, ...]:
    """Return, for each dimension, the prominence that no bar of the barcodes exceeds.

    The component that never dies stands out in every space; of the others there may be none.
    """
    stand_out = [
        [_largest(barcode.prominence(k)[1 if k == 0 else 0 :]) for k in range(len(barcode.bars))]
        for barcode in barcodes
    ]
    return tuple(max(column) for column in zip(*stand_out, strict=True))


@lru_cache(maxsize=64)
def _empty_cubes(points: int, dimension: int, landmarks: int, prime: int, nulls: int, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    clouds = (
        torch.rand(points, dimension + 1, generator=generator, dtype=torch.float64) for _ in range(nulls)
    )
    barcodes = (
        cloud_homology(cloud, landmarks=landmarks, dimension=dimension, prime=prime) for cloud in clouds
    )
    return largest_prominence(barcodes)[dimension]


def _largest(prominence: Tensor) -> float:
    return float(prominence.max()) if len(prominence) else 1.0


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))
