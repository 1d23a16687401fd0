"""A clause and its check: what the check takes, and what it may raise."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from moduli.errors import ModuliError
from moduli.verification.counterexamples import Counterexample


class Examination(Protocol):
    """What the checks of one thing share."""

    @property
    def subject(self) -> object:
        """The thing that is examined; errors and reports show its ``repr``."""

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run the check of this name again."""


E = TypeVar("E", bound=Examination)
Check = Callable[[E], int]


@dataclass(frozen=True)
class Clause(Generic[E]):
    """One thing that a kind of object must do.

    Attributes
    ----------
    number : int
        Its place among the clauses of its kind, from 1.
    name, statement : str
        A word for it, and what must hold.
    check : callable
        Takes an `Examination` and returns how many cases it tried. Raises the kind's `BrokenClause` if the
        clause does not hold, `NotApplicable` if it says nothing about this thing.
    essential : bool
        Whether nothing else is checked once this clause is broken.
    """

    number: int
    name: str
    statement: str
    check: Check[E]
    essential: bool = False


class Violation(Exception):
    """The outcome of a check whose clause is broken; users see it as a `BrokenClause`.

    Parameters
    ----------
    message : str
        What happened, where the clause's statement does not say it all.
    counterexample : Counterexample, optional
        What shows it; three lines that run the check again when absent.
    """

    def __init__(self, message: str = "", counterexample: Counterexample | None = None) -> None:
        super().__init__(message)
        self.message, self.counterexample = message, counterexample


class NotApplicable(Exception):
    """The outcome of a check whose clause says nothing about the thing that is examined."""


class BrokenClause(ModuliError, AssertionError):
    """A thing breaks a clause of what its kind must do.

    Attributes
    ----------
    clause : str
        The clause's name.
    counterexample : Counterexample or None
        What shows it, where the clause is about single cases.
    """

    def __init__(self, clause: str, message: str, counterexample: Counterexample | None = None) -> None:
        super().__init__(message)
        self.clause, self.counterexample = clause, counterexample
