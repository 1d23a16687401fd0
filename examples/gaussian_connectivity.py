"""Gaussian-profile connectivity: weights whose variance falls off with distance like a Gaussian.

If a weight over distance d is drawn with variance ``g(d) = exp(-d²/σ²)``, its negative log prior is
``w² / (2 g(d))``: a penalty of exponent 2 whose coefficients are the inverse profile.
"""

import torch

from moduli.manifolds import Torus
from moduli.regularizers import Inhibitor, penalty


def main(neurons: int = 200, steps: int = 200, length: float = 3.0) -> dict[str, float]:
    """Fit noise under the prior; return the mean ``|w|`` near and far, and what the formula predicts."""
    torus = Torus(2)
    points = torus.random_point(neurons, torch.Generator().manual_seed(0))
    data = torch.randn(neurons, neurons, generator=torch.Generator().manual_seed(1))
    weight = torch.zeros(neurons, neurons, requires_grad=True)

    inverse_profile = Inhibitor(lambda d: (d / length).square().exp() / 2)
    coefficients = inverse_profile(torus, points)
    prior = lambda: penalty(weight, coefficients, p=2, reduction="sum")  # noqa: E731

    # The curvature 1 + 1/g bounds each weight's own stable step.
    optimizer = torch.optim.Adam([weight], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        ((weight - data).square().sum() / 2 + prior()).backward()
        optimizer.step()

    distance = torus.pairwise(points)
    expected = data / (1 + 2 * coefficients)  # where the gradient of data term and prior is zero
    result = {}
    for name, pairs in {"near": distance < 2, "far": distance > 5}.items():
        result[name] = float(weight.detach()[pairs].abs().mean())
        result[f"{name}, predicted"] = float(expected[pairs].abs().mean())
    return result


if __name__ == "__main__":
    for name, value in main().items():
        print(f"mean |w| {name}: {value:.4f}")
