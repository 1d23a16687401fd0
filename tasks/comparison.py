"""A comparison: several methods with several seeds under one protocol, side by side."""

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from joblib import Parallel, delayed
from scipy.stats import t as student_t

from moduli.manifolds import verify
from moduli.tasks.configuration import Configuration
from moduli.tasks.methods import method
from moduli.tasks.protocol import STAGES, Run, carry_out
from moduli.tasks.runs import provenance, write_json


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95% interval.

    Parameters
    ----------
    mean : float
        The mean.
    half_width : float or None
        Half the width of the interval of Student's t; None for a single seed, which has none.
    """

    mean: float
    half_width: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Estimate the mean of values that were drawn independently.

        Examples
        --------
        >>> Estimate.of([1.0, 2.0, 3.0])
        Estimate(mean=2.0, half_width=2.484...)
        """
        if len(values) == 1:
            return cls(values[0], None)
        quantile = float(student_t.ppf(0.975, len(values) - 1))
        return cls(mean(values), quantile * stdev(values) / math.sqrt(len(values)))

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.half_width is None else f"{self.mean:.1f} ± {self.half_width:.1f}"


@dataclass(frozen=True)
class Comparison:
    """Methods and seeds that share one configuration and one folder.

    Parameters
    ----------
    configuration : Configuration
        What all runs share.
    methods : sequence of str
        Names of the methods, in the order of the table.
    seeds : sequence of int
        The seeds with which every method is run.
    folder : Path
        Where everything is kept.

    Raises
    ------
    UnknownMethod
        If a method's name cannot be read.
    """

    configuration: Configuration
    methods: Sequence[str]
    seeds: Sequence[int]
    folder: Path

    def __post_init__(self) -> None:
        for name in self.methods:
            method(name)

    @property
    def runs(self) -> list[Run]:
        """One run for each method and seed; every method of a seed before the next seed."""
        return [
            Run(self.configuration, name, seed, self.folder / name / f"seed-{seed}")
            for seed in self.seeds
            for name in self.methods
        ]

    def carry_out(self, jobs: int, device: str = "cpu") -> Iterator[dict[str, dict[str, Any]]]:
        """Verify the manifolds, carry out all runs, and yield each one's results as it ends.

        Parameters
        ----------
        jobs : int
            Number of runs at once, each in a process of its own that uses its share of the cores.
        device : str
            PyTorch device.

        Raises
        ------
        MetricAxiomError
            If a method's manifold is no metric space; nothing is trained then.
        """
        manifolds = {method(name).manifold for name in self.methods}
        for manifold in manifolds:
            if manifold is not None:
                verify(manifold)
        threads = max(1, (os.cpu_count() or 1) // jobs)
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(carry_out)(run, threads, device) for run in self.runs)

    def summarize(self, results: Sequence[dict[str, dict[str, Any]]]) -> dict[str, Any]:
        """Return the comparison's table as plain values, and write it to ``results.json``.

        Parameters
        ----------
        results : sequence of dict
            What ``carry_out`` yielded.

        Returns
        -------
        dict
            ``rows`` (one a method: its sparsity, its wiring relative to chance, and each
            stage's score, for each seed), ``references`` (scores that need no network), and what it
            takes to repeat them.
        """
        trained = [result["trained"] for result in results]
        rows = []
        for name in self.methods:
            own = sorted(
                (result for result in results if result["trained"]["method"] == name),
                key=lambda result: int(result["trained"]["seed"]),
            )
            rows.append(
                {
                    "method": name,
                    "sparsity": mean(result["trained"]["sparsity"]["total"] for result in own),
                    "wiring": [result["trained"]["wiring"] for result in own],
                    **{stage: [result[stage]["score"] for result in own] for stage in STAGES},
                }
            )
        references = {
            name: [result["references"][name] for result in trained if result["method"] == self.methods[0]]
            for name in trained[0]["references"]
        }
        summary = {
            "score_name": trained[0]["score_name"],
            "configuration": self.configuration.as_dict(),
            "seeds": list(self.seeds),
            "rows": rows,
            "references": references,
            "seconds_of_training": sum(result[stage]["seconds"] for result in results for stage in STAGES),
            **provenance(),
        }
        write_json(self.folder / "results.json", summary)
        return summary
