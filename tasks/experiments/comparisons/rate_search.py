"""A search for the learning rate of each method of a comparison, before the comparison."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from moduli.models.arguments import is_number
from moduli.requirements import require
from moduli.tasks.errors import Diverged
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.rate_choices import RateChoice
from moduli.tasks.experiments.comparisons.sweeps import in_workers
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import LARGEST_RATE
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.verification import verify_waiting

SEEDS = (2**32 - 2, 2**32 - 1)
"""The seeds that learning rates are chosen on: the last that there are, since tables count from 0."""


@dataclass(frozen=True)
class RateSearch:
    """Train every method with several learning rates, on seeds that the comparison does not have.

    Masks, penalties and sizes differ in the learning rates that suit them. Comparing methods at one rate
    compares how well each bears that rate; here each gets the one whose networks have the smallest error on
    validation data after the last step. Test data take no part in it.

    Parameters
    ----------
    comparison : Comparison
        What is to be compared; its own learning rate is not used.
    rates : sequence of float
        The learning rates that are tried, at least two.

    Raises
    ------
    InvalidConfiguration
        If there are fewer than two learning rates, one is not a positive number or named twice, or the
        comparison has one of the `SEEDS`.
    """

    comparison: Comparison
    rates: Sequence[float]

    def __post_init__(self) -> None:
        rates, seeds = self.rates, self.comparison.seeds
        expected = "a sequence of positive numbers such as [1e-3, 4e-3]"
        require(isinstance(rates, Sequence) and all(map(_is_rate, rates)), "learning rates", expected, rates)
        require(len(set(rates)) == len(rates) > 1, "learning rates", "at least two, all different", rates)
        apart = f"none of {SEEDS}, on which learning rates are chosen"
        require(not set(seeds) & set(SEEDS), "seeds", apart, list(seeds))

    @property
    def runs(self) -> list[Run]:
        """The runs that the choice is made by: of each row of the table, one for each rate and seed."""
        training = self.comparison.configuration.training
        with_rate = [
            dataclasses.replace(
                self.comparison.configuration, training=dataclasses.replace(training, learning_rate=rate)
            )
            for rate in sorted(self.rates)
        ]
        return [
            dataclasses.replace(self.comparison, configuration=configuration).run(name, sparsity, seed)
            for name, sparsity in self.comparison.rows
            for configuration in with_rate
            for seed in SEEDS
        ]

    def carry_out(self, jobs: int, execution: Execution | None = None, dask: str | None = None) -> Comparison:
        """Return the comparison with a learning rate for each of its rows; what is trained already is kept.

        Parameters
        ----------
        jobs, execution, dask
            As of `Comparison.carry_out`.

        Raises
        ------
        Diverged
            If a method's training diverges with each of the learning rates.
        """
        execution = execution or Execution()
        verify_waiting(self.runs, execution, ("trained",))
        validations = iter(in_workers(_validation, self.runs, jobs, execution, dask))
        choices = [
            RateChoice.of(
                name,
                sparsity,
                SEEDS,
                {rate: [next(validations) for _ in SEEDS] for rate in sorted(self.rates)},
            )
            for name, sparsity in self.comparison.rows
        ]
        return dataclasses.replace(self.comparison, choices=choices)


def _is_rate(value: object) -> bool:
    return is_number(value) and 0 < value <= LARGEST_RATE


def _validation(run: Run, execution: Execution) -> float | None:
    """Train a run's network, unless that is done; return its last validation, None if it diverges."""
    try:
        carry_out(run, execution, ("trained",))
    except Diverged:
        return None
    return StoredNetwork(run.stage("trained")).last_validation
