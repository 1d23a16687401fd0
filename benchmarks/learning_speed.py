"""Test whether methods need other numbers of steps than their control to learn a task.

    python benchmarks/learning_speed.py results/cognition-others

Reads the ``results.json`` of a comparison of a task with a criterion, and writes ``steps.json`` beside it. A
network's steps are those of the first validation at or below the criterion. For each method and stage: the
median of its steps, the median difference from the control over seeds, unless that is of networks that
never get there, and the p value of Wilcoxon's
signed-rank test of the pairs, two-sided, corrected by Holm's method for all of the table. A network that
never gets there counts as one that would have needed more steps than any that did; its differences are
ranked, and have no size.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from scipy.stats import wilcoxon
from statsmodels.stats.multitest import multipletests
from which_property import provenance_of

from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.runs.files import write_json


def filled(steps: Sequence[int | None], never: int) -> list[int]:
    """Return steps with a number in the place of never."""
    return [never if each is None else each for each in steps]


def tests(summary: Summary) -> list[dict[str, Any]]:
    """Return for each method and stage how its steps differ from the control's."""
    all_steps = summary.steps_to_criterion
    if all_steps is None:
        raise SystemExit("This comparison's task has no criterion.")
    reached = [step for row in all_steps for steps in row.values() for step in steps if step is not None]
    never = 2 * max(reached)
    (control,) = [
        steps for row, steps in zip(summary.rows, all_steps, strict=True) if row.method == summary.control
    ]
    found = []
    for row, steps in zip(summary.rows, all_steps, strict=True):
        for stage, own in steps.items():
            pairs = zip(filled(own, never), filled(control[stage], never), strict=True)
            differences = [one - other for one, other in pairs]
            middle = median(filled(own, never))
            found.append({
                "method": row.method,
                "stage": stage,
                "steps": own,
                "median": None if middle >= never else middle,
                "never": own.count(None),
                "median difference": None if 2 * own.count(None) >= len(own) else median(differences),
                "p": float(wilcoxon(differences).pvalue) if any(differences) else 1.0,
            })  # fmt: skip
    compared = [each for each in found if each["method"] != summary.control]
    _, corrected, *_ = multipletests([each["p"] for each in compared], method="holm")
    for each, value in zip(compared, corrected, strict=True):
        each["corrected p"] = float(value)
    return found


def _shown(value: Any, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def main() -> None:
    """Print and write the tests of a comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    summary = Summary.read(folder / "results.json")
    found = tests(summary)
    print("| method | network | median steps | never | median difference | p | corrected |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for each in found:
        shown = [each["method"], each["stage"], _shown(each["median"], ",.0f"), each["never"]]
        shown += [_shown(each["median difference"], "+,.0f")]
        shown += [_shown(each.get(name), ".2g") for name in ("p", "corrected p") if "corrected p" in each]
        print("| " + " | ".join(map(str, shown)) + " |")
    report = {"criterion": summary.criterion, "control": summary.control, "tests": found}
    write_json(folder / "steps.json", report | provenance_of())


if __name__ == "__main__":
    main()
