"""Persistent homology: at which distances the holes of a metric space open and close."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import InvalidDistance
from moduli.manifolds.tensors import require_tensor
from moduli.requirements import require_dimension, require_package
from moduli.showing import shown


@dataclass(frozen=True, eq=False)
class Barcode:
    """The holes of a finite metric space, each with the distances between which it is open.

    Parameters
    ----------
    bars : tuple of Tensor
        For each dimension, births and deaths ``(m, 2)`` in the space's units of length; the one
        component that never dies has death ``inf``.
    prime : int
        Number of elements of the field of coefficients.
    landmarks : int
        Number of points from which the bars were computed.
    """

    bars: tuple[Tensor, ...]
    prime: int
    landmarks: int

    def prominence(self, dimension: int) -> Tensor:
        """Return how far each bar of a dimension stands out, the farthest first.

        It is ``death / birth``, which no change of scale changes (Bobrowski, Kahle and Skraba,
        "Maximally persistent cycles in random geometric complexes", 2017). Components are all born
        at 0; theirs is the death over the median death, that is over the usual gap between
        neighbouring landmarks.
        """
        births, deaths = self.bars[dimension].unbind(dim=1)
        scale = births if dimension else deaths[deaths.isfinite()].median()
        return (deaths / scale).sort(descending=True).values


def persistent_homology(
    distance: Tensor, *, landmarks: int = 100, dimension: int = 2, prime: int = 2
) -> Barcode:
    """Return the barcode of the Vietoris-Rips complexes of a finite metric space.

    A set of landmarks becomes a simplex at its diameter. Landmarks are chosen one by one, each the
    point farthest from those before, so that they are spread evenly. On a torus, the bars up to
    dimension 2 take 0.1 seconds with 100 landmarks, 1.2 with 200 and 4.4 with 300. Computed by ripser
    (Bauer, "Ripser: efficient computation of Vietoris-Rips persistence barcodes", 2021) in float32.

    Parameters
    ----------
    distance : Tensor
        Distances ``(n, n)``: of an embedding ``manifold.pairwise(embedding)``, of a network's graph
        ``graph_distances(weight)``, of a cloud ``torch.cdist(points, points)``.
    landmarks : int
        Number of landmarks; all points where there are fewer.
    dimension : int
        Largest dimension of the holes.
    prime : int
        Number of elements of the field of coefficients.

    Returns
    -------
    Barcode
        In float64 on the CPU.

    Raises
    ------
    InvalidDistance
        If the matrix is not square, finite, symmetric, and zero on the diagonal, or is zero everywhere.
    InvalidParameter
        If ``landmarks`` is not an integer above 1, ``dimension`` none from 0 on, or ``prime`` not a prime
        number.
    MissingDependency
        If ripser is not installed.

    Examples
    --------
    >>> from moduli.manifolds import Circle
    >>> points = Circle(radius=1.0).random_point(200, torch.Generator().manual_seed(0))
    >>> barcode = persistent_homology(Circle(radius=1.0).pairwise(points), landmarks=40)
    >>> [len(bars) for bars in barcode.bars[:2]]  # components at distance 0, and one loop
    [40, 1]
    """
    _check_distance(distance)
    return _vietoris_rips(distance, landmarks, dimension, prime, distance_matrix=True)


def cloud_homology(points: Tensor, *, landmarks: int, dimension: int, prime: int) -> Barcode:
    """Return the barcode of points of Euclidean space, without the matrix of all their distances."""
    return _vietoris_rips(points, landmarks, dimension, prime, distance_matrix=False)


def bottleneck_distance(first: Barcode, second: Barcode, dimension: int) -> float:
    """Return how far the bars of one barcode have to be moved to become those of another.

    The least number by which ends of bars must move at most, where short bars may appear and vanish
    (Cohen-Steiner, Edelsbrunner and Harer, "Stability of persistence diagrams", 2007). Computed by
    persim. Bars that never die are left out.

    Parameters
    ----------
    first, second : Barcode
        Barcodes in one unit of length.
    dimension : int
        Which bars are compared.

    Returns
    -------
    float
        In the barcodes' unit of length.

    Raises
    ------
    MissingDependency
        If persim is not installed.
    """
    persim = require_package("persim", "Distances of barcodes", "topology")
    finite = [bars[bars.isfinite().all(dim=1)] for bars in (first.bars[dimension], second.bars[dimension])]
    if not any(len(bars) for bars in finite):
        return 0.0
    return float(persim.bottleneck(*(bars.numpy() for bars in finite)))


def _vietoris_rips(data: Tensor, landmarks: int, dimension: int, prime: int, **kwargs: Any) -> Barcode:
    ripser = require_package("ripser", "Barcodes", "topology").ripser
    if require_dimension("persistent_homology", landmarks, "landmarks") < 2:
        raise InvalidParameter("persistent_homology: landmarks must be at least 2, got 1.")
    landmarks = min(landmarks, len(data))
    require_dimension("persistent_homology", prime, "prime")
    if type(dimension) is not int or dimension < 0:
        raise InvalidParameter(
            f"persistent_homology: dimension must be 0 or a positive integer, got {shown(dimension)}."
        )
    if prime < 2 or any(prime % factor == 0 for factor in range(2, prime)):
        raise InvalidParameter(f"persistent_homology: prime must be a prime number, got {prime!r}.")
    points = data.detach().cpu().double().numpy()
    bars = ripser(points, maxdim=dimension, coeff=prime, n_perm=landmarks, **kwargs)["dgms"]
    return Barcode(tuple(torch.from_numpy(pairs).double() for pairs in bars), prime, landmarks)


def _check_distance(distance: Tensor) -> None:
    require_tensor(distance, "The distances", InvalidDistance, with_values=True)
    if distance.dim() != 2 or distance.shape[0] != distance.shape[1]:
        raise InvalidDistance(f"A matrix of distances is square, got shape {tuple(distance.shape)}.")
    if not distance.isfinite().all():
        raise InvalidDistance("Distances must be finite; take the points of one component.")
    if not torch.equal(distance, distance.mT) or distance.diagonal().any():
        raise InvalidDistance(
            "A matrix of distances is symmetric and zero on the diagonal; (d + d.T) / 2 removes what "
            "rounding left."
        )
    if not distance.any():
        raise InvalidDistance("All points coincide: at least two must lie apart.")
