"""A comparison: several methods with several seeds under one protocol, side by side."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moduli.errors import InvalidConfiguration, suggestion
from moduli.requirements import require
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.comparisons.choices import WORDS, Choice
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.comparisons.sweeps import in_workers
from moduli.tasks.experiments.comparisons.tabulation import tabulated
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.settings import Configuration, TestFamily, Tuned
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.methods.words import REWIRED
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.run import Run, label
from moduli.tasks.experiments.runs.stages import STAGES, Results, Stage
from moduli.tasks.experiments.verification import verify_waiting

CONTROL = "none"


def usual_control(methods: Sequence[str]) -> str:
    """Return the control of methods where none is named: the first that is rewired, or else ``none``.

    Rewired masks have equal degrees, so that nothing but the places differs.

    Examples
    --------
    >>> usual_control(["dense", "rewired-torus-diffusion@a-priori", "torus-diffusion@a-priori"])
    'rewired-torus-diffusion@a-priori'
    """
    return next((name for name in methods if name.startswith(REWIRED)), CONTROL)


@dataclass(frozen=True)
class Comparison:
    """Methods, sparsities and seeds that share one configuration.

    Parameters
    ----------
    configuration : Configuration
        What all runs share, except the sparsity.
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
    margin : float, optional
        Differences smaller than it do not matter: it is tested whether methods are equivalent to the control.
    family : {"table", "stage"}
        Which tests are corrected together, see `moduli.tasks.experiments.comparisons.contrasts`.
    choices : sequence of Choice
        The learning rates and strengths of rows that have one of their own, as `SettingSearch` finds them;
        those of other rows are the configuration's.
    tickets : bool
        Whether tickets are trained as well.

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
    margin: float | None = None
    family: TestFamily = "table"
    choices: Sequence[Choice] = ()
    tickets: bool = True

    def __post_init__(self) -> None:
        for name in self.methods:
            chosen = method(name)
            chosen.pruning(self.configuration.pruning)
            chosen.configuration(self.configuration)
        require(len(self.seeds) > 0, "seeds", "at least one", list(self.seeds))
        for seed in self.seeds:
            require(0 <= seed < 2**32, "seed", "a whole number from 0 to 2**32 - 1", seed)
        for kind, values in (("methods", self.methods), ("sparsities", self.sparsities)):
            require(len(set(values)) == len(values), kind, "all different", list(values))
        self._require_choices()
        margin = self.margin
        require(margin is None or 0 < margin < math.inf, "margin", "a positive number", margin)
        if self.control != CONTROL and self.control not in self.methods:
            raise UnknownMethod(
                f"The control '{self.control}' is not compared; {suggestion(self.control, self.methods)}"
            )

    def _require_choices(self) -> None:
        """Refuse choices that leave a row out, have a row twice, or were made on a seed of the table."""
        choices = self.choices
        require(
            isinstance(choices, Sequence) and all(isinstance(each, Choice) for each in choices),
            "choices",
            "what `SettingSearch` finds, a sequence of Choice",
            choices,
        )
        for setting in dict.fromkeys(each.setting for each in choices):
            own = [(each.method, each.sparsity) for each in choices if each.setting == setting]
            missing = [label(*row) for row in self.rows_with(setting) if own.count(row) != 1]
            if missing:
                raise InvalidConfiguration(
                    f"Of {', '.join(missing)} no {WORDS[setting]} was chosen, or several; search anew with "
                    "all methods and sparsities, what is trained already is kept."
                )
        seeds = sorted(set(self.seeds) & {seed for each in choices for seed in each.seeds})
        require(not seeds, "seeds", "others than those that settings were chosen on", seeds)

    @property
    def folder(self) -> Path:
        """The folder of the table and the figures."""
        return self.out / self.name

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is trained of each run."""
        return STAGES if self.tickets else ("trained",)

    @property
    def rows(self) -> list[tuple[str, float]]:
        """The method and the sparsity of each row of the table; a dense network has none."""
        wanted = self.sparsities or [self.configuration.pruning.sparsity]
        return [
            (name, value)
            for name in self.methods
            for value in (wanted if method(name).has_sparsity else [0.0])
        ]

    def rows_with(self, setting: Tuned) -> list[tuple[str, float]]:
        """Return the rows that have a setting: all have a learning rate, and the penalised a strength."""
        return [row for row in self.rows if setting == "learning_rate" or method(row[0]).penalised]

    @property
    def runs(self) -> list[Run]:
        """One run for each row and seed; every row of a seed before the next seed."""
        return [self.run(name, sparsity, seed) for seed in self.seeds for name, sparsity in self.rows]

    def run(self, name: str, sparsity: float, seed: int) -> Run:
        """Return the run of a row with a seed."""
        pruning = dataclasses.replace(self.configuration.pruning, sparsity=sparsity)
        configuration = dataclasses.replace(self.configuration, pruning=pruning)
        for choice in self.choices_of(name, sparsity):
            configuration = configuration.tuned(choice.setting, choice.chosen)
        return Run(configuration, name, seed, self.out / "networks")

    def carry_out(
        self, jobs: int, execution: Execution | None = None, dask: str | None = None
    ) -> list[Results]:
        """Verify every method on its network, unless ``execution`` says no, and carry out all runs.

        What is finished already is not verified again: nothing is trained there.

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
        BrokenClause
            If a method's manifold is not a metric space (`MetricAxiomError`), or its regularizer or its
            pruning breaks a clause; nothing is trained then.
        """
        execution = execution or Execution()
        verify_waiting(self.runs, execution, self.stages)
        work = partial(carry_out, stages=self.stages)
        return in_workers(work, self.runs, jobs, execution, dask)

    def summarize(self, results: Sequence[Results], command: str | None = None) -> Summary:
        """Return the comparison's table; write it to results.json and results.csv.

        Parameters
        ----------
        results : sequence of dict
            What ``carry_out`` returned.
        command : str, optional
            The command that gives these results.

        Returns
        -------
        Summary
        """
        return tabulated(self, results, command)

    def choices_of(self, name: str, sparsity: float) -> list[Choice]:
        """Return what was chosen for a row."""
        return [each for each in self.choices if (each.method, each.sparsity) == (name, sparsity)]
