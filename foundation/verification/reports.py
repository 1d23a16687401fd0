"""The outcome of all clauses of one thing."""

from dataclasses import dataclass
from typing import Any

from moduli.verification.checks import BrokenClause, Clause


@dataclass(frozen=True)
class Result:
    """The outcome of one clause.

    Attributes
    ----------
    clause : Clause
        What was checked.
    verdict : str
        ``"passed"``, ``"failed"``, ``"not applicable"``, ``"not run"``, ``"expected failure"``, or
        ``"unexpected pass"``.
    cases : int
        How many cases were tried before a failure, or in all.
    detail : str
        The reason of the verdict; empty for a pass.
    error : BrokenClause or None
        What the check raised.
    """

    clause: Clause[Any]
    verdict: str
    cases: int = 0
    detail: str = ""
    error: BrokenClause | None = None


@dataclass(frozen=True)
class Report:
    """The outcome of all clauses; ``print`` shows it as a table.

    Attributes
    ----------
    kind : str
        What was examined, in a word: ``"manifold"``.
    subject : object
        What was examined.
    results : tuple of Result
        One for each clause, in their order.
    conclusions : tuple of str
        The last line of a report that passed, and of one that did not.
    """

    kind: str
    subject: object
    results: tuple[Result, ...]
    conclusions: tuple[str, str]

    @property
    def passed(self) -> bool:
        """Whether no clause failed, and none that was expected to fail passed."""
        return not any(result.verdict in ("failed", "unexpected pass", "not run") for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdicts as plain values, for JSON."""
        clauses = [
            {
                "number": result.clause.number,
                "name": result.clause.name,
                "statement": result.clause.statement,
                "verdict": result.verdict,
                "cases": result.cases,
                "detail": result.detail,
            }
            for result in self.results
        ]
        return {self.kind: repr(self.subject), "passed": self.passed, "clauses": clauses}

    def __str__(self) -> str:
        lines = [f"{self.subject!r}"]
        for result in self.results:
            clause = result.clause
            tried = f"{result.cases:>9,} cases" if result.cases else " " * 15
            lines.append(
                f"{clause.number:>4}  {clause.name:<15} {result.verdict:<17}{tried}  {clause.statement}"
            )
            lines += [f"      {line}" for line in result.detail.splitlines()]
        lines.append(self.conclusions[0 if self.passed else 1])
        return "\n".join(line.rstrip() for line in lines)
