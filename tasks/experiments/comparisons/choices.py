"""The learning rate or the strength that a method has, where each has one of its own."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Literal

from moduli.requirements import require
from moduli.tasks.errors import Diverged
from moduli.tasks.experiments.configuration.settings import Tuned
from moduli.tasks.experiments.runs.run import label

WORDS: dict[Tuned, str] = {"learning_rate": "learning rate", "strength": "strength"}
"""How sentences call a setting that each method may have its own of."""

SHORT: dict[Tuned, str] = {"learning_rate": "rate", "strength": "strength"}
"""How folders and lists of runs call it."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting of one row of a table, and what it was chosen by.

    Parameters
    ----------
    method : str
        Name of the method.
    sparsity : float
        The sparsity that was asked for; 0 for a dense network.
    setting : {"learning_rate", "strength"}
        What was chosen.
    seeds : list of int
        The seeds that it was chosen on.
    tried : list of float
        The values, in ascending order.
    validations : list of list of (float or None)
        For each value the last validation of each seed's network; None where the training diverged.
    chosen : float
        The one whose mean validation is the smallest; the smaller one of equal ones.
    """

    method: str
    sparsity: float
    setting: Tuned
    seeds: list[int]
    tried: list[float]
    validations: list[list[float | None]]
    chosen: float

    def __post_init__(self) -> None:
        tried = self.tried
        if not tried or tried != sorted(set(tried)) or not 0 < tried[0] <= tried[-1] < math.inf:
            raise ValueError("the values that were tried are not positive, different and ascending")
        if not self.seeds or [len(each) for each in self.validations] != [len(self.seeds)] * len(tried):
            raise ValueError("validations do not have a number for each value and seed")
        best = _best(dict(zip(tried, self.validations, strict=True)))
        if self.chosen != best or self.chosen in self.diverged:
            raise ValueError(f"chosen is {self.chosen}, which does not validate best")

    @classmethod
    def of(
        cls,
        method: str,
        sparsity: float,
        setting: Tuned,
        seeds: Sequence[int],
        validations: Mapping[float, Sequence[float | None]],
    ) -> "Choice":
        """Return the choice among values by what networks that were trained with them validate at.

        Parameters
        ----------
        method, sparsity, setting, seeds
            As of the class.
        validations : mapping of float to sequence of (float or None)
            For each value the last validation of each seed's network; None, or a number that is not finite,
            where the training diverged.

        Raises
        ------
        InvalidConfiguration
            If there is no value, or one does not have a validation for each seed.
        Diverged
            If the training diverged with each value, for one of the seeds at least.

        Examples
        --------
        >>> tried = {1e-3: [9.0, 8.0], 2e-3: [7.0, 8.0], 4e-3: [5.0, None]}
        >>> Choice.of("dense", 0.0, "learning_rate", [0, 1], tried).chosen
        0.002
        """
        tried = sorted(validations)
        finite = {value: [_finite(each) for each in validations[value]] for value in tried}
        counts = {value: len(validations[value]) for value in tried}
        expected = f"a number for each of the {len(seeds)} seeds, at one {WORDS[setting]} or more"
        require(bool(seeds) and set(counts.values()) == {len(seeds)}, "validations", expected, counts)
        best = _best(finite)
        if None in finite[best]:
            remedy = "add smaller ones" + (", or lower the learning rate" if setting == "strength" else "")
            raise Diverged(
                f"The training of the method '{method}' diverges with each of the {WORDS[setting]}s "
                f"{listed(tried)}; {remedy}."
            )
        return cls(
            method=method,
            sparsity=sparsity,
            setting=setting,
            seeds=list(seeds),
            tried=tried,
            validations=list(finite.values()),
            chosen=best,
        )

    def __str__(self) -> str:
        diverged = f"; diverged: {listed(self.diverged)}" if self.diverged else ""
        name, words = label(self.method, self.sparsity), WORDS[self.setting]
        return f"{name}: {words} {listed([self.chosen])}, of {listed(self.tried)}{diverged}"

    @property
    def diverged(self) -> list[float]:
        """The values with which a training diverged."""
        return [value for value, each in zip(self.tried, self.validations, strict=True) if None in each]

    @property
    def edge(self) -> Literal["smallest", "largest"] | None:
        """Which end of the range was the best; None for one in between, or one that others equal.

        Beyond an end there may be better ones.
        """
        means = [_mean(each) for each in self.validations]
        if means.count(min(means)) > 1:
            return None
        if self.chosen == self.tried[0]:
            return "smallest"
        return "largest" if self.chosen == self.tried[-1] else None


def listed(values: Sequence[float]) -> str:
    """Return numbers as somebody would write them, with commas between.

    Examples
    --------
    >>> listed([1e-3, 10.0])
    '0.001, 10'
    """
    return ", ".join(f"{value:.10g}" for value in values)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _best(validations: Mapping[float, Sequence[float | None]]) -> float:
    """Return the value whose mean validation is the smallest, the first of equal ones."""
    return min(validations, key=lambda value: _mean(validations[value]))


def _mean(validations: Sequence[float | None]) -> float:
    """Return the mean validation, infinite where a training diverged."""
    return mean(math.inf if value is None else value for value in validations)
