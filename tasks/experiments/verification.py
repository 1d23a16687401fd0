"""Is it a method? What must hold of each part of it, on the very network, before anything is trained."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from moduli.errors import InvalidConfiguration, ModuliError
from moduli.manifolds import check_manifold
from moduli.models import Sparsifier
from moduli.models.verification.masks import check_masks
from moduli.models.verification.sparsifiers import check_sparsifier
from moduli.regularizers import UndefinedCoefficients, check_regularizer
from moduli.tasks.errors import BrokenMethod
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.methods.beforehand import Family
from moduli.tasks.experiments.preparation import fresh_model, sparsifier_of
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import Stage
from moduli.tasks.experiments.training.memory import named_shortage
from moduli.tasks.task import Task, make_task
from moduli.verification import BrokenClause, Clauses, NotApplicable, Report

CASES = 12
"""On how many embeddings a regularizer is tried, and how many masks of a family."""


class Verification:
    """What one command has verified; equal things are verified once."""

    def __init__(self) -> None:
        self._cases: dict[tuple[Any, ...], int] = {}
        self._tasks: dict[str, Task[Any]] = {}

    def verify(self, run: Run) -> None:
        """Verify a method's manifold, its regularizer there, and its masks or pruning on the run's network.

        The network takes a few steps on random gradients. No global generator moves.

        Parameters
        ----------
        run : Run
            A run of the method.

        Raises
        ------
        BrokenClause
            The error of the kind whose clause is broken; it names the method.
        ModuliError
            What the network or the settings refuse.
        """
        try:
            CLAUSES.verify(MethodSearch(run, self))
        except BrokenClause as error:
            cause = error.__cause__
            if isinstance(cause, UndefinedCoefficients):
                raise InvalidConfiguration(
                    f"Nothing was trained, since the method '{run.method_name}' does not suit this network. "
                    f"{cause}"
                ) from None
            if isinstance(error, BrokenMethod) and isinstance(cause, ModuliError):
                raise cause from None
            message = f"Nothing was trained, since the method '{run.method_name}' is broken. {error}"
            raise type(error)(error.clause, message, error.counterexample) from error

    def once(self, content: tuple[Any, ...], check: Callable[[], Report]) -> int:
        """Return how many cases a check of some content tried; it is made once.

        Raises
        ------
        BrokenClause
            The first that the check found.
        """
        if content not in self._cases:
            results = check().results
            for result in results:
                if result.error is not None:
                    raise result.error
            self._cases[content] = sum(result.cases for result in results)
        return self._cases[content]

    def task(self, run: Run) -> Task[Any]:
        """Return a run's task, which the methods of a comparison share."""
        key = json.dumps(run.settings.as_dict() | {"pruning": None}, sort_keys=True)
        if key not in self._tasks:
            self._tasks[key] = make_task(run.settings, run.seed)
        return self._tasks[key]


def verify_waiting(runs: Sequence[Run], execution: Execution, stages: Sequence[Stage]) -> None:
    """Verify, on its network, every method of runs that wait to be trained, unless ``execution`` says no.

    What is finished already is not verified again: nothing is trained there.

    Parameters
    ----------
    runs : sequence of Run
        Of each method and sparsity the first that waits is verified.
    execution : Execution
        Whether methods are verified.
    stages : sequence of str
        What is going to be trained of each run.

    Raises
    ------
    BrokenClause
        If a method's manifold is not a metric space (`MetricAxiomError`), or its regularizer or its pruning
        breaks a clause.
    """
    if not execution.verify:
        return
    first: dict[tuple[str, float], Run] = {}
    for run in runs:
        if not run.finished(stages):
            first.setdefault((run.method_name, run.configuration.pruning.sparsity), run)
    verification = Verification()
    for run in first.values():
        verification.verify(run)


class MethodSearch:
    """What the checks of one method share.

    Parameters
    ----------
    run : Run
        A run of the method, whose network it is tried on.
    verification : Verification, optional
        What is known already.
    """

    def __init__(self, run: Run, verification: Verification | None = None) -> None:
        self.run, self.verification = run, verification or Verification()

    @property
    def subject(self) -> str:
        """The method's name."""
        return self.run.method_name

    def rerun(self, check: str) -> str:
        """Return three lines of Python that check the method again, on a small network."""
        imported = "from moduli.tasks.checks import check_command"
        return f"{imported}\nreport = check_command({self.subject!r})\nprint(report)"


CLAUSES: Clauses[MethodSearch] = Clauses("method", BrokenMethod, ("A method.", "Not a method, as it stands."))
"""What must hold of a method before anything is trained with it."""


@CLAUSES.clause("manifold", "its manifold is a metric space")
def check_its_manifold(search: MethodSearch) -> int:
    """Check the clauses of a manifold."""
    manifold = search.run.method.manifold
    if manifold is None:
        raise NotApplicable("It places neurons nowhere.")
    return search.verification.once((manifold,), lambda: check_manifold(manifold))


@CLAUSES.clause("regularizer", "its coefficients do what a regularizer must, on its manifold")
def check_its_regularizer(search: MethodSearch) -> int:
    """Check the clauses of a regularizer."""
    manifold, regularizer = search.run.method.manifold, search.run.method.regularizer
    if regularizer is None:
        raise NotApplicable("It has no coefficients.")
    return search.verification.once(
        (regularizer, manifold), lambda: check_regularizer(regularizer, manifold, cases=CASES)
    )


@CLAUSES.clause("masks", "its family of masks is one, where it has one")
def check_its_masks(search: MethodSearch) -> int:
    """Check the clauses of a mask family."""
    family = search.run.method.masks
    if not isinstance(family, Family):
        raise NotApplicable("It has no family of masks.")
    return search.verification.once((family.name,), lambda: check_masks(family.make, cases=CASES))


@CLAUSES.clause("pruning", "its masks, or its pruning, do on its network what a sparsifier must")
def check_its_pruning(search: MethodSearch) -> int:
    """Check the clauses of a sparsifier; on sparsity they depend where masks are known beforehand."""
    run = search.run
    if not run.method.sparse:
        raise NotApplicable("It prunes nothing.")
    content = {name: value for name, value in run.identity.items() if name != "seed"}
    if run.method.masks is None:
        content["pruning"] = content["pruning"] | {"sparsity": None}
    key = (json.dumps(content, sort_keys=True),)
    return search.verification.once(key, lambda: _check_pruning(run, search.verification.task(run)))


def _check_pruning(run: Run, task: Task[Any]) -> Report:
    """Return the report on what prunes a run's network; raise what it refuses, or a lack of memory."""
    with named_shortage(f"The network of {run.label}"):
        fresh_model(task)
    refusals: list[ModuliError] = []

    def make(model: nn.Module) -> Sparsifier:
        try:
            return sparsifier_of(model, run, task.recurrent)
        except ModuliError as error:
            refusals.append(error)
            raise

    report = check_sparsifier(make, model=lambda: fresh_model(task), cases=1)
    if refusals:
        raise refusals[0]
    return report
