"""Verification: what a kind of thing must do, clause by clause, and the search for a counterexample.

One engine serves all kinds: manifolds, regularizers, masks and schedules only bring their clauses. A kind
declares an ordered set, `Clauses`, and adds each check to it with a decorator. A check takes an
`Examination`, which is what the checks of one thing share. It returns how many cases it tried, or raises
`Violation`, or `NotApplicable`. `search` lets hypothesis look for a case that breaks a clause, and shrink it.
"""

from moduli.verification.checks import BrokenClause, Clause, Examination, NotApplicable, Violation
from moduli.verification.clauses import Clauses
from moduli.verification.counterexamples import Counterexample
from moduli.verification.raised import what_was_raised
from moduli.verification.reports import Report, Result
from moduli.verification.search import search

__all__ = [
    "BrokenClause",
    "Clause",
    "Clauses",
    "Counterexample",
    "Examination",
    "NotApplicable",
    "Report",
    "Result",
    "Violation",
    "search",
    "what_was_raised",
]
