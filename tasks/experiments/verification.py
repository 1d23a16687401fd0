"""What a comparison verifies before anything is trained: each method, on the very network."""

import json
from typing import Any

from torch import nn

from moduli.errors import ModuliError
from moduli.manifolds import verify
from moduli.models import Sparsifier, verify_sparsifier
from moduli.regularizers import verify_regularizer
from moduli.tasks.experiments.preparation import fresh_model, sparsifier_of
from moduli.tasks.experiments.run import Run
from moduli.tasks.task import Task, make_task
from moduli.verification import BrokenClause

CASES = 12
"""On how many embeddings a regularizer is tried."""


class Verification:
    """What one command has verified; equal things are verified once."""

    def __init__(self) -> None:
        self._verified: set[tuple[Any, ...]] = set()
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
        """
        chosen = run.method
        manifold, regularizer = chosen.manifold, chosen.regularizer
        try:
            if manifold is not None and self._is_new(manifold):
                verify(manifold)
            if regularizer is not None and self._is_new(regularizer, manifold):
                verify_regularizer(regularizer, manifold, cases=CASES)
            if chosen.sparse and self._is_new(json.dumps(run.identity, sort_keys=True)):
                self._verify_pruning(run)
        except BrokenClause as error:
            message = f"Nothing was trained, since the method '{chosen.name}' is broken. {error}"
            raise type(error)(error.clause, message, error.counterexample) from error

    def _is_new(self, *content: Any) -> bool:
        if content in self._verified:
            return False
        self._verified.add(content)
        return True

    def _verify_pruning(self, run: Run) -> None:
        task = self._task(run)
        refusals: list[ModuliError] = []

        def make(model: nn.Module) -> Sparsifier:
            try:
                return sparsifier_of(model, run)
            except ModuliError as error:
                refusals.append(error)
                raise

        try:
            verify_sparsifier(make, model=lambda: fresh_model(task), cases=1)
        except BrokenClause as error:
            if refusals:
                raise refusals[0] from error
            raise

    def _task(self, run: Run) -> Task[Any]:
        """Return the run's task, which the methods of a comparison share."""
        key = json.dumps(run.configuration.as_dict() | {"pruning": None}, sort_keys=True)
        if key not in self._tasks:
            self._tasks[key] = make_task(run.configuration, run.seed)
        return self._tasks[key]
