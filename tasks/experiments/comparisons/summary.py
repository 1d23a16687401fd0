"""The table of a comparison, as its ``results.json`` holds it."""

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

from moduli.tasks.experiments.comparisons.choices import Choice
from moduli.tasks.experiments.comparisons.contrasts import Contrast
from moduli.tasks.experiments.comparisons.estimates import decimals
from moduli.tasks.experiments.configuration.settings import TestFamily, Tuned
from moduli.tasks.experiments.runs.records import Record
from moduli.tasks.experiments.runs.run import label, percent
from moduli.tasks.experiments.runs.stages import (
    STAGES,
    Results,
    Stage,
    StageResult,
    all_verified,
    recurrent_among,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method at one sparsity, with all seeds.

    Parameters
    ----------
    method : str
        Name of the method.
    sparsity : float
        Fraction of zeros in all pruned matrices together, the mean over seeds.
    matrices : dict of str to list of float
        For each pruned matrix its fraction of zeros, a number for each seed.
    wiring : list of float or None
        For each seed the distance that weights bridge, relative to chance; None where neurons are placed
        nowhere.
    folders : list of str
        Each seed's folder, relative to that of all experiments.
    trained : list of float
        Each seed's score of the trained network.
    ticket : list of float or None
        Each seed's score of the ticket; None where no tickets were trained.
    difference : dict of str to list of float, or None
        For each stage the differences from the control, seed by seed; None for the control itself, and
        where there is none.
    recurrent : list of str or None
        Which of the matrices are recurrent; None in files of versions that did not write it.
    target_sparsity : float or None
        The sparsity that was asked for, 0 for a dense network; None in files of versions that did not write
        it.
    """

    method: str
    sparsity: float
    matrices: dict[str, list[float]] = field(default_factory=dict)
    wiring: list[float | None]
    folders: list[str]
    trained: list[float]
    ticket: list[float] | None
    difference: dict[Stage, list[float]] | None
    recurrent: list[str] | None = None
    target_sparsity: float | None = None

    @classmethod
    def of(
        cls,
        method: str,
        results: Sequence[Results],
        folders: list[str],
        control: Sequence[Results] | None,
        target_sparsity: float | None = None,
    ) -> "Row":
        """Return the row of a method's results, one for each seed, beside those of the control."""
        trained = [result["trained"] for result in results]
        scores = {stage: [result[stage].score for result in results] for stage in results[0]}
        controls = {stage: [result[stage].score for result in control or ()] for stage in scores}
        matrices = dict.fromkeys(matrix for result in trained for matrix in result.matrices)
        return cls(
            method=method,
            sparsity=mean(result.sparsity["total"] for result in trained),
            matrices={matrix: [result.sparsity[matrix] for result in trained] for matrix in matrices},
            wiring=[result.wiring for result in trained],
            folders=folders,
            trained=scores["trained"],
            ticket=scores.get("ticket"),
            difference=None
            if control is None
            else {stage: list(map(operator.sub, own, controls[stage])) for stage, own in scores.items()},
            recurrent=recurrent_among(matrices, trained[0].recurrent),
            target_sparsity=target_sparsity,
        )

    @property
    def scores(self) -> dict[Stage, list[float]]:
        """Each seed's score, of each stage that was trained."""
        known = {"trained": self.trained, "ticket": self.ticket}
        return {stage: values for stage in STAGES if (values := known[stage]) is not None}

    @property
    def label(self) -> str:
        """How figures call it: by method, and by the sparsity that was asked for."""
        return label(self.method, self.sparsity if self.target_sparsity is None else self.target_sparsity)

    @property
    def share_of_zeros(self) -> str:
        """The sparsity in percent: what was asked for, or what was found where a file does not say."""
        asked = self.target_sparsity
        return f"{100 * self.sparsity:.4g}%" if asked is None else percent(asked)

    @property
    def mean_wiring(self) -> float | None:
        """The mean of the seeds' wiring; None where one has none."""
        known = [value for value in self.wiring if value is not None]
        return mean(known) if len(known) == len(self.wiring) else None

    @property
    def recurrent_sparsity(self) -> float | None:
        """The mean fraction of zeros over recurrent matrices; None where there are none."""
        names = recurrent_among(self.matrices, self.recurrent)
        return mean(zeros for name in names for zeros in self.matrices[name]) if names else None


@dataclass(frozen=True, kw_only=True)
class Summary(Record):
    """The table of a comparison, and what it takes to repeat it.

    Parameters
    ----------
    command : str or None
        The command that gave it.
    score_name : str
        What was scored, with its unit; lower is better.
    configuration : dict
        The settings that all runs share, as JSON.
    seeds : list of int
        The seeds of every row.
    control : str
        The method from which differences are taken.
    rows : list of Row
        One for each method and sparsity.
    references : dict of str to list of float
        Scores that need no network, a number for each seed.
    seconds_of_training : float
        Of all runs together.
    verified : bool or None
        Whether every network was trained after its method had been verified; None where a result of an
        earlier version does not say.
    floor, ignorance : str or None
        Which of the references is the best that can be hoped for, and which needs no input; see
        `moduli.tasks.task.Task`.
    units : list of int or None
        For each row the units of its networks, where the method has its own number of them.
    contrasts : list of Contrast or None
        The tests of the differences from the control.
    family : {"table", "stage"} or None
        Which of the tests were corrected together.
    margin : float or None
        Differences that are smaller do not matter; None where equivalence was not tested.
    criterion : float or None
        The validation score at which the task counts as learned; None where a task has none.
    steps_to_criterion : list of dict of str to list, or None
        For each row and stage the first validated step at which each seed's network had learned the task, and
        None for a network that never did; None without a criterion.
    choices : list of list of Choice, or None
        For each row the learning rate and the strength that were chosen for it; None where nothing was.

    All that may be None without a reason above is so in files of versions that did not write it.
    """

    command: str | None
    score_name: str
    configuration: dict[str, Any]
    seeds: list[int]
    control: str
    rows: list[Row]
    references: dict[str, list[float]]
    seconds_of_training: float
    verified: bool | None = None
    floor: str | None = None
    ignorance: str | None = None
    units: list[int | None] | None = None
    contrasts: list[Contrast] | None = None
    family: TestFamily | None = None
    margin: float | None = None
    criterion: float | None = None
    steps_to_criterion: list[dict[Stage, list[int | None]]] | None = None
    choices: list[list[Choice]] | None = None

    def __post_init__(self) -> None:
        seeds = len(self.seeds)
        if not self.rows or not seeds or not all(self.references.values()):
            raise ValueError("it has no rows, no seeds, or a reference without a number")
        if self.units is not None and len(self.units) != len(self.rows):
            raise ValueError("units does not have an entry for each row")
        if self.choices is not None:
            if len(self.choices) != len(self.rows):
                raise ValueError("choices does not have an entry for each row")
            for row, choices in zip(self.rows, self.choices, strict=True):
                if any(each.method != row.method for each in choices):
                    raise ValueError(f"choices has another method in the place of {row.method}")
                if any(set(each.seeds) & set(self.seeds) for each in choices):
                    raise ValueError("choices has seeds of the table")
        steps = self.steps_to_criterion
        if (steps is None) != (self.criterion is None):
            raise ValueError("of criterion and steps_to_criterion one is missing")
        if steps is not None and (
            len(steps) != len(self.rows)
            or any(row.keys() != set(self.stages) for row in steps)
            or any(len(column) != seeds for row in steps for column in row.values())
        ):
            raise ValueError("steps_to_criterion does not have an entry for each row, stage and seed")
        for index, row in enumerate(self.rows):
            differences = row.scores if row.difference is None else row.difference
            for what, by_stage in (
                (f"rows[{index}]", row.scores),
                (f"rows[{index}].difference", differences),
            ):
                if by_stage.keys() != set(self.stages):
                    raise ValueError(f"{what} does not have the stages {', '.join(self.stages)}")
            columns: list[Sequence[object]] = [row.wiring, row.folders, *row.scores.values()]
            columns += [*row.matrices.values(), *differences.values()]
            if any(len(column) != seeds for column in columns):
                raise ValueError(f"rows[{index}] does not have a number for each of the {seeds} seeds")

    @classmethod
    def of_run(cls, folder: str, results: Results) -> "Summary":
        """Return the summary of a single run in a folder: a table of one row."""
        trained: StageResult = results["trained"]
        return cls(
            command=None,
            score_name=trained.score_name,
            configuration={
                "name": trained.name,
                "task": trained.task,
                "training": trained.training,
                "pruning": trained.pruning,
            },
            seeds=[trained.seed],
            control="",
            rows=[Row.of(trained.method, [results], [folder], control=None)],
            references={name: [value] for name, value in trained.references.items()},
            seconds_of_training=sum(result.seconds for result in results.values()),
            verified=all_verified(results.values()),
            **learning([[results]]),
            versions=trained.versions,
            commit=trained.commit,
            machine=trained.machine,
            finished=trained.finished,
        )

    @property
    def stages(self) -> list[Stage]:
        """What was trained: networks, and their tickets unless they were left out."""
        return list(self.rows[0].scores)

    @property
    def names(self) -> list[str]:
        """How tables call the rows."""
        units = self.units or [None] * len(self.rows)
        return [
            row.method if count is None else f"{row.method} ({count} unit{'' if count == 1 else 's'})"
            for row, count in zip(self.rows, units, strict=True)
        ]

    @property
    def labels(self) -> list[str]:
        """How sentences call the rows: by name, and by sparsity where several have one name."""
        return [
            name if self.names.count(name) == 1 else f"{name} {row.share_of_zeros}"
            for name, row in zip(self.names, self.rows, strict=True)
        ]

    def chosen(self, setting: Tuned) -> list[Choice | None]:
        """Return for each row the choice of a setting; None where it has none of its own."""
        return [
            next((choice for choice in choices if choice.setting == setting), None)
            for choices in self.choices or [[] for _ in self.rows]
        ]

    def void(self, row: Row, stage: Stage) -> list[bool]:
        """Return for each seed whether the network learned nothing: ignorance would have done as well."""
        return void_runs(row.scores[stage], self.references.get(self.ignorance or ""))

    def share(self, row: Row, stage: Stage) -> list[float] | None:
        """Return where each seed's score is between the floor, 0, and ignorance, 1.

        None where a task does not know both, or the floor is not below.
        """
        floors = self.references.get(self.floor or "")
        bounds = self.references.get(self.ignorance or "")
        if floors is None or bounds is None or any(map(operator.ge, floors, bounds)):
            return None
        scores = row.scores[stage]
        return [
            (score - floor) / (bound - floor)
            for score, floor, bound in zip(scores, floors, bounds, strict=True)
        ]

    @property
    def outdone(self) -> tuple[list[str], list[str]]:
        """The methods that some reference outdoes, trained or as tickets, and those references.

        A method is told with its sparsity where it is outdone at some of its sparsities alone. The floor is
        left out: nothing can be expected to reach it.
        """
        by_row = [
            [
                reference
                for reference, values in self.references.items()
                if reference != self.floor
                and any(not mean(scores) <= mean(values) for scores in row.scores.values())
            ]
            for row in self.rows
        ]
        spared = {name for name, references in zip(self.names, by_row, strict=True) if not references}
        methods = [
            label if name in spared else name
            for name, label, references in zip(self.names, self.labels, by_row, strict=True)
            if references
        ]
        found = [reference for reference in self.references if any(reference in each for each in by_row)]
        return list(dict.fromkeys(methods)), found

    @property
    def compared(self) -> bool:
        """Whether any row has differences from the control."""
        return any(row.difference for row in self.rows)

    @property
    def several_matrices(self) -> bool:
        """Whether several matrices of a network were pruned: a nearly empty one hides in their mean."""
        return any(len(row.matrices) > 1 for row in self.rows)

    @property
    def decimals(self) -> int:
        """How many decimals its scores are shown with."""
        return decimals(mean(scores) for row in self.rows for scores in row.scores.values())


def learning(rows: Iterable[Sequence[Results]]) -> dict[str, Any]:
    """Return a task's criterion and the steps to it for a `Summary`; nothing where a result does not say.

    Parameters
    ----------
    rows : iterable of sequence of dict
        For each row the results of its seeds.
    """
    rows = list(rows)
    criteria = {stage.criterion for row in rows for result in row for stage in result.values()}
    if len(criteria) != 1 or None in criteria:
        return {}
    steps = [
        {stage: [result[stage].steps_to_criterion for result in row] for stage in row[0]} for row in rows
    ]
    return {"criterion": criteria.pop(), "steps_to_criterion": steps}


def void_runs(scores: Sequence[float], ignorance: Sequence[float] | None) -> list[bool]:
    """Tell which runs learned nothing: their score is not a number, or that of ignorance is as good.

    Examples
    --------
    >>> void_runs([8.5, 41.0, math.inf], [40.0, 40.0, 40.0])
    [False, True, True]
    """
    bounds = ignorance or [math.inf] * len(scores)
    return [not score < bound for score, bound in zip(scores, bounds, strict=True)]
