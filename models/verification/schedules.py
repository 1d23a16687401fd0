"""Is it a schedule? The clauses that it must satisfy, each with its check."""

from collections.abc import Mapping

from moduli.manifolds.verification.generators import watched_generators
from moduli.models.errors import BrokenSchedule
from moduli.models.pruning.schedules import Schedule, as_schedule
from moduli.models.verification.subjects import Named
from moduli.requirements import is_number
from moduli.verification import Clauses, Counterexample, Report, Violation

DENSE = 20_000
"""Steps that are all looked at."""
LAST = 10_000_000
"""The step at which a schedule that says nothing of its end must have reached 1."""


class ScheduleSearch:
    """What the checks of one schedule share: the steps at which it is asked.

    These are all of the first 20,000 steps, those around its attributes ``begin``, ``end`` and ``at``, and
    beyond ever fewer, up to ten million.

    Parameters
    ----------
    schedule : callable
        From the number of steps taken to the fraction of the target that is due.

    Raises
    ------
    InvalidSchedule
        If it cannot be called with a step.
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = as_schedule(schedule)
        marks = [getattr(schedule, name, None) for name in ("begin", "end", "at")]
        self.ends = [int(mark) for mark in marks[1:] if is_number(mark)]
        around = {int(mark) + shift for mark in marks if is_number(mark) for shift in (-1, 0, 1)}
        far = {int(DENSE * 1.01**power) for power in range(625)}
        last = max([LAST, *self.ends])
        self.steps = sorted(step for step in {*range(DENSE), *around, *far, last} if step >= 0)

    @property
    def subject(self) -> Named:
        """The schedule."""
        return Named(self.schedule)

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run a check again."""
        imports = "from moduli.models import *; from moduli.models.testing import *"
        return f"{imports}\n{self._definition}\n{check}(ScheduleSearch(schedule))"

    def violation(self, message: str, *steps: int) -> Violation:
        """Return the outcome of a clause that is broken at some steps."""
        numbers: dict[str, float | str] = {}
        for step in steps:
            value = self.schedule(step)
            numbers[f"schedule({step})"] = float(value) if is_number(value) else repr(value)
        calls = ", ".join(f"schedule({step})" for step in steps)
        lines = f"from moduli.models import *\n{self._definition}\nprint({calls})"
        return Violation(message, Counterexample({"steps": steps}, numbers, lines))

    @property
    def _definition(self) -> str:
        if hasattr(self.schedule, "__qualname__"):
            return self.subject.definition.replace("make", "schedule")
        return f"schedule = {self.schedule!r}"


CLAUSES: Clauses[ScheduleSearch] = Clauses(
    "schedule", BrokenSchedule, ("A schedule.", "Not a schedule, as it stands.")
)
"""What a schedule must do."""


@CLAUSES.clause("fractions", "at every step it is a fraction of the target, in [0, 1]", essential=True)
def check_fractions(search: ScheduleSearch) -> int:
    """Check kind and range, NaN included."""
    for step in search.steps:
        value = search.schedule(step)
        if not is_number(value) or not 0 <= value <= 1:
            raise search.violation(f"At step {step} it is {value!r}.", step)
    return len(search.steps)


@CLAUSES.clause("determinism", "equal steps give equal fractions, and no global generator moves")
def check_determinism(search: ScheduleSearch) -> int:
    """Ask twice, in both orders: a run that is resumed asks from the middle."""
    steps = search.steps[:: max(1, len(search.steps) // 1000)]
    with watched_generators() as moved:
        first = [search.schedule(step) for step in steps]
        if moved():
            raise Violation(f"{' and '.join(moved())} moved.")
    for step, value in zip(reversed(steps), reversed(first), strict=True):
        if search.schedule(step) != value:
            raise search.violation(f"At step {step} it was {value!r} before.", step)
    return 2 * len(steps)


@CLAUSES.clause("monotone", "it never falls, since what was cut stays cut")
def check_monotone(search: ScheduleSearch) -> int:
    """Compare neighbouring steps."""
    before, highest = 0, float("-inf")
    for step in search.steps:
        value = search.schedule(step)
        if value < highest:
            raise search.violation("", before, step)
        before, highest = step, value
    return len(search.steps)


@CLAUSES.clause("reaches", "it reaches 1, at its end if it has one, and stays there")
def check_reaches(search: ScheduleSearch) -> int:
    """Check the attributes ``end`` and ``at``, and the last step."""
    for step in (*search.ends, search.steps[-1]):
        if search.schedule(step) != 1:
            raise search.violation("", step)
    return len(search.ends) + 1


def check_schedule(schedule: Schedule, *, expected_failures: Mapping[str, str] | None = None) -> Report:
    """Check every clause of a schedule.

    Parameters
    ----------
    schedule : callable
        From the number of steps taken to the fraction of the target that is due.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.

    Returns
    -------
    Report

    Raises
    ------
    InvalidSchedule
        If it cannot be called with a step.
    InvalidParameter
        If an expected failure names no clause.

    Examples
    --------
    >>> from moduli.models import CubicSchedule
    >>> check_schedule(CubicSchedule(0, 1000)).passed
    True
    """
    return CLAUSES.report(ScheduleSearch(schedule), expected_failures)


def verify_schedule(schedule: Schedule) -> None:
    """Raise unless a schedule does what schedules must, at every step that is looked at.

    Parameters
    ----------
    schedule : callable
        From the number of steps taken to the fraction of the target that is due.

    Raises
    ------
    BrokenSchedule
        With the clause, the first step that breaks it, and three lines that show it.
    InvalidSchedule
        If it cannot be called with a step.

    Examples
    --------
    >>> from moduli.models import BrokenSchedule, LinearSchedule
    >>> verify_schedule(LinearSchedule(0, 100))
    >>> try:
    ...     verify_schedule(lambda step: min(step / 100, 0.99))
    ... except BrokenSchedule as error:
    ...     print(error.clause)
    reaches
    """
    CLAUSES.verify(ScheduleSearch(schedule))
