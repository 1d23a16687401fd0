"""What a run is made of, as frozen values, and the presets.

Nothing here imports torch, so that the command line can show its help at once.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal


def _require(holds: bool, name: str, expected: str, given: object) -> None:
    if not holds:
        from moduli.tasks.errors import InvalidConfiguration  # the library's errors come with torch

        raise InvalidConfiguration(f"{name} must be {expected}; got {given!r}.")


@dataclass(frozen=True)
class NavigationSettings:
    """The world of the navigation task and the size of its network."""

    units: int = 256
    """Recurrent units."""
    cells: int = 128
    """Place cells, scattered over the box."""
    cell_width: float = 0.2
    """Standard deviation of a place cell's firing field, in metres."""
    box: float = 2.2
    """Side of the square box, in metres."""
    walk_length: int = 20
    """Steps of a walk, each of 0.02 s."""
    test_walks: int = 2000
    """Held-out walks on which a trained network is scored."""


@dataclass(frozen=True)
class TrainingSettings:
    """How every network of a comparison is trained, tickets included."""

    steps: int = 1600
    """Optimizer steps of each training."""
    batch: int = 100
    """Walks in a batch."""
    learning_rate: float = 2e-3
    """AdamW's learning rate at the start; a cosine lowers it to zero at the last step."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    log_interval: int = 50
    """Steps between two rows of metrics.csv."""


@dataclass(frozen=True)
class PruningSettings:
    """How every sparse network of a comparison is pruned."""

    sparsity: float = 0.98
    """Fraction of zeros in what is pruned."""
    scope: Literal["layer", "global", "recurrent"] = "recurrent"
    """layer: each weight matrix alone; global: all together; recurrent: recurrent matrices alone."""
    schedule: Literal["cubic", "linear", "one-shot"] = "cubic"
    """cubic: fast, then slower; linear; one-shot: everything at the last step of the interval."""
    begin: float = 0.15
    """Share of the training that is dense before the first cut."""
    end: float = 0.6
    """Share of the training after which nothing is cut; the rest recovers."""
    strength: float = 10.0
    """Strength of the penalty, whose mean coefficient is 1 in every method."""


@dataclass(frozen=True)
class Configuration:
    """Everything that determines a run's numbers, but for its method and seed."""

    task: NavigationSettings = field(default_factory=NavigationSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    pruning: PruningSettings = field(default_factory=PruningSettings)

    def __post_init__(self) -> None:
        pruning = self.pruning
        _require(0 <= pruning.sparsity < 1, "sparsity", "in [0, 1)", pruning.sparsity)
        _require(pruning.strength >= 0, "strength", "non-negative", pruning.strength)
        _require(0 <= pruning.begin < 1, "begin", "a share in [0, 1)", pruning.begin)
        _require(pruning.begin < pruning.end <= 1, "end", "a share after begin, at most 1", pruning.end)
        for settings in (self.task, self.training):
            for name, value in dataclasses.asdict(settings).items():
                _require(value > 0, name, "positive", value)
        _require(self.task.cells >= 3, "cells", "at least 3: three cells tell the place", self.task.cells)

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, as written to JSON."""
        return dataclasses.asdict(self)

    def digest(self) -> str:
        """Return eight hexadecimal digits that tell configurations apart."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:8]


PRESETS: dict[str, Configuration] = {
    "demo": Configuration(),
    "smoke": Configuration(
        NavigationSettings(units=64, cells=64, walk_length=10, test_walks=500),
        TrainingSettings(steps=200, batch=50, learning_rate=5e-3),
        PruningSettings(sparsity=0.9),
    ),
}
"""demo: four methods in four minutes on two cores; smoke: the same code, too short to learn much."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
