"""A run: one method with one seed, who it is and where it is."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, plain
from moduli.tasks.experiments.methods import Method, method
from moduli.tasks.experiments.runs.extensions import Extension, extensions
from moduli.tasks.experiments.runs.run_folder import RunFolder, is_finished
from moduli.tasks.experiments.runs.stages import STAGES, Stage
from moduli.tasks.seeds import stream_seed

MOST_CHARACTERS = 150
"""How much of a method's name is in a folder's name; file systems admit 255 characters in all."""


@dataclass(frozen=True)
class Run:
    """One method with one seed, in a folder that its content names.

    Comparisons that share a run share its folder: a dense network, which no pruning setting
    concerns, is trained once for all sparsities.

    Parameters
    ----------
    configuration : Configuration
        Settings of the task, of training and of pruning.
    method_name : str
        Name of the method; see `moduli.tasks.experiments.methods.method`.
    seed : int
        Seed of data, weights and embedding.
    out : Path
        Folder in which the run's folder is.
    """

    configuration: Configuration
    method_name: str
    seed: int
    out: Path

    @cached_property
    def method(self) -> Method:
        """How the network is penalised and pruned."""
        permutation = stream_seed(self.seed, "permutation")
        return method(self.method_name, permutation, self.configuration.pruning.matched)

    @property
    def pruning(self) -> PruningSettings | None:
        """How the network is pruned; None for a dense one."""
        chosen = self.method
        return chosen.pruning(self.configuration.pruning) if chosen.sparse else None

    @cached_property
    def settings(self) -> Configuration:
        """The configuration with what the method changes of the network's size."""
        return self.method.configuration(self.configuration)

    @cached_property
    def extensions(self) -> list[Extension]:
        """What the method and the task use that is not this library's own; it travels with the run."""
        return extensions(self.method.name, self.configuration.task)

    @property
    def label(self) -> str:
        """How tables and figures call the run, without its seed."""
        sparsity = self.configuration.pruning.sparsity if self.method.has_sparsity else 0.0
        return label(self.method_name, sparsity)

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the run's numbers; of things that are not this library's own, their sources too."""
        pruning = self.pruning
        known = self.settings.as_dict() | {
            "pruning": None if pruning is None else plain(pruning),
            "method": self.method_name,
            "seed": self.seed,
        }
        code = {f"{each.kind} {each.name}": each.digest for each in self.extensions if each.digest}
        return known | {"code": code} if code else known

    @cached_property
    def folder(self) -> Path:
        """The run's folder, named by what it is and by a digest of its identity."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:10]
        pruning = self.pruning
        words = [self.configuration.task.name, self.method_name]
        words += [] if pruning is None else [f"{pruning.sparsity:.4g}"]
        name = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))[:MOST_CHARACTERS]
        return self.out / f"{name}-seed-{self.seed}-{digest}"

    def stage(self, stage: Stage) -> Path:
        """Return the folder of a stage."""
        return self.folder / stage

    def finished(self, stages: Sequence[Stage] = STAGES) -> bool:
        """Tell whether stages are on disk with all that goes with their results."""
        return all(is_finished(self.stage(stage)) for stage in stages)

    def open(self, stage: Stage) -> RunFolder:
        """Return what is on disk of a stage."""
        return RunFolder(self.stage(stage), self.identity | {"stage": stage})


def readable(name: str) -> str:
    """Return the name of a folder that says what is in it, whatever a method is called.

    Examples
    --------
    >>> readable("run-torus:dog # /../x-seed-0")
    'run-torus-dog-..-x-seed-0'
    """
    plain = re.sub(r"[^A-Za-z0-9.@(),=_]+", "-", name)
    if len(plain) <= MOST_CHARACTERS:
        return plain
    return f"{plain[:MOST_CHARACTERS]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def label(method: str, sparsity: float) -> str:
    """Return how a row of a comparison is called.

    Examples
    --------
    >>> label("none", 0.98), label("none", 0.99999), label("dense", 0.0)
    ('none 98%', 'none 99.999%', 'dense')
    """
    return f"{method} {percent(sparsity)}" if sparsity else method


def percent(share: float) -> str:
    """Return a share that somebody asked for as they would write it, so that different ones stay different.

    Examples
    --------
    >>> percent(0.57), percent(0.9995)
    ('57%', '99.95%')
    """
    return f"{100 * share:.10g}%"
