"""The navigation task: path integration in an arena."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.tasks.figures.picture import Picture
from moduli.tasks.navigation.agents import AGENT, agent_walk
from moduli.tasks.navigation.arenas import Rectangle, make_arena
from moduli.tasks.navigation.figures import rate_map_picture
from moduli.tasks.navigation.grid_scores import grid_scores, score_by_chance
from moduli.tasks.navigation.network import PathIntegrator
from moduli.tasks.navigation.place_cells import PlaceCells
from moduli.tasks.navigation.rate_maps import RateMaps
from moduli.tasks.navigation.recordings import Part, Recording, load_recording
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.trajectories import Trajectories, observed, walk
from moduli.tasks.seeds import stream
from moduli.tasks.task import Task

BATCHES_AT_ONCE = 50
"""Walks are made in bulk: a step in time costs the same for one batch as for fifty."""
VALIDATION_WALKS = 200
NUMBERS_AT_ONCE = 2**26
"""Numbers of activity that are held at once while a network is scored: 256 MiB."""
PARTS_OF_PURPOSES: dict[str, Part] = {
    "training": "training",
    "validation": "validation",
    "test": "test",
    "long test": "test",
}
"""Which part of a recording walks for a purpose come from."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Which quantiles of the grid scores are reported."""


class Navigation(Task[Trajectories]):
    """Tell where a walk has led, from its start and its velocities.

    Each seed has its own place cells, walks and held-out walks. Walks are simulated, or windows of a
    recorded walk, or of that of an agent of RatInABox, of which each seed has its own: of its first 80% to
    learn from, of the next 10% for the validation, of the last 10% for the test. The loss is the
    cross-entropy between true and predicted place-cell activity; the score is the mean distance in
    centimetres between the true position and the one decoded from the three most active cells, over all
    steps of held-out walks (arXiv 2406.06290).

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

    Raises
    ------
    UnusableRecording, MissingDependency
        If a recorded walk cannot be had; see `moduli.tasks.navigation.recordings.load_recording`.
    """

    score_name = "error (cm)"
    floor: ClassVar[str] = "floor: decoding the true activity"
    ignorance: ClassVar[str] = "standing still at the start"

    def __init__(
        self, settings: NavigationSettings, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.recording = _recording(settings, seed, self.device)
        self.arena = make_arena(settings) if self.recording is None else Rectangle(*self.recording.extent)
        self.cells = PlaceCells(
            self.arena.random_points(settings.cells, stream(seed, "place cells")),
            settings.cell_width,
            self.arena,
            settings.tuning,
        ).to(self.device)
        self._test = self._walk(settings.test_walks, "test")
        self._validation = self._walk(VALIDATION_WALKS, "validation")
        self._bulk = lru_cache(maxsize=1)(
            lambda index: self._walk(batch_size * BATCHES_AT_ONCE, "training", index)
        )

    def model(self) -> PathIntegrator:
        """Return a fresh path integrator."""
        settings = self.settings
        return PathIntegrator(settings.cells, settings.units, settings.initialization).to(self.device)

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
        return _centimetres(self._errors(model, self._test))

    def validate(self, model: nn.Module) -> float:
        """Return the mean error on the held-out validation walks, in centimetres."""
        return _centimetres(self._errors(model, self._validation))

    def references(self) -> dict[str, float]:
        """Return the errors of the true activity, of staying where one is, and of random output.

        The true activity's is called the floor, as no network is trained to do better. It is not a bound: the
        decoder is rough, and an output that ranks other cells first can be nearer to the place.
        """
        walks, cells = self._test, self.cells
        noise = torch.rand(
            *walks.positions.shape[:2], len(cells.centres), generator=stream(self.seed, "noise")
        )
        estimates = {
            self.floor: torch.cat(
                [cells.decode(cells.activity(portion.positions)) for portion in self._portions(walks)]
            ),
            self.ignorance: walks.start[:, None],
            "standing at the centre of the box": torch.zeros_like(walks.start[:, None]),
            "random output": cells.decode(noise.to(self.device)),
        }
        return {
            name: _centimetres(self.arena.distance(estimate, walks.positions))
            for name, estimate in estimates.items()
        }

    def measurements(self, model: nn.Module) -> dict[str, Any]:
        """Return the error in centimetres after each step, also of longer walks, and the grid scores.

        Returns
        -------
        dict
            ``"error by step"``, a number for each step of the test walks; ``"long walks"``, their
            number of steps, mean error and error by step, where the settings ask for them;
            ``"recording"``, the gaps and sensor faults that recorded walks leave out;
            ``"grid scores"``, see `grid_score_summary`.
        """
        measured: dict[str, Any] = {"error by step": _by_step(self._errors(model, self._test))}
        if self.settings.long_walk_length is not None:
            walks = self._walk(self.settings.test_walks, "long test", steps=self.settings.long_walk_length)
            errors = self._errors(model, walks)
            measured["long walks"] = {
                "steps": self.settings.long_walk_length,
                "error": _centimetres(errors),
                "error by step": _by_step(errors),
            }
        if self.recording is not None:
            measured["recording"] = self.recording.counts
        return measured | {"grid scores": self.grid_score_summary(model)}

    def grid_score_summary(self, model: nn.Module) -> dict[str, Any]:
        """Return how hexagonal the rate maps of a path integrator's units are.

        Returns
        -------
        dict
            ``"units"``, how many are active anywhere; ``"quantiles"`` of their scores, by share;
            ``"null"``, the 95th percentile of the scores of as many random maps of the same scales,
            see `score_by_chance`; ``"share above null"``, 0.05 by chance.
        """
        maps = self.rate_maps(model)
        scores = grid_scores(maps)
        scored = ~scores.isnan()
        null = score_by_chance(maps, stream(self.seed, "null maps", device=self.device))
        if null is None:
            return {"units": 0, "quantiles": {}, "null": None, "share above null": None}
        return {
            "units": int(scored.sum()),
            "quantiles": {f"{share:.0%}": float(scores[scored].quantile(share)) for share in QUANTILES},
            "null": null,
            "share above null": float((scores[scored] > null).float().mean()),
        }

    def figures(self, model: nn.Module) -> dict[str, Picture]:
        """Return the rate maps of highest grid score."""
        maps = self.rate_maps(model)
        generator = stream(self.seed, "null maps", device=self.device)
        return {"rate-maps": rate_map_picture(maps, score_by_chance(maps, generator))}

    @torch.no_grad()
    def rate_maps(self, model: nn.Module) -> Tensor:
        """Return the rate maps of a path integrator's units on the test walks.

        Parameters
        ----------
        model : nn.Module
            A `PathIntegrator`.

        Returns
        -------
        Tensor
            Maps ``(units, bins, bins)``; see `RateMaps`.
        """
        assert isinstance(model, PathIntegrator)
        maps = RateMaps(max(self.arena.extent))
        for walks in self._portions(self._test):
            maps.add(walks.positions, model.hidden(self.cells.activity(walks.start), walks.velocities))
        return maps.mean()

    def _walk(self, count: int, purpose: str, index: int = 0, steps: int | None = None) -> Trajectories:
        generator = stream(self.seed, purpose, index, self.device)
        length = steps or self.settings.walk_length
        if self.recording is None:
            walks = walk(count, length, self.arena, generator)
        else:
            walks = self.recording.draw(count, length, PARTS_OF_PURPOSES[purpose], generator)
        return observed(walks, self.settings.velocity_noise, self.settings.velocity_scale, generator)

    @torch.no_grad()
    def _errors(self, model: nn.Module, walks: Trajectories) -> Tensor:
        """Return the distance between true and decoded position, ``(walks, steps)``, in metres."""
        return torch.cat([
            self.arena.distance(
                self.cells.decode(model(self.cells.activity(portion.start), portion.velocities)),
                portion.positions,
            )
            for portion in self._portions(walks)
        ])  # fmt: skip

    def _portions(self, walks: Trajectories) -> Iterator[Trajectories]:
        """Split walks so that activities fit in memory."""
        count, steps = walks.positions.shape[:2]
        size = max(1, NUMBERS_AT_ONCE // (steps * max(self.settings.units, self.settings.cells)))
        for first in range(0, count, size):
            yield walks[first : first + size]


def _recording(settings: NavigationSettings, seed: int, device: torch.device) -> Recording | None:
    """Return the walk whose windows are learned from, or None where walks are simulated."""
    if settings.trajectories == "simulated":
        return None
    if settings.trajectories == AGENT:
        return agent_walk(settings.box * settings.aspect, settings.box, seed, device)
    return load_recording(settings.trajectories, device)


def _centimetres(errors: Tensor) -> float:
    return 100 * float(errors.double().mean())  # a mean in float32 depends on the order of its sums


def _by_step(errors: Tensor) -> list[float]:
    return [round(error, 3) for error in (100 * errors.mean(dim=0)).tolist()]
