"""Regrowth: dead weights that come back in the place of weak ones."""

import math
from dataclasses import dataclass
from typing import Literal

from moduli.errors import InvalidParameter


@dataclass(frozen=True)
class Regrowth:
    """Replace the weakest weights, at intervals, by dead ones that deserve a trial.

    At every ``interval`` steps up to ``end`` a share of the living weights of each matrix is cut, and
    as many dead ones come back to life with the value zero: those with the largest gradient
    (Evci et al., "Rigging the lottery", arXiv 1911.11134), or the geometrically cheapest ones. The
    share falls along half a cosine, as there. The number of living weights does not change.

    Parameters
    ----------
    end : int
        Last step at which weights may be replaced.
    interval : int
        Steps between two replacements.
    share : float
        Share of the living weights that is replaced at first, in (0, 1).
    where : {"gradient", "cheapest"}
        Which dead weights come back.

    Raises
    ------
    InvalidParameter
        If a value is outside its domain.
    """

    end: int
    interval: int = 100
    share: float = 0.3
    where: Literal["gradient", "cheapest"] = "gradient"

    def __post_init__(self) -> None:
        if self.end < 1 or self.interval < 1:
            raise InvalidParameter(f"{self!r}: end and interval must be at least 1.")
        if not 0 < self.share < 1:
            raise InvalidParameter(f"{self!r}: share must be in (0, 1).")
        if self.where not in ("gradient", "cheapest"):
            raise InvalidParameter(f"{self!r}: where must be 'gradient' or 'cheapest'.")

    def is_due(self, step: int) -> bool:
        """Tell whether weights are replaced after so many steps."""
        return 0 < step <= self.end and step % self.interval == 0

    def count(self, step: int, alive: int, dead: int) -> int:
        """Return how many weights of a matrix are replaced."""
        share = self.share * (1 + math.cos(math.pi * step / self.end)) / 2
        return min(int(share * alive), dead)
