"""The engine of clauses, on a kind of its own: none of it knows manifolds or PyTorch."""

import subprocess
import sys
from fractions import Fraction

import pytest
import torch
from torch import nn

from moduli.errors import InvalidParameter
from moduli.verification import (
    BrokenClause,
    Clauses,
    Counterexample,
    NotApplicable,
    Violation,
    search,
    what_was_raised,
)


class BrokenSchedule(BrokenClause):
    """A schedule breaks a clause."""


CLAUSES = Clauses("schedule", BrokenSchedule, ("A schedule.", "Not a schedule."))


class Trial:
    """What the checks of one schedule share: a function from the share of steps to a share of weights."""

    def __init__(self, subject):
        self.subject = subject

    def rerun(self, check):
        return f"from tests.test_verification import *\n\n{check}(Trial(ramp))"

    def find(self, holds, formulas):
        tried = 0

        def attempt(step):
            nonlocal tried
            tried += 1
            if not holds(step):
                definitions = {
                    "schedule = ramp": {"schedule": self.subject},
                    f"step = {step}": {"step": step},
                }
                found = Counterexample.of(
                    "from tests.test_verification import *", definitions, formulas, ("step",)
                )
                raise Violation("", found)

        search(attempt, {"step": range(1001)}, 50)
        return tried


@CLAUSES.clause("start", "it starts at 0", essential=True)
def check_start(trial):
    """Check the first step."""
    if trial.subject(0) != 0:
        raise Violation(f"It starts at {trial.subject(0)}.")
    return 1


@CLAUSES.clause("bounds", "it stays within [0, 1]")
def check_bounds(trial):
    """Check all steps."""
    return trial.find(lambda step: 0 <= trial.subject(step) <= 1, ["schedule(step)", "schedule(step + 1)"])


@CLAUSES.clause("cycles", "cycles repeat")
def check_cycles(trial):
    """Say nothing about schedules without cycles."""
    raise NotApplicable("It has no cycles.")


def ramp(step):
    return step / 1000


def overshooting(step):
    if step > 900:
        raise OverflowError("too late")
    return step / 500


def verdicts(report):
    return {result.clause.name: result.verdict for result in report.results}


def test_clauses_are_an_ordered_mapping_numbered_by_position():
    assert list(CLAUSES) == ["start", "bounds", "cycles"]
    assert [clause.number for clause in CLAUSES.values()] == [1, 2, 3]
    assert CLAUSES["bounds"].check is check_bounds
    assert check_bounds.__doc__ == "Check all steps."


def test_a_report_has_every_verdict():
    report = CLAUSES.report(Trial(ramp))
    assert report.passed
    assert str(report).endswith("A schedule.")
    assert verdicts(report) == {"start": "passed", "bounds": "passed", "cycles": "not applicable"}
    assert report.as_dict()["schedule"] == repr(ramp)
    assert [clause["cases"] for clause in report.as_dict()["clauses"]] == [1, 50, 0]
    late = CLAUSES.report(Trial(lambda step: step + 1))
    assert verdicts(late) == {"start": "failed", "bounds": "not run", "cycles": "not run"}
    assert str(late).endswith("Not a schedule.")
    excused = CLAUSES.report(Trial(overshooting), {"bounds": "known"})
    assert (excused.passed, verdicts(excused)["bounds"]) == (True, "expected failure")
    stale = CLAUSES.report(Trial(ramp), {"bounds": "known"})
    assert (stale.passed, verdicts(stale)["bounds"]) == (False, "unexpected pass")
    with pytest.raises(InvalidParameter, match=r"called 'bonds'; did you mean 'bounds'\?"):
        CLAUSES.report(Trial(ramp), {"bonds": "typo"})


def test_the_simplest_counterexample_is_shown_with_numbers_and_three_lines():
    with pytest.raises(BrokenSchedule, match="breaks clause 2, bounds: it stays within") as caught:
        CLAUSES.verify(Trial(overshooting))
    found = caught.value.counterexample
    assert (caught.value.clause, found.values) == ("bounds", {"step": 501})
    assert found.numbers == {"schedule(step)": 1.002, "schedule(step + 1)": 1.004}
    done = subprocess.run(
        [sys.executable, "-c", found.reproduction.replace("schedule = ramp", "schedule = overshooting")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["1.002", "1.004"]
    assert len(found.reproduction.splitlines()) == 3


def test_a_formula_that_raises_shows_the_error():
    found = Counterexample.of("", {"f = overshooting": {"f": overshooting}}, ["f(901)", "f(1)"], ())
    assert found.numbers == {"f(901)": "OverflowError: too late", "f(1)": 0.002}
    assert "f(901) raises OverflowError: too late" in str(found)


def test_whatever_is_raised_breaks_the_clause_and_names_how_to_run_the_check_again():
    def broken(step):
        raise ZeroDivisionError("nothing to divide")

    said = r"It raised ZeroDivisionError: nothing to divide \(test_verification.py, line \d+, in broken\)\n"
    with pytest.raises(BrokenSchedule, match=said) as caught:
        CLAUSES.verify(Trial(broken))
    assert str(caught.value).endswith("check_start(Trial(ramp))")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_a_library_raises_is_placed_where_somebody_called_it():
    def broken(step):
        return torch.ones(2) + nn.Linear(2, 2)(torch.ones(step))

    with pytest.raises(RuntimeError) as caught:
        broken(3)
    line = broken.__code__.co_firstlineno + 1
    place = f" (test_verification.py, line {line}, in broken)"
    assert what_was_raised(caught.value) == f"It raised RuntimeError: {caught.value}{place}"
    nowhere = caught.value.with_traceback(None)
    assert what_was_raised(nowhere) == f"It raised RuntimeError: {nowhere}"


def test_a_search_repeats_exactly_shrinks_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = []
    for _ in range(2):
        tried = []

        def attempt(number, word, tried=tried):
            tried.append((number, word))
            if number > 10 and word != "a":
                raise ValueError(f"{number} {word}")

        with pytest.raises(ValueError, match=r"^11 b$"):
            search(attempt, {"number": range(1000), "word": ("a", "b", Fraction(1, 2))}, 50)
        runs.append(tried)
    assert runs[0] == runs[1]
    assert list(tmp_path.iterdir()) == []


def test_a_profile_of_hypothesis_may_leave_out_shrinking(unshrunk):
    tried = []

    def attempt(number):
        tried.append(number)
        if number > 10:
            raise ValueError(str(number))

    with pytest.raises(ValueError, match=r"^\d+$") as caught:
        search(attempt, {"number": range(1000)}, 50)
    first = next(number for number in tried if number > 10)
    assert str(caught.value) == str(first) != "11"
