"""The protocol that every method goes through: dense -> sparse -> ticket."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from moduli.models import (
    CubicSchedule,
    LinearSchedule,
    OneShotSchedule,
    Sparsifier,
    geometric_mask,
    weight_matrices,
    wiring_length,
)
from moduli.models.pruning.schedules import Schedule
from moduli.requirements import require
from moduli.tasks.experiments.devices import FabricDevices, OneDevice, check_device, make_fabric
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.methods import Method, method
from moduli.tasks.experiments.runs import RunFolder, provenance
from moduli.tasks.experiments.settings import Configuration, PruningSettings, plain
from moduli.tasks.experiments.training import train
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import Task, make_task

if TYPE_CHECKING:
    from lightning.fabric import Fabric

STAGES = ("trained", "ticket")


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

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the run's numbers."""
        pruning = self.pruning
        return self.configuration.as_dict() | {
            "pruning": None if pruning is None else plain(pruning),
            "method": self.method_name,
            "seed": self.seed,
        }

    @cached_property
    def folder(self) -> Path:
        """The run's folder, named by what it is and by a digest of its identity."""
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:10]
        pruning = self.pruning
        words = [self.configuration.task.name, self.method_name]
        words += [] if pruning is None else [f"{pruning.sparsity:.4g}"]
        readable = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))
        return self.out / f"{readable}-seed-{self.seed}-{digest}"

    def stage(self, name: str) -> Path:
        """Return the folder of a stage, ``"trained"`` or ``"ticket"``."""
        return self.folder / name

    def open(self, name: str) -> RunFolder:
        """Return what is on disk of a stage, ``"trained"`` or ``"ticket"``."""
        return RunFolder(self.stage(name), self.identity | {"stage": name})


def carry_out(run: Run, execution: Execution | None = None) -> dict[str, dict[str, Any]]:
    """Take one method with one seed through the protocol, continuing where it stopped.

    A network is trained dense for a while, then pruned on the schedule, then trained on; it is
    scored on held-out data. Its ticket, the same masks with fresh weights, is trained as long and
    scored as well. The method ``"dense"`` is never pruned, and its ticket is a second dense network.

    Parameters
    ----------
    run : Run
        What to do, and where to keep it.
    execution : Execution, optional
        Device and threads; results are equal to the bit for equal ones.

    Returns
    -------
    dict
        The result of each stage.

    Raises
    ------
    InvalidConfiguration
        If the device cannot be used, or the batch cannot be shared equally.
    """
    execution = execution or Execution()
    check_device(execution.device)
    batch = run.configuration.training.batch
    require(batch % execution.devices == 0, "batch", f"a multiple of {execution.devices} devices", batch)
    precision = run.configuration.training.precision
    if execution.devices == 1 and precision == "32-true":
        return _carry_out(run, execution, OneDevice(), execution.device)
    fabric = make_fabric(execution.device, execution.devices, precision)
    results: dict[str, dict[str, Any]] = fabric.launch(partial(_carry_out_on, run=run, execution=execution))
    return results


def _carry_out_on(fabric: "Fabric", run: Run, execution: Execution) -> dict[str, dict[str, Any]]:
    return _carry_out(run, execution, FabricDevices(fabric), fabric.device)


def _carry_out(
    run: Run, execution: Execution, devices: OneDevice, device: torch.device | str
) -> dict[str, dict[str, Any]]:
    with _threads(execution.threads):
        task = make_task(run.configuration, run.seed, device)

        def trained() -> tuple[nn.Module, Sparsifier | None]:
            model = _fresh_model(task, "weights")
            return model, _sparsifier(model, run)

        def ticket() -> tuple[nn.Module, Sparsifier | None]:
            if not run.method.sparse:
                return _fresh_model(task, "ticket weights"), None
            _, sparsifier = trained()
            assert sparsifier is not None
            sparsifier.load_state_dict(run.open("trained").load_tensors("sparsifier") or {})
            return sparsifier.ticket(stream_seed(run.seed, "ticket weights"))

        return {
            "trained": _stage(run, "trained", task, trained, execution, devices),
            "ticket": _stage(run, "ticket", task, ticket, execution, devices),
        }


def _fresh_model(task: Task[Any], purpose: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(task.seed, purpose))
        return task.model()


def _stage(
    run: Run,
    name: str,
    task: Task[Any],
    build: Callable[[], tuple[nn.Module, Sparsifier | None]],
    execution: Execution,
    devices: OneDevice,
) -> dict[str, Any]:
    folder = run.open(name)
    with folder.claimed() if devices.rank == 0 else nullcontext():
        devices.wait()
        finished = folder.result()
        devices.wait()
        if finished is not None:
            return finished
        model, sparsifier = build()
        seconds = train(task, model, sparsifier, run.configuration.training, folder, execution, devices)
        result = folder.identity | {
            "score_name": task.score_name,
            "score": task.score(model),
            "measurements": task.measurements(model),
            "sparsity": sparsifier.sparsity() if sparsifier else {"total": 0.0},
            "wiring": _wiring(sparsifier),
            "references": task.references(),
            "seconds": seconds,
            **provenance(),
        }
        if devices.rank == 0:
            folder.finish(result, model.state_dict(), sparsifier.state_dict() if sparsifier else {})
        devices.wait()
        return result


def _sparsifier(model: nn.Module, run: Run) -> Sparsifier | None:
    chosen, pruning = run.method, run.pruning
    if pruning is None:
        return None
    embedding = masks = None
    if chosen.manifold is not None:
        embedding = chosen.manifold.random_point(run.configuration.task.units, stream(run.seed, "embedding"))
        if chosen.a_priori:
            masks = _masks_beforehand(model, run, pruning.sparsity, embedding)
    cuts = schedule(pruning, run.configuration.training.steps)
    return Sparsifier(
        model,
        chosen.regularizer,
        chosen.manifold,
        sparsity=pruning.sparsity if masks is None else None,
        schedule=cuts if masks is None else None,
        strength=0.0 if chosen.a_priori else pruning.strength,
        scope=pruning.scope,
        embedding=embedding,
        masks=masks,
    )


def _masks_beforehand(model: nn.Module, run: Run, sparsity: float, embedding: Tensor) -> dict[str, Tensor]:
    """Return masks of the smallest coefficients, one for each recurrent matrix; gates share it."""
    regularizer, manifold = run.method.regularizer, run.method.manifold
    assert regularizer is not None
    assert manifold is not None
    masks: dict[str, Tensor] = {}
    for matrix in weight_matrices(model):
        if matrix.recurrent:
            seed = stream_seed(run.seed, "ties of masks", len(masks))
            mask = geometric_mask(regularizer, manifold, embedding, sparsity=sparsity, seed=seed)
            masks[matrix.name] = mask.repeat(matrix.gates, 1)
    return masks


def _wiring(sparsifier: Sparsifier | None) -> float | None:
    """Return the mean distance that surviving recurrent weights bridge, relative to chance.

    The mean over recurrent matrices; None for a network whose neurons are placed nowhere.
    """
    if sparsifier is None or sparsifier.manifold is None:
        return None
    ratios = []
    for name, points in sparsifier.embeddings.items():
        wiring, by_chance = wiring_length(sparsifier.masks[name], sparsifier.manifold, points)
        if wiring is None or not by_chance:
            return None
        ratios.append(wiring / by_chance)
    return mean(ratios)


def schedule(pruning: PruningSettings, steps: int) -> Schedule:
    """Return the schedule that settings describe for a training of so many steps."""
    begin, end = round(pruning.begin * steps), round(pruning.end * steps)
    if pruning.schedule == "one-shot":
        return OneShotSchedule(end)
    return CubicSchedule(begin, end) if pruning.schedule == "cubic" else LinearSchedule(begin, end)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
