"""What a run is made of, as frozen values.

Nothing here imports torch, so that the command line can show its help at once.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_type_hints

from moduli.requirements import require
from moduli.tasks.experiments.configuration.values import as_json, check_settings

TestFamily = Literal["table", "stage"]
"""Which tests are corrected together: all of a table, or trained networks and tickets apart."""

Tuned = Literal["learning_rate", "strength"]
"""Settings of which each method of a comparison may have a value of its own."""

LARGEST_RATE = 1e6
"""No training survives more, and an optimizer's own factors soon carry it beyond what float32 holds."""

LATER = "later"
"""Marks, in a field's metadata, a setting that `later` made."""


@dataclass(frozen=True)
class TrainingSettings:
    """How every network of a comparison is trained, tickets included."""

    steps: int = 1600
    """Optimizer steps of each training."""
    batch: int = 100
    """Sequences in a batch."""
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    """PyTorch's optimizer, with its defaults but for the learning rate."""
    learning_rate: float = 2e-3
    """Learning rate at the start."""
    decay: Literal["cosine", "constant", "plateau"] = "cosine"
    """cosine: to zero at the last step; plateau: to a quarter when a validation brings no progress."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format; any but 32-true needs Lightning Fabric."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    log_interval: int = 50
    """Steps between two validations, each a row of metrics.csv."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("steps", "batch", "learning_rate", "clip", "log_interval"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        rate = self.learning_rate
        require(rate <= LARGEST_RATE, "learning_rate", f"at most {LARGEST_RATE:g}", rate)


@dataclass(frozen=True)
class PruningSettings:
    """How every sparse network of a comparison is pruned."""

    sparsity: float = 0.98
    """Fraction of zeros in what is pruned."""
    scope: Literal["layer", "global", "recurrent", "erk"] = "recurrent"
    """layer: each weight matrix alone; global: all together; recurrent: recurrent matrices alone;
    erk: all together, sparing small matrices."""
    schedule: Literal["cubic", "linear", "one-shot"] = "cubic"
    """cubic: fast, then slower; linear; one-shot: everything at the last step of the interval."""
    begin: float = 0.15
    """Share of the training that is dense before the first cut."""
    end: float = 0.6
    """Share of the training after which nothing is cut; the rest recovers."""
    strength: float = 10.0
    """Strength of the penalty."""
    matched: bool = True
    """Scale coefficients to mean 1, so that the strength means the same in every method."""

    def __post_init__(self) -> None:
        check_settings(self)
        require(0 <= self.sparsity < 1, "sparsity", "in [0, 1)", self.sparsity)
        require(self.strength >= 0, "strength", "non-negative", self.strength)
        require(0 <= self.begin < 1, "begin", "a share in [0, 1)", self.begin)
        require(self.begin < self.end <= 1, "end", "a share after begin, at most 1", self.end)


@dataclass(frozen=True)
class Configuration:
    """Everything that determines a run's numbers, except its method and seed.

    Parameters
    ----------
    task : dataclass
        The settings of any task; see `moduli.tasks.registry`.
    training : TrainingSettings
        How networks are trained.
    pruning : PruningSettings
        How they are pruned.

    Raises
    ------
    InvalidConfiguration
        If a setting is not of the type that it declares.
    """

    task: Any
    training: TrainingSettings = field(default_factory=TrainingSettings)
    pruning: PruningSettings = field(default_factory=PruningSettings)

    def __post_init__(self) -> None:
        for settings in (self.task, self.training, self.pruning):
            check_settings(settings)

    def tuned(self, setting: Tuned, value: float) -> "Configuration":
        """Return these settings with another learning rate or strength."""
        if setting == "learning_rate":
            return dataclasses.replace(self, training=dataclasses.replace(self.training, learning_rate=value))
        return dataclasses.replace(self, pruning=dataclasses.replace(self.pruning, strength=value))

    def value_of(self, setting: Tuned) -> float:
        """Return the learning rate or the strength."""
        return self.training.learning_rate if setting == "learning_rate" else self.pruning.strength

    def as_dict(self) -> dict[str, Any]:
        """Return nested plain values, as written to JSON."""
        return {"name": self.task.name} | {
            "task": plain(self.task),
            "training": plain(self.training),
            "pruning": plain(self.pruning),
        }

    def digest(self) -> str:
        """Return eight hexadecimal digits that tell configurations apart."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:8]


def later(default: Any) -> Any:
    """Return a field of settings that came after results were published.

    Where it has its default, it is not part of what a run is called by, so that runs of versions that did
    not know it are still found and read.

    Parameters
    ----------
    default : object
        What every run had before.
    """
    return field(default=default, metadata={LATER: True})


def plain(settings: Any, whole: bool = False) -> dict[str, Any]:
    """Return settings as plain values that are equal in JSON where settings are equal.

    Parameters
    ----------
    settings : dataclass
        Settings.
    whole : bool
        Whether to keep fields made by `later` that have their default.

    Returns
    -------
    dict

    Examples
    --------
    >>> plain(PruningSettings(strength=10))["strength"]
    10.0
    """
    values: dict[str, Any] = as_json(dataclasses.asdict(settings))
    for name, kind in get_type_hints(type(settings)).items():
        if isinstance(values.get(name), int) and float in (kind, *get_args(kind)):
            values[name] = float(values[name])
    for known in dataclasses.fields(settings):
        if known.metadata.get(LATER) and not whole and getattr(settings, known.name) == known.default:
            del values[known.name]
    return values
