"""What each stage of a run starts from: a fresh model, and what prunes it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from moduli.models import (
    OneShotSchedule,
    Sparsifier,
)
from moduli.models.errors import NothingToPrune
from moduli.models.matrices import WeightMatrix, named_matrices
from moduli.models.pruning.schedules import SCHEDULES, Schedule
from moduli.tasks.experiments.configuration.settings import PruningSettings
from moduli.tasks.experiments.methods.beforehand import MaskRule
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import Task

Network = tuple[nn.Module, Sparsifier | None]
"""A model and what prunes it, if anything does."""


def fresh_network(run: Run, task: Task[Any]) -> Network:
    """Return a fresh model, and the sparsifier that the run's method asks for; none for a dense one."""
    model = fresh_model(task)
    pruning = run.pruning
    if run.method.narrow:
        _require_recurrence(recurrent_matrices(model, task.recurrent), run)
    return model, None if pruning is None else sparsifier_of(model, run, task.recurrent)


def ticket_network(run: Run, task: Task[Any]) -> Network:
    """Return a fresh model with the masks that the run left on disk; a dense one's is just another model."""
    pruning = run.pruning
    if pruning is None:
        return fresh_model(task, "ticket weights"), None
    sparsifier = sparsifier_of(fresh_model(task), run, task.recurrent)
    sparsifier.load_state_dict(run.open("trained").load_tensors("sparsifier") or {})
    return sparsifier.ticket(stream_seed(run.seed, "ticket weights"))


def fresh_model(task: Task[Any], purpose: str = "weights") -> nn.Module:
    """Return a task's model with weights from the task's own stream for a purpose."""
    with torch.random.fork_rng():
        torch.manual_seed(stream_seed(task.seed, purpose))
        return task.model()


def recurrent_matrices(model: nn.Module, recurrent: Sequence[str] = ()) -> list[WeightMatrix]:
    """Return the recurrent weight matrices of a model; there may be none.

    Parameters
    ----------
    model : nn.Module
        The model.
    recurrent : sequence of str
        Names of those in cells written by hand; those of PyTorch's modules are known.
    """
    try:
        return [matrix for matrix in named_matrices(model, recurrent=recurrent).values() if matrix.recurrent]
    except NothingToPrune:
        return []


def schedule(pruning: PruningSettings, steps: int) -> Schedule:
    """Return the schedule that settings describe for a training of so many steps."""
    marks = {"begin": round(pruning.begin * steps), "end": round(pruning.end * steps)}
    if pruning.schedule == "one-shot":
        return OneShotSchedule(marks["end"])
    return SCHEDULES[pruning.schedule](**marks)


def sparsifier_of(model: nn.Module, run: Run, recurrent: Sequence[str] = ()) -> Sparsifier:
    """Return what prunes a model as the run's method asks, which is not a dense one.

    Parameters
    ----------
    model : nn.Module
        The model.
    run : Run
        Whose method it is.
    recurrent : sequence of str
        Names of recurrent weights in cells written by hand; see `moduli.tasks.task.Task`.

    Raises
    ------
    NothingToPrune
        If the method penalises or prunes recurrent weights and the model has none.
    """
    chosen, pruning = run.method, run.pruning
    assert pruning is not None
    matrices = recurrent_matrices(model, recurrent)
    if chosen.regularizer is not None or chosen.masks is not None or pruning.scope == "recurrent":
        _require_recurrence(matrices, run)
    embedding = _embedding(matrices, run)
    if chosen.masks is not None:
        return Sparsifier(
            model,
            chosen.regularizer,
            chosen.manifold,
            strength=0.0,
            scope=pruning.scope,
            embedding=embedding,
            masks=_masks_beforehand(matrices, run, chosen.masks, pruning.sparsity, embedding or {}),
            recurrent=recurrent,
        )
    return Sparsifier(
        model,
        chosen.regularizer,
        chosen.manifold,
        sparsity=pruning.sparsity,
        schedule=schedule(pruning, run.configuration.training.steps),
        strength=pruning.strength,
        scope=pruning.scope,
        embedding=embedding,
        recurrent=recurrent,
    )


def _require_recurrence(matrices: Sequence[WeightMatrix], run: Run) -> None:
    """Raise `NothingToPrune` if a network has no recurrent weights, which a run's method is about."""
    if not matrices:
        raise NothingToPrune(
            f"The method '{run.method_name}' is about recurrent weights, and this network of the task "
            f"'{run.configuration.task.name}' has none; choose another cell or more layers, or one of the "
            "methods dense (nothing is cut) and none@layer (every matrix is), which need none."
        )


def _embedding(matrices: Sequence[WeightMatrix], run: Run) -> dict[str, Tensor] | None:
    """Return the points of each recurrent matrix, all from the same stream: layers of one size share them."""
    manifold = run.method.manifold
    if manifold is None:
        return None
    return {
        matrix.name: manifold.random_point(matrix.neurons, stream(run.seed, "embedding"))
        for matrix in matrices
        if matrix.neurons is not None
    }


def _masks_beforehand(
    matrices: Sequence[WeightMatrix],
    run: Run,
    rule: MaskRule,
    sparsity: float,
    embedding: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Return the masks that a rule makes, one for each recurrent matrix; gates share it.

    Layers of one size have one seed. Their neurons have the same places, so that a mask by distance is the
    same in each layer; one that is drawn at random must be so as well, to differ in its places alone.
    """
    masks: dict[str, Tensor] = {}
    sizes = list(dict.fromkeys(matrix.neurons for matrix in matrices if matrix.neurons is not None))
    for matrix in matrices:
        if matrix.neurons is not None:
            seed = stream_seed(run.seed, "ties of masks", sizes.index(matrix.neurons))
            mask = rule.mask(matrix.neurons, embedding.get(matrix.name), sparsity=sparsity, seed=seed)
            masks[matrix.name] = mask.repeat(matrix.gates, 1)
    return masks
