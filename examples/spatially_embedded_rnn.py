"""A spatially embedded RNN: connections cost their length times how well they are connected anyway.

The penalty of Achterberg, Akarca, Strouse, Duncan and Astle, "Spatially embedded recurrent neural
networks", Nature Machine Intelligence 5, 2023: distance in a box, times communicability, times |W|.
"""

import torch
from torch import nn

from moduli.manifolds import Euclidean
from moduli.models import Sparsifier
from moduli.regularizers import Communicability, Inhibitor


def main(neurons: int = 32, steps: int = 120, strength: float = 100.0) -> dict[str, float]:
    """Train a network to remember its first input; return its loss and its strong connections' length."""
    torch.manual_seed(0)
    model, readout = nn.RNN(2, neurons), nn.Linear(neurons, 2)

    distance, box = Inhibitor(lambda d: d), Euclidean(3, size=1.0)
    sparsifier = Sparsifier(model, distance * Communicability(), box, sparsity=0, strength=strength)
    penalty = sparsifier.penalty

    optimizer = torch.optim.Adam([*model.parameters(), *readout.parameters()], lr=0.003)
    for _ in range(steps):
        signs = torch.randint(0, 2, (1, 64, 2)) * 2.0 - 1
        inputs = torch.cat([signs, torch.zeros(5, 64, 2)])
        loss = (readout(model(inputs)[0][-1]) - signs[0]).square().mean()
        optimizer.zero_grad()
        (loss + penalty()).backward()
        optimizer.step()

    weight, points = model.weight_hh_l0.detach().abs(), sparsifier.embeddings["weight_hh_l0"]
    lengths = box.pairwise(points)
    return {"loss": loss.item(), "length": float((weight * lengths).sum() / weight.sum())}


if __name__ == "__main__":
    for strength in (0.0, 100.0):
        result = main(strength=strength)
        print(f"strength {strength:5.1f}: loss {result['loss']:.4f}, mean length {result['length']:.3f}")
