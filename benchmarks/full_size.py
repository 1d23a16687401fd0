"""Train a path integrator of the paper's size (4096 units) that is never dense, without a GPU.

    python benchmarks/full_size.py --sparsity 0.995 --seed 0    # about 8 minutes on one core

512 place cells of 0.12 m, walks of 50 steps in a box of 2.2 m, as published, but Gaussian place cells. The
recurrence starts as the identity, the mask is geometric and known before the first step, and only survivors
are stored and trained.
"""

import dataclasses
import time

import torch
import tyro
from torch.nn.utils import clip_grad_norm_

from moduli.manifolds import Torus
from moduli.models import geometric_mask, train_survivors
from moduli.regularizers import Diffusion
from moduli.tasks import preset
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.seeds import stream, stream_seed

BATCH = 20
STEPS = 1200
LEARNING_RATE = 2e-3
WEIGHT = "recurrent.weight_hh_l0"


def main(sparsity: float = 0.995, seed: int = 0) -> None:
    """Train one network, and print its error beside the floor."""
    settings = dataclasses.replace(
        preset("navigation", "paper").task, initialization="identity", tuning="gaussian", velocity_scale=1.0
    )
    task = Navigation(settings, BATCH, seed)
    torch.manual_seed(stream_seed(seed, "weights"))
    dense, torus = task.model(), Torus(2)
    embedding = torus.random_point(settings.units, stream(seed, "embedding"))
    mask = geometric_mask(Diffusion(), torus, embedding, sparsity=sparsity)
    model = train_survivors(dense, {WEIGHT: mask})
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    started = time.monotonic()
    for step in range(STEPS):
        loss = task.loss(model, task.batch(step))
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        if (step + 1) % 100 == 0:
            minutes = (time.monotonic() - started) / 60
            print(f"step {step + 1}: {task.validate(model):.2f} cm, {minutes:.1f} minutes", flush=True)
    floor = task.references()["floor: decoding the true activity"]
    print(
        f"{settings.units} units, {int(mask.sum())} of {mask.numel()} recurrent weights, seed {seed}: "
        f"{task.score(model):.2f} cm, floor {floor:.2f} cm"
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    tyro.cli(main)
