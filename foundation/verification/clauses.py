"""The clauses of one kind of thing, each declared once, with its check."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moduli.errors import InvalidParameter, suggestion
from moduli.requirements import require_package
from moduli.verification.checks import BrokenClause, Check, Clause, E, NotApplicable, Violation
from moduli.verification.raised import what_was_raised
from moduli.verification.reports import Report, Result


class Clauses(Mapping[str, Clause[E]]):
    """What a kind of thing must do: its clauses by name, in order.

    Parameters
    ----------
    kind : str
        A word for the kind: ``"manifold"``.
    error : type
        The `BrokenClause` that a broken clause raises.
    conclusions : tuple of str
        The last line of a report that passed, and of one that did not.

    Examples
    --------
    >>> class Interval:
    ...     def __init__(self, subject):
    ...         self.subject = subject
    ...     def rerun(self, check):
    ...         return f"low, high = {self.subject}"
    >>> clauses = Clauses("interval", BrokenClause, ("An interval.", "Not an interval."))
    >>> @clauses.clause("order", "low is not above high")
    ... def check_order(interval):
    ...     low, high = interval.subject
    ...     if low > high:
    ...         raise Violation(f"{low} is above {high}.")
    ...     return 1
    >>> print(clauses.report(Interval((1, 2))))
    (1, 2)
       1  order           passed                   1 cases  low is not above high
    An interval.
    >>> clauses.verify(Interval((3, 2)))
    Traceback (most recent call last):
        ...
    moduli.verification.checks.BrokenClause: (3, 2) breaks clause 1, order: low is not above high.
      3 is above 2.
    Reproduce it with
    low, high = (3, 2)
    """

    def __init__(self, kind: str, error: type[BrokenClause], conclusions: tuple[str, str]) -> None:
        self.kind, self.error, self.conclusions = kind, error, conclusions
        self._clauses: dict[str, Clause[E]] = {}

    def __getitem__(self, name: str) -> Clause[E]:
        return self._clauses[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._clauses)

    def __len__(self) -> int:
        return len(self._clauses)

    def clause(self, name: str, statement: str, *, essential: bool = False) -> Callable[[Check[E]], Check[E]]:
        """Make a clause of a check, as a decorator; its number is the next one.

        Parameters
        ----------
        name, statement : str
            A word for the clause, and what must hold.
        essential : bool
            Whether nothing else is checked once this clause is broken.

        Returns
        -------
        callable
            The decorator. The check that it returns raises the kind's error, whatever the examined thing
            raises.
        """
        number = len(self) + 1

        def declare(check: Check[E]) -> Check[E]:
            @functools.wraps(check)
            def checked(examination: E) -> int:
                try:
                    return check(examination)
                except (NotApplicable, BrokenClause):
                    raise
                except Violation as violation:
                    found, message, cause = violation.counterexample, violation.message, None
                except Exception as error:  # what is examined may fail in any way
                    found, message, cause = None, what_was_raised(error), error
                title = f"{examination.subject!r} breaks clause {number}, {name}: {statement}."
                rerun = f"Reproduce it with\n{examination.rerun(check.__name__)}"
                parts = [title, f"  {message}" if message else "", rerun if found is None else str(found)]
                raise self.error(name, "\n".join(filter(None, parts)), found) from cause

            self._clauses[name] = Clause(number, name, statement, checked, essential)
            return checked

        return declare

    def report(self, examination: E, expected_failures: Mapping[str, str] | None = None) -> Report:
        """Check every clause.

        Parameters
        ----------
        examination : Examination
            What is checked.
        expected_failures : mapping of str to str, optional
            Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.

        Raises
        ------
        InvalidParameter
            If an expected failure names no clause.
        """
        expected = self._require(expected_failures)
        results: list[Result] = []
        for clause in self.values():
            if any(result.error and result.clause.essential for result in results):
                results.append(Result(clause, "not run"))
            else:
                results.append(_result(clause, examination, expected.get(clause.name)))
        return Report(self.kind, examination.subject, tuple(results), self.conclusions)

    def verify(self, examination: E) -> None:
        """Raise the kind's error at the first clause that is broken."""
        for clause in self.values():
            try:
                clause.check(examination)
            except NotApplicable:
                continue

    def parametrize(
        self, examination: E, expected_failures: Mapping[str, str] | None = None
    ) -> Callable[[Callable[..., Any]], Any]:
        """Return a decorator that gives a pytest function one ``check`` for each clause.

        Parameters
        ----------
        examination : Examination
            What is checked.
        expected_failures : mapping of str to str, optional
            Clauses that are known to fail, and why: pytest reports them as such, and fails if they pass.

        Raises
        ------
        InvalidParameter
            If an expected failure names no clause.
        MissingDependency
            If pytest is not installed.
        """
        pytest = require_package("pytest", "Checks as tests", "test")
        expected = self._require(expected_failures)

        def check(clause: Clause[E]) -> None:
            try:
                clause.check(examination)
            except NotApplicable as outcome:
                pytest.skip(str(outcome))

        parameters = []
        for name, clause in self.items():
            marks = []
            if name in expected:
                marks.append(pytest.mark.xfail(strict=True, reason=expected[name], raises=self.error))
            parameters.append(pytest.param(functools.partial(check, clause), id=name, marks=marks))
        decorator: Callable[[Callable[..., Any]], Any] = pytest.mark.parametrize("check", parameters)
        return decorator

    def _require(self, expected_failures: Mapping[str, str] | None) -> Mapping[str, str]:
        for name in expected_failures or {}:
            if name not in self:
                raise InvalidParameter(
                    f"expected_failures: no clause is called '{name}'; {suggestion(name, self)}"
                )
        return expected_failures or {}


def _result(clause: Clause[E], examination: E, reason: str | None) -> Result:
    """Return the outcome of one clause, which is expected to fail if there is a reason."""
    try:
        tried = clause.check(examination)
    except NotApplicable as outcome:
        return Result(clause, "not applicable", detail=str(outcome))
    except BrokenClause as error:
        if reason is not None:
            return Result(clause, "expected failure", detail=reason)
        return Result(clause, "failed", detail=str(error), error=error)
    if reason is not None:
        return Result(clause, "unexpected pass", tried, f"It was expected to fail: {reason}")
    return Result(clause, "passed", tried)
