"""Many runs: side by side on one machine, on a cluster, or one over several devices."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.resource_tracker import ensure_running
from typing import TypeVar

import joblib
from joblib.externals.loky.process_executor import TerminatedWorkerError

from moduli.errors import InvalidConfiguration
from moduli.requirements import require, require_package
from moduli.tasks.errors import WorkerDied
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.runs.extensions import Extension, register_extensions
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.training.interruption import ctrl_c_later, end_with_parent, let_ctrl_c_through

Found = TypeVar("Found")


def in_workers(
    work: Callable[[Run, Execution], Found],
    runs: Sequence[Run],
    jobs: int,
    execution: Execution,
    dask: str | None = None,
) -> list[Found]:
    """Do some work on runs that do not depend on one another.

    Parameters
    ----------
    work : callable
        What is done with a run, such as `moduli.tasks.experiments.protocol.carry_out`.
    runs : sequence of Run
        What to do.
    jobs : int
        Number of runs at once, each in a process of its own.
    execution : Execution
        How each is carried out.
    dask : str, optional
        Address of a Dask scheduler. Its workers carry the runs out, as many at once as they have
        threads; they must see the run folders under the same path.

    Returns
    -------
    list
        What the work returned for each run, in the order of the runs.

    Raises
    ------
    WorkerDied
        If a process that carries runs out is killed.
    InvalidConfiguration
        If no scheduler answers at the address, or jobs is not a positive whole number.
    MissingDependency
        If a cluster is asked for without Dask.
    """
    require(type(jobs) is int and jobs > 0, "jobs", "a positive whole number", jobs)
    with contextlib.ExitStack() as stack:
        if dask is not None:
            distributed = require_package("distributed", "Dask's clusters", "cluster")
            try:
                stack.enter_context(distributed.Client(dask))
            except (OSError, ValueError) as error:
                raise InvalidConfiguration(
                    f"No Dask scheduler answers at '{dask}' ({error}); start one by `dask scheduler`, or "
                    "leave --dask out."
                ) from error
            stack.enter_context(joblib.parallel_config("dask"))
            jobs = -1
        try:
            if jobs > 1 and os.name == "posix":
                ensure_running()  # a tracker that starts later lets Ctrl-C through (Python 3.11)
            with ctrl_c_later():  # workers let it through when they work, see `_work`
                found: Iterator[Found] = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator")(
                    joblib.delayed(_work)(work, run, run.extensions, execution, None if dask else os.getpid())
                    for run in runs
                )
            return list(found)
        except TerminatedWorkerError as error:
            raise WorkerDied(
                "A worker process died; the system may have killed it for want of memory. The same command "
                "continues where the runs stopped; fewer --jobs take less memory."
            ) from error


def _work(
    work: Callable[[Run, Execution], Found],
    run: Run,
    extensions: Sequence[Extension],
    execution: Execution,
    parent: int | None,
) -> Found:
    """Work on a run in a worker, which ends with the process that started it; a cluster's does not."""
    register_extensions(extensions)
    if parent is None:
        return work(run, execution)
    end_with_parent(parent)
    try:
        if os.getpid() != parent:
            let_ctrl_c_through()
        return work(run, execution)
    except KeyboardInterrupt:
        if os.getppid() != parent and os.getpid() != parent:
            os._exit(1)  # what there is was saved, and nobody waits for an answer
        raise
