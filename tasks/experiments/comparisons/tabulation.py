"""The table of a comparison: rows with their scores and tests, and a record of every network."""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from moduli.tasks.experiments.comparisons.contrasts import Contrast, contrast, corrected
from moduli.tasks.experiments.comparisons.summary import Row, Summary, learning, void_runs
from moduli.tasks.experiments.runs.files import write_csv, write_sums
from moduli.tasks.experiments.runs.numbers import single_numbers
from moduli.tasks.experiments.runs.records import provenance
from moduli.tasks.experiments.runs.run_folder import claimed
from moduli.tasks.experiments.runs.stages import Results, StageResult, all_verified, steps_to
from moduli.tasks.task import task_class

if TYPE_CHECKING:
    from moduli.tasks.experiments.comparisons.comparison import Comparison

Own = dict[tuple[str, float], list[Results]]
"""The results of each row, a method at a sparsity, in the order of the seeds."""


def tabulated(comparison: "Comparison", results: Sequence[Results], command: str | None) -> Summary:
    """Return a comparison's table; write it to results.json, and its networks to results.csv."""
    rows, seeds = comparison.rows, comparison.seeds
    own: Own = {row: list(results[index :: len(rows)]) for index, row in enumerate(rows)}
    first = [result["trained"] for result in own[rows[0]]]
    task = task_class(comparison.configuration.task)
    references = {name: [result.references[name] for result in first] for name in first[0].references}
    contrasts = list(_contrasts(comparison, own, references.get(task.ignorance or "")))
    summary = Summary(
        command=command,
        score_name=first[0].score_name,
        configuration=comparison.configuration.as_dict(),
        seeds=list(seeds),
        control=comparison.control,
        rows=[_row(comparison, name, sparsity, own) for name, sparsity in rows],
        references=references,
        seconds_of_training=sum(result[stage].seconds for result in results for stage in comparison.stages),
        verified=all_verified(result[stage] for result in results for stage in comparison.stages),
        floor=task.floor,
        ignorance=task.ignorance,
        units=[_units(comparison, name, sparsity) for name, sparsity in rows],
        contrasts=corrected(contrasts, comparison.family),
        family=comparison.family,
        margin=comparison.margin,
        choices=[comparison.choices_of(*row) for row in rows] if comparison.choices else None,
        **learning(own.values()),
        **provenance(),
    )
    with claimed(comparison.folder):
        write_csv(comparison.folder / "results.csv", list(_records(comparison, own)))
        write_sums(comparison.folder)
        return summary.write(comparison.folder / "results.json")


def _row(comparison: "Comparison", name: str, sparsity: float, own: Own) -> Row:
    """Return a row of the table."""
    folders = (comparison.run(name, sparsity, seed).folder for seed in comparison.seeds)
    return Row.of(
        name,
        own[name, sparsity],
        folders=[str(folder.relative_to(comparison.out)) for folder in folders],
        control=_control_of(comparison, name, sparsity, own),
        target_sparsity=sparsity,
    )


def _units(comparison: "Comparison", name: str, sparsity: float) -> int | None:
    """Return how many units a method's networks have, where it is not what the configuration says."""
    run = comparison.run(name, sparsity, comparison.seeds[0])
    return run.settings.task.units if run.method.narrow else None


def _control_of(comparison: "Comparison", name: str, sparsity: float, own: Own) -> list[Results] | None:
    """Return the control's results at a row's sparsity, or at the only one that either of them has."""
    if name == comparison.control:
        return None
    controls = {value: results for (each, value), results in own.items() if each == comparison.control}
    if len(controls) == 1 and 0.0 in (sparsity, *controls):
        return next(iter(controls.values()))
    return controls.get(sparsity)


def _contrasts(comparison: "Comparison", own: Own, ignorance: list[float] | None) -> Iterator[Contrast]:
    """Yield the difference of every row from the control's row of its sparsity, where there is one."""
    for (name, sparsity), results in own.items():
        control = _control_of(comparison, name, sparsity, own)
        if control is None:
            continue
        for stage in comparison.stages:
            scores, others = ([result[stage].score for result in each] for each in (results, control))
            void, control_void = (void_runs(each, ignorance) for each in (scores, others))
            margin = comparison.margin
            found = contrast(name, sparsity, stage, scores, others, void, control_void, margin)
            if found is not None:
                yield found


def _records(comparison: "Comparison", own: Own) -> Iterator[dict[str, Any]]:
    """Yield what is known of each network, a line of results.csv."""
    matrices = dict.fromkeys(
        matrix for results in own.values() for result in results for matrix in result["trained"].matrices
    )
    settings = dict.fromkeys(each.setting for each in comparison.choices)
    for (name, sparsity), results in own.items():
        for seed, result in zip(comparison.seeds, results, strict=True):
            run = comparison.run(name, sparsity, seed)
            chosen = {each.setting: each.chosen for each in comparison.choices_of(name, sparsity)}
            graphs = single_numbers(result["trained"].graphs or {})
            for stage in comparison.stages:
                yield {
                    "method": name,
                    "target_sparsity": sparsity,
                    "seed": seed,
                    "stage": stage,
                    **{setting: chosen.get(setting) for setting in settings},
                    "sparsity": result[stage].sparsity["total"],
                    **{f"sparsity of {matrix}": result[stage].sparsity.get(matrix) for matrix in matrices},
                    "wiring": result[stage].wiring,
                    "score": result[stage].score,
                    "seconds": result[stage].seconds,
                    "folder": run.stage(stage).relative_to(comparison.out),
                    **single_numbers(result[stage].measurements),
                    **_steps_to_criterion(result[stage]),
                    **graphs,
                }


def _steps_to_criterion(result: StageResult) -> dict[str, float]:
    """Return the steps to a task's criterion under their name, not a number where it was never reached."""
    if result.criterion is None:
        return {}
    reached = result.steps_to_criterion
    return {steps_to(result.criterion): math.nan if reached is None else reached}
