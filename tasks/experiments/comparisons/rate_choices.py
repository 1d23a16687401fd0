"""The learning rate that a method trains with, where each has one of its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from moduli.requirements import require
from moduli.tasks.errors import Diverged


@dataclass(frozen=True, kw_only=True)
class RateChoice:
    """The learning rate of one row of a table, and what it was chosen by.

    Parameters
    ----------
    method : str
        Name of the method.
    sparsity : float
        The sparsity that was asked for; 0 for a dense network.
    seeds : list of int
        The seeds that it was chosen on.
    tried : list of float
        The learning rates, in ascending order.
    validations : list of list of (float or None)
        For each learning rate the last validation of each seed's network; None where the training diverged.
    learning_rate : float
        The one whose mean validation is the smallest; the smaller one of equal ones.
    """

    method: str
    sparsity: float
    seeds: list[int]
    tried: list[float]
    validations: list[list[float | None]]
    learning_rate: float

    def __post_init__(self) -> None:
        if self.learning_rate not in self.tried or len(self.validations) != len(self.tried):
            raise ValueError("of the learning rates that were tried, one is missing")
        if any(len(each) != len(self.seeds) for each in self.validations):
            raise ValueError("validations do not have a number for each learning rate and seed")

    @classmethod
    def of(
        cls,
        method: str,
        sparsity: float,
        seeds: Sequence[int],
        validations: Mapping[float, Sequence[float | None]],
    ) -> "RateChoice":
        """Return the choice among learning rates by what networks that were trained with them validate at.

        Parameters
        ----------
        method, sparsity, seeds
            As of the class.
        validations : mapping of float to sequence of (float or None)
            For each learning rate the last validation of each seed's network; None, or a number that is not
            finite, where the training diverged.

        Raises
        ------
        InvalidConfiguration
            If there is no learning rate, or one does not have a validation for each seed.
        Diverged
            If the training diverged with each learning rate, for one of the seeds at least.

        Examples
        --------
        >>> tried = {1e-3: [9.0, 8.0], 2e-3: [7.0, 8.0], 4e-3: [5.0, None]}
        >>> RateChoice.of("dense", 0.0, [0, 1], tried).learning_rate
        0.002
        """
        tried = sorted(validations)
        finite = {rate: [_finite(value) for value in validations[rate]] for rate in tried}
        counts = {rate: len(validations[rate]) for rate in tried}
        expected = f"a number for each of the {len(seeds)} seeds, at one learning rate or more"
        require(bool(seeds) and set(counts.values()) == {len(seeds)}, "validations", expected, counts)
        best = min(tried, key=lambda rate: _mean(finite[rate]))
        if None in finite[best]:
            raise Diverged(
                f"The training of the method '{method}' diverges with each of the learning rates "
                f"{', '.join(f'{rate:g}' for rate in tried)}; add smaller ones."
            )
        return cls(
            method=method,
            sparsity=sparsity,
            seeds=list(seeds),
            tried=tried,
            validations=list(finite.values()),
            learning_rate=best,
        )

    @property
    def edge(self) -> str | None:
        """Which end of the range was the best, ``"smallest"`` or ``"largest"``; None for one in between.

        Beyond an end there may be better ones.
        """
        if self.learning_rate == self.tried[0]:
            return "smallest"
        return "largest" if self.learning_rate == self.tried[-1] else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _mean(validations: Sequence[float | None]) -> float:
    """Return the mean validation, infinite where a training diverged."""
    return mean(math.inf if value is None else value for value in validations)
