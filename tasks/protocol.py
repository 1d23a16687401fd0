"""The protocol that every method goes through: dense -> sparse -> ticket."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import nn

from moduli.models import CubicSchedule, LinearSchedule, OneShotSchedule, Sparsifier, wiring_length
from moduli.models.schedules import Schedule
from moduli.tasks.configuration import Configuration, PruningSettings
from moduli.tasks.methods import Method, method
from moduli.tasks.runs import RunFolder, provenance
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import Task, make_task
from moduli.tasks.training import train

STAGES = ("trained", "ticket")


@dataclass(frozen=True)
class Run:
    """One method with one seed.

    Parameters
    ----------
    configuration : Configuration
        What all runs of a comparison share.
    method : str
        Name of the method; see `moduli.tasks.methods.method`.
    seed : int
        Seed of data, weights and embedding.
    folder : Path
        Where the run's two stages have their folders.
    """

    configuration: Configuration
    method: str
    seed: int
    folder: Path

    def stage(self, name: str) -> Path:
        """Return the folder of a stage, ``"trained"`` or ``"ticket"``."""
        return self.folder / name

    def identity(self, stage: str) -> dict[str, Any]:
        """Return what determines a stage's numbers."""
        return {
            "configuration": self.configuration.as_dict(),
            "method": self.method,
            "seed": self.seed,
            "stage": stage,
        }


def carry_out(run: Run, threads: int, device: str = "cpu") -> dict[str, dict[str, Any]]:
    """Take one method with one seed through the protocol, continuing where it stopped.

    A network is trained dense for a while, then pruned on the schedule, then trained on; it is
    scored on held-out data. Its ticket, the same masks with fresh weights, is trained as long and
    scored as well. The method ``"dense"`` is never pruned, and its ticket is a second dense network.

    Parameters
    ----------
    run : Run
        What to do, and where to keep it.
    threads : int
        Processor threads to compute with; results are equal to the bit for equal numbers.
    device : str
        PyTorch device.

    Returns
    -------
    dict
        The result of each stage.
    """
    with _threads(threads):
        task = make_task(run.configuration, run.seed, device)
        chosen = method(run.method, stream_seed(run.seed, "permutation"))

        def trained() -> tuple[nn.Module, Sparsifier | None]:
            model = _fresh_model(task, "weights")
            return model, _sparsifier(model, chosen, run)

        def ticket() -> tuple[nn.Module, Sparsifier | None]:
            if not chosen.sparse:
                return _fresh_model(task, "ticket weights"), None
            _, sparsifier = trained()
            assert sparsifier is not None
            finished = RunFolder(run.stage("trained"), run.identity("trained"))
            sparsifier.load_state_dict(finished.load_tensors("sparsifier") or {})
            return sparsifier.ticket(stream_seed(run.seed, "ticket weights"))

        return {
            "trained": _stage(run, "trained", task, trained),
            "ticket": _stage(run, "ticket", task, ticket),
        }


def _fresh_model(task: Task[Any], purpose: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(task.seed, purpose))
        return task.model()


def _stage(
    run: Run, name: str, task: Task[Any], build: Callable[[], tuple[nn.Module, Sparsifier | None]]
) -> dict[str, Any]:
    folder = RunFolder(run.stage(name), run.identity(name))
    finished = folder.result()
    if finished is not None:
        return finished
    model, sparsifier = build()
    seconds = train(task, model, sparsifier, run.configuration.training, folder)
    result = run.identity(name) | {
        "score_name": task.score_name,
        "score": task.score(model),
        "measurements": task.measurements(model),
        "sparsity": sparsifier.sparsity() if sparsifier else {"total": 0.0},
        "wiring": _wiring(sparsifier),
        "references": task.references(),
        "seconds": seconds,
        **provenance(),
    }
    return folder.finish(result, model.state_dict(), sparsifier.state_dict() if sparsifier else {})


def _sparsifier(model: nn.Module, chosen: Method, run: Run) -> Sparsifier | None:
    if not chosen.sparse:
        return None
    pruning = run.configuration.pruning
    embedding = None
    if chosen.manifold is not None:
        embedding = chosen.manifold.random_point(run.configuration.task.units, stream(run.seed, "embedding"))
    return Sparsifier(
        model,
        chosen.regularizer,
        chosen.manifold,
        sparsity=pruning.sparsity,
        schedule=schedule(pruning, run.configuration.training.steps),
        strength=pruning.strength,
        scope=pruning.scope,
        embedding=embedding,
    )


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
