"""The two stages of a run, and what is known of one when it has ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from moduli.models.matrices import is_recurrent
from moduli.tasks.experiments.runs.records import Record

Stage = Literal["trained", "ticket"]

STAGES: tuple[Stage, ...] = ("trained", "ticket")
"""A network is trained and pruned; then its ticket, the same masks with fresh weights, is trained."""


@dataclass(frozen=True, kw_only=True)
class StageResult(Record):
    """What ``results.json`` in the folder of a run's stage says.

    Parameters
    ----------
    format : int
        Version of what run folders hold.
    name : str
        Name of the task.
    task, training : dict
        Settings of the task and of the training.
    pruning : dict or None
        How the network was pruned; None for a dense one.
    method : str
        Name of the method.
    seed : int
        Seed of data, weights and embedding.
    stage : {"trained", "ticket"}
        Which stage it is.
    score_name : str
        What was scored, with its unit.
    score : float
        The score on held-out data; lower is better.
    measurements : dict
        What else the task measured.
    sparsity : dict of str to float
        Fraction of zeros in each pruned matrix, and in ``"total"``.
    wiring : float or None
        Mean distance that surviving recurrent weights bridge, relative to chance; None for a network whose
        neurons are placed nowhere.
    references : dict of str to float
        Scores that need no network.
    seconds : float
        Time of training.
    recurrent : list of str or None
        Names of the recurrent matrices; None in files of versions that did not write them.
    graphs : dict or None
        The statistics of each recurrent mask's graph, see `moduli.models.GraphStatistics`; None for a ticket,
        whose masks are the trained network's, and in files of versions that did not write them.
    verified : bool or None
        Whether the method was verified before the training, in the same command; None where a result of an
        earlier version does not say.
    criterion : float or None
        The validation score at which the task counts as learned, whose step is among the measurements by the
        name `steps_to`; None where a task has none, and in files of versions that did not write it.
    code : dict of str to str or None
        Digests of the sources of what the run used that is not this library's own; None where
        it used no such thing.
    """

    format: int
    name: str
    task: dict[str, Any]
    training: dict[str, Any]
    pruning: dict[str, Any] | None
    method: str
    seed: int
    stage: Stage
    score_name: str
    score: float
    measurements: dict[str, Any]
    sparsity: dict[str, float]
    wiring: float | None
    references: dict[str, float]
    seconds: float
    recurrent: list[str] | None = None
    graphs: dict[str, dict[str, float | None]] | None = None
    verified: bool | None = None
    criterion: float | None = None
    code: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if "total" not in self.sparsity:
            raise ValueError("sparsity.total is missing")
        if self.criterion is not None and type(self.steps_to_criterion) not in (int, type(None)):
            raise ValueError(f"measurements.{steps_to(self.criterion)} is not a whole number")

    @property
    def identity(self) -> dict[str, Any]:
        """What determined the numbers; see `moduli.tasks.experiments.runs.run.Run.identity`."""
        names = ("format", "name", "task", "training", "pruning", "method", "seed", "stage")
        known = {name: getattr(self, name) for name in names}
        return known if self.code is None else known | {"code": self.code}

    @property
    def matrices(self) -> dict[str, float]:
        """The fraction of zeros in each pruned matrix."""
        return {name: zeros for name, zeros in self.sparsity.items() if name != "total"}

    @property
    def steps_to_criterion(self) -> int | None:
        """The first validated step at which the task was learned; None where it never was."""
        name = "" if self.criterion is None else steps_to(self.criterion)
        reached: int | None = self.measurements.get(name)
        return reached


Results = dict[Stage, StageResult]
"""What is known of a run that has ended."""


def steps_to(criterion: float) -> str:
    """Return what the steps to a criterion are called.

    Examples
    --------
    >>> steps_to(10.0)
    'steps to 10'
    """
    return f"steps to {criterion:g}"


def recurrent_among(names: Iterable[str], recurrent: list[str] | None) -> list[str]:
    """Return those of some matrices that are recurrent.

    Parameters
    ----------
    names : iterable of str
        Names of parameters.
    recurrent : list of str or None
        What a result says; where it says nothing, PyTorch's names of recurrent weights tell.

    Examples
    --------
    >>> recurrent_among(["encoder.weight", "cell.h2h"], ["cell.h2h"])
    ['cell.h2h']
    """
    return [name for name in names if (is_recurrent(name) if recurrent is None else name in recurrent)]


def all_verified(results: Iterable[StageResult]) -> bool | None:
    """Tell whether all networks were trained after a verification; None where a result does not say."""
    said = [result.verified for result in results]
    return None if None in said else all(said)
