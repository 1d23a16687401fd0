"""A search for the learning rate, or the strength, of each method of a comparison, before the comparison."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from moduli.errors import InvalidConfiguration
from moduli.requirements import is_number, require, require_choice
from moduli.tasks.errors import Diverged
from moduli.tasks.experiments.comparisons.choices import WORDS, Choice
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.sweeps import in_workers
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import LARGEST_RATE, Tuned
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.verification import verify_waiting

SEEDS = (2**32 - 2, 2**32 - 1)
"""The seeds that settings are chosen on: the last that there are, since tables count from 0."""

LARGEST: dict[Tuned, float] = {"learning_rate": LARGEST_RATE, "strength": sys.float_info.max}
EXPECTED: dict[Tuned, str] = {
    "learning_rate": f"numbers above 0, up to {LARGEST_RATE:.2g}, such as [1e-3, 4e-3]",
    "strength": "finite numbers above 0, such as [1, 10]",
}


@dataclass(frozen=True)
class SettingSearch:
    """Train every method with several learning rates or strengths, on seeds that no table has.

    Methods differ in the learning rates and strengths that suit them. Comparing them at one compares how well
    each bears it; here each gets the one whose networks have the smallest error on validation data after the
    last step, when they are pruned. Test data take no part in it. A search for strengths leaves out methods
    without a penalty. A search of a comparison that another search returned keeps what that one chose.

    Parameters
    ----------
    comparison : Comparison
        What is to be compared; its own value of the setting is not used where one is chosen.
    setting : {"learning_rate", "strength"}
        What is chosen.
    values : sequence of float
        The values that are tried, at least two.

    Raises
    ------
    InvalidConfiguration
        If there are fewer than two values, one is not a positive number or named twice, no method has the
        setting, it is chosen already, or the comparison has one of the `SEEDS`.
    InvalidParameter
        If the setting is another one.
    """

    comparison: Comparison
    setting: Tuned
    values: Sequence[float]

    def __post_init__(self) -> None:
        values, comparison = self.values, self.comparison
        require(isinstance(comparison, Comparison), "comparison", "a Comparison", comparison)
        require_choice("setting", self.setting, tuple(WORDS))
        words, expected = f"{WORDS[self.setting]}s", f"a sequence of {EXPECTED[self.setting]}"
        allowed = isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray)
        allowed = allowed and all(is_number(each) and 0 < each <= LARGEST[self.setting] for each in values)
        require(allowed, words, expected, values)
        require(len(set(map(float, values))) == len(values) > 1, words, "at least two, all different", values)
        apart = f"none of {SEEDS}, on which {words} are chosen"
        require(not set(comparison.seeds) & set(SEEDS), "seeds", apart, list(comparison.seeds))
        if not comparison.rows_with(self.setting):
            names = ", ".join(comparison.methods)
            raise InvalidConfiguration(f"No method has a penalty whose strength can be chosen; got {names}.")
        before = [each.chosen for each in self.comparison.choices if each.setting == self.setting]
        require(not before, "comparison", f"without {words} that were chosen before", before)

    @property
    def runs(self) -> list[Run]:
        """The runs that the choice is made by: of each row, one for each value and seed."""
        return [
            self._run(row, value, seed)
            for row in self.comparison.rows_with(self.setting)
            for value in sorted(map(float, self.values))
            for seed in SEEDS
        ]

    def _run(self, row: tuple[str, float], value: float, seed: int) -> Run:
        run = self.comparison.run(*row, seed)
        return dataclasses.replace(run, configuration=run.configuration.tuned(self.setting, value))

    def carry_out(self, jobs: int, execution: Execution | None = None, dask: str | None = None) -> Comparison:
        """Return the comparison with a choice for each row that has one; what is trained already is kept.

        Parameters
        ----------
        jobs, execution, dask
            As of `Comparison.carry_out`.

        Raises
        ------
        Diverged
            If a method's training diverges with each of the values.
        """
        execution = execution or Execution()
        verify_waiting(self.runs, execution, ("trained",))
        validations = iter(in_workers(_validation, self.runs, jobs, execution, dask))
        choices = [
            Choice.of(
                *row,
                self.setting,
                SEEDS,
                {value: [next(validations) for _ in SEEDS] for value in sorted(map(float, self.values))},
            )
            for row in self.comparison.rows_with(self.setting)
        ]
        return dataclasses.replace(self.comparison, choices=[*self.comparison.choices, *choices])


def _validation(run: Run, execution: Execution) -> float | None:
    """Train a run's network, unless that is done; return its last validation, None if it diverges."""
    try:
        carry_out(run, execution, ("trained",))
    except Diverged:
        return None
    return StoredNetwork(run.stage("trained")).last_validation
