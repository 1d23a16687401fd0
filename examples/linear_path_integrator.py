"""Solve path integration by hand, with three recurrent weights.

A Gaussian place cell at c is active in proportion to exp(-|x - c|² / 2σ²), and the softmax over cells
does not see what all of them share. What is left of the logit, c·x / σ² - |c|² / 2σ², is linear in the
position x. So three units that never interact do it all: one that stays at 1, and two that add up the
velocity, lifted by twice the box's half-width so that no ReLU cuts. Whatever is trained on this task
should be seen beside them: a score at the floor says little about the other weights.

Place cells that are differences of Gaussians have other logits, so that the cross-entropy of these three
units is poor there. But the error looks at the three most active cells only, and these are the same.
"""

from dataclasses import replace

import torch

from moduli.tasks.navigation.network import PathIntegrator
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation
from moduli.tasks.navigation.trajectories import TIME_STEP

WORLDS = {
    "small": NavigationSettings(cells=256, walk_length=50),
    "paper": NavigationSettings(cells=512, cell_width=0.12, tuning="difference-of-gaussians", walk_length=50),
}


@torch.no_grad()
def integrator_by_hand(task: Navigation, samples: int = 5000) -> PathIntegrator:
    """Return a path integrator of three units, whose recurrent matrix is the identity."""
    centres, variance, lift = task.cells.centres, task.cells.width**2, task.settings.box
    network = PathIntegrator(len(centres), units=3)

    # Activities tell the position almost exactly, by a linear map.
    positions = task.arena.random_points(samples, torch.Generator().manual_seed(0))
    activities = task.cells.activity(positions)
    solution = torch.linalg.lstsq(activities.double(), positions.double(), driver="gelsd", rcond=1e-6)
    # Activities sum to one, so that a row of equal weights is a constant.
    network.encoder.weight[0] = 1.0
    network.encoder.weight[1:] = lift + solution.solution.T.float()

    speed = TIME_STEP / task.settings.velocity_scale
    network.recurrent.weight_ih_l0.copy_(speed * torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))

    network.decoder.weight[:, 0] = (
        -centres.square().sum(dim=1) / (2 * variance) - lift * centres.sum(dim=1) / variance
    )
    network.decoder.weight[:, 1:] = centres / variance
    return network


def main(seeds: int = 3, test_walks: int = 2000) -> list[tuple[str, int, float, float]]:
    """Print and return the world, the seed, the error in centimetres, and the floor."""
    rows = []
    for name, settings in WORLDS.items():
        for seed in range(seeds):
            task = Navigation(replace(settings, test_walks=test_walks), batch_size=1, seed=seed)
            error = task.score(integrator_by_hand(task))
            floor = task.references()["floor: decoding the true activity"]
            rows.append((name, seed, error, floor))
            print(f"{name}, seed {seed}: error {error:.2f} cm, floor {floor:.2f} cm")
    return rows


if __name__ == "__main__":
    main()
