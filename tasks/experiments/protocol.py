"""The protocol that every method goes through: dense -> sparse -> ticket."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from statistics import mean
from typing import Any

import torch

from moduli.models import Sparsifier, dense_state, train_survivors, wiring_length
from moduli.requirements import require
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.preparation import fresh_network, recurrent_matrices, ticket_network
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.numbers import graph_numbers
from moduli.tasks.experiments.runs.records import provenance
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.runs.stages import STAGES, Results, Stage, StageResult, steps_to
from moduli.tasks.experiments.training.devices import Devices, on_devices
from moduli.tasks.experiments.training.loop import train
from moduli.tasks.experiments.training.memory import named_shortage
from moduli.tasks.task import Task, make_task


def carry_out(run: Run, execution: Execution | None = None, stages: Sequence[Stage] = STAGES) -> Results:
    """Take one method with one seed through the protocol, continuing where it stopped.

    A network is trained dense for a while, then pruned on the schedule, then trained on; it is
    scored on held-out data. Its ticket, the same masks with fresh weights, is trained as long and
    scored as well. The method ``"dense"`` is never pruned, and its ticket is a second dense network.
    A method that says ``@survivors`` trains both without their dead weights.

    Parameters
    ----------
    run : Run
        What to do, and where to keep it.
    execution : Execution, optional
        Device and threads; results are equal to the bit for equal ones.
    stages : sequence of str
        Which stages; the ticket needs the trained network's masks.

    Returns
    -------
    dict of str to StageResult
        The result of each stage.

    Raises
    ------
    InvalidConfiguration
        If the device cannot be used, or the batch cannot be shared equally.
    OutOfMemory
        If the network or its batches need more memory than there is.
    """
    execution = execution or Execution()
    training = run.configuration.training
    expected = f"a multiple of {execution.devices} devices"
    require(training.batch % execution.devices == 0, "batch", expected, training.batch)
    work = partial(_carry_out_stages, run, execution, stages)
    with named_shortage(f"The run {run.label} with seed {run.seed}"):
        on_devices(work, execution.device, execution.devices, training.precision)
    results = {stage: run.open(stage).result() for stage in stages}
    return {stage: result for stage, result in results.items() if result is not None}


def _carry_out_stages(run: Run, execution: Execution, stages: Sequence[Stage], devices: Devices) -> None:
    with _threads(execution.threads):
        task = make_task(run.settings, run.seed, devices.device)
        for stage in stages:
            _carry_out_stage(run, stage, task, execution, devices)


def _carry_out_stage(run: Run, stage: Stage, task: Task[Any], execution: Execution, devices: Devices) -> None:
    folder = run.open(stage)
    with folder.claimed() if devices.rank == 0 else nullcontext():
        devices.wait()
        finished = folder.result()
        devices.wait()
        if finished is not None:
            return
        model, sparsifier = (fresh_network if stage == "trained" else ticket_network)(run, task)
        settings = run.configuration.training
        if run.method.by_survivors:
            assert sparsifier is not None
            sparse = train_survivors(model, sparsifier.masks)
            zeros = sparsifier.sparsity()["total"]
            seconds = train(task, sparse, None, settings, folder, execution, devices, zeros)
            model.load_state_dict(dense_state(sparse.state_dict()))
        else:
            seconds = train(task, model, sparsifier, settings, folder, execution, devices)
        recurrent = [matrix.name for matrix in recurrent_matrices(model, task.recurrent)]
        result = StageResult(
            **folder.identity,
            score_name=task.score_name,
            score=task.score(model),
            measurements=task.measurements(model) | _steps_to_criterion(task, folder),
            sparsity=sparsifier.sparsity() if sparsifier else {"total": 0.0},
            wiring=_wiring(sparsifier) if sparsifier else None,
            references=task.references(),
            seconds=seconds,
            recurrent=recurrent,
            graphs=graph_numbers(sparsifier, recurrent) if sparsifier and stage == "trained" else None,
            verified=execution.verify,
            criterion=task.criterion,
            **provenance(),
        )
        if devices.rank == 0:
            folder.finish(result, model.state_dict(), sparsifier.state_dict() if sparsifier else {})
        devices.wait()


def _steps_to_criterion(task: Task[Any], folder: RunFolder) -> dict[str, Any]:
    """Return, under its name, the first validated step at which a task was learned; None if it never was."""
    if task.criterion is None:
        return {}
    reached = [row["step"] for row in read_metrics(folder.path) if row["validation"] <= task.criterion]
    return {steps_to(task.criterion): int(reached[0]) if reached else None}


def _wiring(sparsifier: Sparsifier) -> float | None:
    """Return the mean distance that surviving recurrent weights bridge, relative to chance.

    The mean over recurrent matrices; None for a network whose neurons are placed nowhere.
    """
    if sparsifier.manifold is None:
        return None
    ratios = []
    for name, points in sparsifier.embeddings.items():
        wiring, by_chance = wiring_length(sparsifier.masks[name], sparsifier.manifold, points)
        if wiring is None or not by_chance:
            return None
        ratios.append(wiring / by_chance)
    return mean(ratios)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
