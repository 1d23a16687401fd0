"""What became of mutations: harmless, named, or neither."""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moduli.errors import ModuliError

CASES = int(os.environ.get("MODULI_FUZZ_CASES", "60"))
"""Mutations of each kind; ``make fuzz`` tries many more."""


@dataclass
class Tally:
    """How many mutations of one kind were tried, and what became of them.

    ``harmless``: what is read equals what was read before, or is another value of the same kind where the
    mutation is another valid text. ``named``: a `ModuliError`, or the usage text of the command line.
    ``silent``: another value is read without a word. ``traceback``: any other exception.
    """

    kind: str
    counts: Counter[str] = field(default_factory=Counter)
    worst: list[str] = field(default_factory=list)

    def note(self, what: str, outcome: str, detail: str = "") -> None:
        """Count an outcome, and keep the first few that must not be."""
        self.counts[outcome] += 1
        if outcome not in ("harmless", "named") and len(self.worst) < 5:
            self.worst.append(f"{self.kind}: {what}: {outcome} {detail}")

    def require_none_silent(self) -> None:
        """Raise `AssertionError` if any mutation was neither harmless nor named."""
        print(f"{self.kind:<28} tried {self.counts.total():>6}  " + "  ".join(
            f"{name} {self.counts[name]}" for name in ("harmless", "named", "silent", "traceback")
        ))  # fmt: skip
        assert not self.worst, "\n".join(self.worst)
        assert self.counts["named"] > 0, f"{self.kind}: no mutation did any harm, so that nothing was tried"


def attempt(tally: Tally, what: str, action: Callable[[], Any], accept: Callable[[Any], bool | str]) -> None:
    """Carry out one mutated action and note what became of it.

    Parameters
    ----------
    tally : Tally
        Where it is counted.
    what : str
        The mutation, for the error.
    action : callable
        Reads what was mutated.
    accept : callable
        Whether what was read is right, or ``"named"`` if it says what is wrong; else it was wrong in silence.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            value = action()
    except ModuliError as error:
        tally.note(what, "named" if str(error).strip() else "traceback", "an error without a sentence")
    except SystemExit as stop:
        tally.note(what, "named" if stop.code in (0, 2) else "traceback", f"exit {stop.code}")
    except Exception as error:  # the very thing that must not reach a user
        tally.note(what, "traceback", f"{type(error).__name__}: {error}")
    else:
        right = accept(value)
        outcome = right if isinstance(right, str) else "harmless" if right else "silent"
        tally.note(what, outcome, repr(value)[:200])
