"""Recover a hidden embedding from the coefficients that it makes.

Neurons are hidden on a torus, and all that is known is a coefficient for each pair. An embedding is
learned until it makes the same coefficients. From some starts it ends in a local minimum, which its
loss shows; the best start recovers all distances, that is, the embedding up to an isometry.
"""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from moduli.manifolds import Manifold, Torus
from moduli.models import Embedding
from moduli.regularizers import Gaussian, Regularizer

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "recovery.png"


def learn(
    manifold: Manifold, regularizer: Regularizer, target: Tensor, seed: int, steps: int
) -> tuple[float, Tensor]:
    """Return the loss and the points of one embedding that is learned from coefficients."""
    embedding = Embedding(manifold, len(target), learn=True, seed=seed)
    optimizer = torch.optim.Adam(embedding.parameters(), lr=1.2)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        loss = (regularizer(manifold, embedding()) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        decay.step()
    return loss.item(), embedding().detach()


def main(
    picture: Path = PICTURE, neurons: int = 40, starts: int = 6, steps: int = 200
) -> list[tuple[float, float]]:
    """Draw the recovery; return each start's loss and its largest error of a distance, best first."""
    torus, regularizer = Torus(2), Gaussian(length=4.0, amplitude=1.0)
    hidden = torus.random_point(neurons, torch.Generator().manual_seed(100))
    target = regularizer(torus, hidden)
    learned = sorted(
        (learn(torus, regularizer, target, seed, steps) for seed in range(starts)), key=lambda x: x[0]
    )
    true = torus.pairwise(hidden)
    errors = [float((torus.pairwise(points) - true).abs().max()) for _, points in learned]

    figure = Figure(figsize=(8.4, 3.3), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, points, title in ((left, hidden, "hidden"), (middle, learned[0][1], "learned")):
        axes.scatter(*points.T.numpy(), c=range(neurons), cmap="hsv", s=22)
        axes.set(title=title, xlim=(0, 10), ylim=(0, 10), aspect="equal")
    pairs = torch.triu_indices(neurons, neurons, offset=1)
    for (loss, points), error, colour in (
        (learned[-1], errors[-1], "silver"),
        (learned[0], errors[0], "black"),
    ):
        found = torus.pairwise(points)[*pairs].numpy()
        label = f"loss {loss:.0e}, error {error:.1g}"
        right.plot(true[*pairs].numpy(), found, ".", color=colour, markersize=2, label=label)
    right.set(title="distances", xlabel="hidden", ylabel="learned", aspect="equal")
    right.legend(fontsize=7, markerscale=4)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)
    return [(loss, error) for (loss, _), error in zip(learned, errors, strict=True)]


if __name__ == "__main__":
    for loss, error in main():
        print(f"loss {loss:.1e}: distances differ by at most {error:.1g}")
