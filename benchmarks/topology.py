"""Print which Betti numbers are found in random embeddings of the built-in manifolds, and in graphs.

`python benchmarks/topology.py`, or with the number of landmarks: `python benchmarks/topology.py 150`.
"""

import sys
from collections import Counter

import torch

from moduli.manifolds import (
    SPD,
    Circle,
    Cylinder,
    Euclidean,
    Grassmannian,
    Hyperbolic,
    KleinBottle,
    Manifold,
    MobiusBand,
    Product,
    ProjectivePlane,
    ProjectiveSpace,
    Rotations,
    Sphere,
    Torus,
)
from moduli.models import geometric_mask
from moduli.models.analysis.topology import embedding_topology, graph_topology
from moduli.regularizers import DifferenceOfGaussians, Diffusion

SPACES: list[tuple[Manifold, int]] = [
    (Circle(), 2),
    (Sphere(), 2),
    (Sphere(3, radius=10.0), 2),
    (Torus(), 2),
    (Torus(3), 2),
    (Torus(6), 2),
    (KleinBottle(), 2),
    (KleinBottle(), 3),
    (Cylinder(), 2),
    (MobiusBand(), 2),
    (ProjectivePlane(), 2),
    (ProjectivePlane(), 3),
    (ProjectiveSpace(3), 2),
    (Rotations(), 2),
    (Rotations(), 3),
    (Grassmannian(4, 2), 2),
    (Product(Circle(), Circle()), 2),
    (Product(Sphere(), Circle()), 2),
    (Euclidean(), 2),
    (Hyperbolic(), 2),
    (SPD(), 2),
]
POINTS = 500
SEEDS = range(10)
GRAPHS = [(256, 0.95), (512, 0.95), (512, 0.98)]
GRAPH_SEEDS = range(5)


def main(landmarks: int) -> None:
    """Print both tables."""
    print(f"{POINTS} points, {landmarks} landmarks, {len(SEEDS)} seeds\n")
    print("| manifold | field | predicted | found |\n| --- | --- | --- | --- |")
    for manifold, prime in SPACES:
        found: Counter[tuple[int, ...]] = Counter()
        for seed in SEEDS:
            points = manifold.random_point(POINTS, torch.Generator().manual_seed(seed))
            topology = embedding_topology(manifold, points, landmarks=landmarks, prime=prime)
            found[topology.betti] += 1
        predicted = listed(topology.predicted(manifold))
        print(f"| `{manifold!r}` | Z/{prime} | {predicted} | {counted(found)} |", flush=True)
    print_graphs(landmarks)


def print_graphs(landmarks: int) -> None:
    """Print what is found in graphs of random weights, masked by the torus."""
    print(f"\n{landmarks} landmarks, {len(GRAPH_SEEDS)} seeds\n")
    print("| mask on a torus | neurons | sparsity | found |\n| --- | --- | --- | --- |")
    for regularizer in (Diffusion(), DifferenceOfGaussians(), Diffusion().permuted(0)):
        for neurons, sparsity in GRAPHS:
            found: Counter[tuple[int, ...]] = Counter()
            for seed in GRAPH_SEEDS:
                generator = torch.Generator().manual_seed(seed)
                places = Torus().random_point(neurons, generator)
                mask = geometric_mask(regularizer, Torus(), places, sparsity=sparsity)
                weight = mask * torch.randn(neurons, neurons, generator=generator)
                found[graph_topology(weight, landmarks=landmarks).betti] += 1
            print(f"| `{regularizer!r}` | {neurons} | {sparsity:.0%} | {counted(found)} |", flush=True)


def listed(numbers: tuple[int, ...]) -> str:
    """Return numbers with commas between."""
    return ", ".join(map(str, numbers))


def counted(found: Counter[tuple[int, ...]]) -> str:
    """Return what was found, the most frequent first, and in how many seeds."""
    return "; ".join(f"{listed(betti)} ({times})" for betti, times in found.most_common())


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 100)
