"""The navigation task: path integration in a box."""

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.tasks.navigation.network import PathIntegrator
from moduli.tasks.navigation.place_cells import PlaceCells
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.trajectories import Trajectories, walk
from moduli.tasks.seeds import stream
from moduli.tasks.task import Task

BATCHES_AT_ONCE = 50
"""Walks are made in bulk: a step in time costs the same for one batch as for fifty."""
VALIDATION_WALKS = 200


class Navigation(Task[Trajectories]):
    """Tell where a walk in a box has led, from its start and its velocities.

    Each seed has its own place cells, walks and held-out walks. The loss is the cross-entropy
    between true and predicted place-cell activity; the score is the mean distance in centimetres
    between the true position and the one decoded from the three most active cells, over all steps
    of held-out walks (arXiv 2406.06290).

    Parameters
    ----------
    settings : NavigationSettings
        The world and the network's size.
    batch_size : int
        Walks in a training batch.
    seed : int
        Seed of place cells and walks.
    device : torch.device or str
        Where everything is made.
    """

    score_name = "error (cm)"

    def __init__(
        self, settings: NavigationSettings, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.cells = PlaceCells.scattered(
            settings.cells, settings.cell_width, settings.box, stream(seed, "place cells")
        ).to(self.device)
        self._test = self._walk(settings.test_walks, "test")
        self._validation = self._walk(VALIDATION_WALKS, "validation")
        self._bulk = lru_cache(maxsize=1)(
            lambda index: self._walk(batch_size * BATCHES_AT_ONCE, "training", index)
        )

    def model(self) -> PathIntegrator:
        """Return a fresh path integrator."""
        return PathIntegrator(self.settings.cells, self.settings.units).to(self.device)

    def batch(self, step: int) -> Trajectories:
        """Return the walks of a training step."""
        index, place = divmod(step, BATCHES_AT_ONCE)
        return self._bulk(index)[place * self.batch_size : (place + 1) * self.batch_size]

    def part(self, batch: Trajectories, index: int, count: int) -> Trajectories:
        """Return every ``count``-th walk of a batch."""
        return batch[index::count]

    def loss(self, model: nn.Module, batch: Trajectories) -> Tensor:
        """Return the cross-entropy in nats, averaged over walks and steps."""
        logits = model(self.cells.activity(batch.start), batch.velocities)
        return cross_entropy(logits.flatten(0, 1), self.cells.activity(batch.positions).flatten(0, 1))

    def score(self, model: nn.Module) -> float:
        """Return the mean error on the held-out test walks, in centimetres."""
        return self._error(model, self._test)

    def validate(self, model: nn.Module) -> float:
        """Return the mean error on the held-out validation walks, in centimetres."""
        return self._error(model, self._validation)

    def references(self) -> dict[str, float]:
        """Return the errors of the true activity, of standing still, and of random output."""
        walks, cells = self._test, self.cells
        noise = torch.rand(
            *walks.positions.shape[:2], len(cells.centres), generator=stream(self.seed, "noise")
        )
        return {
            "floor: decoding the true activity": _centimetres(
                cells.decode(cells.activity(walks.positions)), walks.positions
            ),
            "standing still at the start": _centimetres(walks.start[:, None], walks.positions),
            "random output": _centimetres(cells.decode(noise.to(self.device)), walks.positions),
        }

    def _walk(self, count: int, purpose: str, index: int = 0) -> Trajectories:
        generator = stream(self.seed, purpose, index, self.device)
        return walk(count, self.settings.walk_length, self.settings.box, generator)

    @torch.no_grad()
    def _error(self, model: nn.Module, walks: Trajectories) -> float:
        logits = model(self.cells.activity(walks.start), walks.velocities)
        return _centimetres(self.cells.decode(logits), walks.positions)


def _centimetres(estimated: Tensor, true: Tensor) -> float:
    return 100 * float(torch.linalg.vector_norm(estimated - true, dim=-1).mean())
