"""Learn where neurons are while they learn to integrate paths, and look for the holes of what they found.

    python benchmarks/learned_embeddings.py        # a few minutes

Neurons are placed at random in three-dimensional Euclidean space, where a torus has room, and their points
are learned end to end: the penalty pulls together what strong weights connect. Its coefficients are scaled to
mean 1, so that nothing is gained by shrinking, and with crowding, nothing by clumping. A box has no holes; a
box without walls is a torus.
"""

import itertools

import torch
from torch.nn.utils import clip_grad_norm_

from moduli.manifolds import Euclidean
from moduli.models import CubicSchedule, Embedding, Sparsifier, wiring_length
from moduli.models.analysis.topology import cloud_topology
from moduli.regularizers import Diffusion
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.seeds import stream_seed

BATCH = 40
STEPS = 1000
STRENGTH = 10.0
SPARSITY = 0.95
CROWDING = (0.0, 1.0)
"""Factors of the term that keeps neurons apart, within 3 of the 10 units of length of their space."""
WEIGHT = "recurrent.weight_hh_l0"


def main(seeds: int = 3) -> None:
    """Print the table."""
    print("| arena | crowding | seed | error, cm | wiring | before | learned |")
    print("| --- | ---: | ---: | ---: | ---: | --- | --- |")
    for arena, crowding, seed in itertools.product(("rectangle", "periodic"), CROWDING, range(seeds)):
        print(f"| {arena} | {crowding:g} | {seed} | {' | '.join(learn(arena, crowding, seed))} |", flush=True)


def learn(arena: str, crowding: float, seed: int) -> list[str]:
    """Return the error, the wiring relative to chance, and the holes before and after learning."""
    settings = NavigationSettings(units=128, arena=arena, initialization="uniform")  # type: ignore[arg-type]
    task = Navigation(settings, BATCH, seed)
    torch.manual_seed(stream_seed(seed, "weights"))
    model, space = task.model(), Euclidean(3)
    embedding = Embedding(space, settings.units, learn=True, seed=stream_seed(seed, "embedding"))
    before = cloud_topology(embedding().detach()).betti
    sparsifier = Sparsifier(
        model,
        Diffusion().normalized(),
        space,
        sparsity=SPARSITY,
        schedule=CubicSchedule(int(0.15 * STEPS), int(0.6 * STEPS)),
        strength=STRENGTH,
        scope="recurrent",
        embedding=embedding,
    )
    optimizer = torch.optim.AdamW(
        [{"params": model.parameters()}, {"params": embedding.parameters(), "weight_decay": 0.0, "lr": 1e-2}],
        lr=2e-3,
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    for step in range(STEPS):
        loss = task.loss(model, task.batch(step)) + sparsifier.penalty()
        loss = loss + crowding * embedding.crowding(length=3.0)
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        sparsifier.step()
        decay.step()
    points = embedding().detach()
    wiring, by_chance = wiring_length(sparsifier.masks[WEIGHT], space, points)
    learned = cloud_topology(points).betti
    return [
        f"{task.score(model):.1f}",
        f"{wiring / by_chance:.0%}" if wiring is not None and by_chance else "",
        ", ".join(map(str, before)),
        ", ".join(map(str, learned)),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
