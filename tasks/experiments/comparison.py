"""A comparison: several methods with several seeds under one protocol, side by side."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from moduli.errors import suggestion
from moduli.manifolds import verify
from moduli.requirements import require
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.execution import Execution
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.protocol import STAGES, Run
from moduli.tasks.experiments.runs import provenance, write_csv, write_json
from moduli.tasks.experiments.settings import Configuration
from moduli.tasks.experiments.sweeps import carry_out_all

Results = dict[str, dict[str, Any]]

CONTROL = "none"


@dataclass(frozen=True)
class Comparison:
    """Methods, sparsities and seeds that share one configuration.

    Parameters
    ----------
    configuration : Configuration
        What all runs share, but for the sparsity.
    methods : sequence of str
        Names of the methods, in the order of the table.
    seeds : sequence of int
        The seeds with which every method is run.
    out : Path
        Folder of all experiments: the trained networks are in ``out/networks``.
    name : str
        Name of the folder in ``out`` that takes the table and the figures.
    sparsities : sequence of float
        The sparsities at which every method is run; the configuration's own when empty.
    control : str
        The method from which the others' differences are taken, if it is among the methods.

    Raises
    ------
    UnknownMethod
        If a method's name cannot be read, or the control is not among the methods.
    InvalidConfiguration
        If there is no seed, a method or sparsity is named twice, or a method needs another scope.
    """

    configuration: Configuration
    methods: Sequence[str]
    seeds: Sequence[int]
    out: Path
    name: str
    sparsities: Sequence[float] = ()
    control: str = CONTROL

    def __post_init__(self) -> None:
        for name in self.methods:
            method(name).pruning(self.configuration.pruning)
        require(len(self.seeds) > 0, "seeds", "at least one", list(self.seeds))
        for kind, values in (("methods", self.methods), ("sparsities", self.sparsities)):
            require(len(set(values)) == len(values), kind, "all different", list(values))
        if self.control != CONTROL and self.control not in self.methods:
            raise UnknownMethod(
                f"The control '{self.control}' is not compared; {suggestion(self.control, self.methods)}"
            )

    @property
    def folder(self) -> Path:
        """The folder of the table and the figures."""
        return self.out / self.name

    @property
    def cells(self) -> list[tuple[str, float]]:
        """The method and the sparsity of each row of the table; a dense network has none."""
        wanted = self.sparsities or [self.configuration.pruning.sparsity]
        return [
            (name, value) for name in self.methods for value in (wanted if method(name).sparse else [0.0])
        ]

    @property
    def runs(self) -> list[Run]:
        """One run for each row and seed; every row of a seed before the next seed."""
        return [self.run(name, sparsity, seed) for seed in self.seeds for name, sparsity in self.cells]

    def run(self, name: str, sparsity: float, seed: int) -> Run:
        """Return the run of a row with a seed."""
        pruning = dataclasses.replace(self.configuration.pruning, sparsity=sparsity)
        configuration = dataclasses.replace(self.configuration, pruning=pruning)
        return Run(configuration, name, seed, self.out / "networks")

    def carry_out(
        self, jobs: int, execution: Execution | None = None, dask: str | None = None
    ) -> list[Results]:
        """Verify the manifolds, and carry out all runs.

        Parameters
        ----------
        jobs : int
            Number of runs at once, each in a process of its own.
        execution : Execution, optional
            How each is carried out.
        dask : str, optional
            Address of a Dask scheduler whose workers carry the runs out.

        Returns
        -------
        list of dict
            The results of each run's stages, in the order of ``runs``.

        Raises
        ------
        MetricAxiomError
            If a method's manifold is no metric space; nothing is trained then.
        """
        for manifold in {method(name).manifold for name in self.methods}:
            if manifold is not None:
                verify(manifold)
        return carry_out_all(self.runs, jobs, execution or Execution(), dask)

    def summarize(self, results: Sequence[Results], command: str | None = None) -> dict[str, Any]:
        """Return the comparison's table as plain values; write it to results.json and results.csv.

        Parameters
        ----------
        results : sequence of dict
            What ``carry_out`` returned.
        command : str, optional
            The command that gives these results.

        Returns
        -------
        dict
            ``rows`` (one a method and sparsity: the fraction of zeros, of each pruned matrix as well,
            wiring relative to chance, and each stage's score and its difference from the control, for
            each seed), ``references`` (scores that need no network), and what it takes to repeat them.
        """
        own = {cell: list(results[index :: len(self.cells)]) for index, cell in enumerate(self.cells)}
        scores = {
            cell: {stage: [result[stage]["score"] for result in own[cell]] for stage in STAGES}
            for cell in self.cells
        }
        rows = []
        for (name, sparsity), stages in scores.items():
            control = scores.get((self.control, sparsity))
            rows.append(
                {
                    "method": name,
                    "sparsity": mean(
                        result["trained"]["sparsity"]["total"] for result in own[name, sparsity]
                    ),
                    "matrices": {
                        matrix: [result["trained"]["sparsity"][matrix] for result in own[name, sparsity]]
                        for matrix in _matrices(own[name, sparsity])
                    },
                    "wiring": [result["trained"]["wiring"] for result in own[name, sparsity]],
                    "folders": [
                        str(self.run(name, sparsity, seed).folder.relative_to(self.out))
                        for seed in self.seeds
                    ],
                    **stages,
                    "difference": None
                    if control is None or name == self.control
                    else {stage: _differences(stages[stage], control[stage]) for stage in STAGES},
                }
            )
        first = own[self.cells[0]]
        summary = {
            "command": command,
            "score_name": first[0]["trained"]["score_name"],
            "configuration": self.configuration.as_dict(),
            "seeds": list(self.seeds),
            "control": self.control,
            "rows": rows,
            "references": {
                name: [result["trained"]["references"][name] for result in first]
                for name in first[0]["trained"]["references"]
            },
            "seconds_of_training": sum(result[stage]["seconds"] for result in results for stage in STAGES),
            **provenance(),
        }
        write_json(self.folder / "results.json", summary)
        write_csv(self.folder / "results.csv", list(self._records(own)))
        return summary

    def _records(self, own: dict[tuple[str, float], list[Results]]) -> Iterator[dict[str, Any]]:
        matrices = _matrices([result for results in own.values() for result in results])
        for (name, sparsity), results in own.items():
            for seed, result in zip(self.seeds, results, strict=True):
                for stage in STAGES:
                    yield {
                        "method": name,
                        "target_sparsity": sparsity,
                        "seed": seed,
                        "stage": stage,
                        "sparsity": result[stage]["sparsity"]["total"],
                        **{
                            f"sparsity of {matrix}": result[stage]["sparsity"].get(matrix)
                            for matrix in matrices
                        },
                        "wiring": result[stage]["wiring"],
                        "score": result[stage]["score"],
                        "seconds": result[stage]["seconds"],
                        "folder": self.run(name, sparsity, seed).stage(stage).relative_to(self.out),
                    }


def label(method: str, sparsity: float) -> str:
    """Return how a row of a comparison is called.

    Examples
    --------
    >>> label("none", 0.98), label("dense", 0.0)
    ('none 98%', 'dense')
    """
    return f"{method} {100 * sparsity:.4g}%" if sparsity else method


def _matrices(results: Sequence[Results]) -> list[str]:
    """Return the names of all matrices that any of the networks was pruned in."""
    names = dict.fromkeys(name for result in results for name in result["trained"]["sparsity"])
    return [name for name in names if name != "total"]


def _differences(values: Sequence[float], control: Sequence[float]) -> list[float]:
    return [value - other for value, other in zip(values, control, strict=True)]
