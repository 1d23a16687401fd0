"""Wiring cost with neuron swapping, as in brain-inspired modular training.

Liu, Gan and Tegmark, "Seeing is believing: brain-inspired modular training for mechanistic
interpretability", 2023: each weight costs its length, and two neurons change places whenever that
makes the wiring cheaper, which gradient descent could not find.
"""

import torch
from torch import Tensor

from moduli.manifolds import Euclidean, Manifold
from moduli.regularizers import Inhibitor, penalty


def wiring_cost(weight: Tensor, plane: Manifold, points: Tensor) -> Tensor:
    """Return the sum of length times ``|W|``: the term for the loss."""
    return penalty(weight, Inhibitor(lambda d: d)(plane, points), reduction="sum")


def swap_neurons(weight: Tensor, plane: Manifold, points: Tensor) -> Tensor:
    """Return the points after every swap of two neurons that makes the wiring cheaper."""
    cost = wiring_cost(weight, plane, points)
    for i, j in torch.combinations(torch.arange(len(points))).tolist():
        swapped = points.index_copy(0, torch.tensor([i, j]), points[[j, i]])
        if (lower := wiring_cost(weight, plane, swapped)) < cost:
            points, cost = swapped, lower
    return points


def main(neurons: int = 24, rounds: int = 3) -> list[float]:
    """Place a ring of neurons at random, and swap them; return the cost before and after each round."""
    plane = Euclidean(2, size=1.0)
    points = plane.random_point(neurons, torch.Generator().manual_seed(0))
    ring = torch.eye(neurons).roll(1, 0) + torch.eye(neurons).roll(-1, 0)
    costs = [float(wiring_cost(ring, plane, points))]
    for _ in range(rounds):
        points = swap_neurons(ring, plane, points)
        costs.append(float(wiring_cost(ring, plane, points)))
    return costs


if __name__ == "__main__":
    print("wiring cost before and after each round:", ", ".join(f"{cost:.2f}" for cost in main()))
