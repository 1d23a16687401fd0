"""The settings of the cognitive tasks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.errors import InvalidConfiguration, suggestion
from moduli.requirements import require
from moduli.tasks.experiments.configuration.settings import later
from moduli.tasks.experiments.configuration.values import check_settings

Cell = Literal["ctrnn", "gru", "mingru", "lru"]
Activation = Literal["relu", "softplus"]

PROBLEMS = (
    "go", "rtgo", "dlygo", "anti", "rtanti", "dlyanti", "dm1", "dm2", "ctxdm1", "ctxdm2", "multidm", "dlydm1",
    "dlydm2", "ctxdlydm1", "ctxdlydm2", "multidlydm", "dms", "dnms", "dmc", "dnmc",
)  # fmt: skip
"""The 20 tasks of Yang et al., Nature Neuroscience 2019, as NeuroGym calls them."""


@dataclass(frozen=True)
class CognitionSettings:
    """Cognition: see, remember and decide, in the tasks of systems neuroscience."""

    name: ClassVar[str] = "cognition"
    task: ClassVar[str] = "moduli.tasks.cognition.task:Cognition"
    presets: ClassVar[str] = "moduli.tasks.cognition.presets:PRESETS"

    problems: str = "all"
    """all 20 tasks of Yang et al. (2019), interleaved, or some of them, such as dm1 or go,anti."""
    cell: Cell = "ctrnn"
    """ctrnn: a leaky rate network; gru; mingru or lru, whose units remember themselves alone and mix between
    layers."""
    activation: Activation = "relu"
    """Rate of a leaky network's unit as a function of its input."""
    units: int = 256
    """Recurrent units of each layer."""
    time_step: int = 20
    """Milliseconds between two steps."""
    time_constant: float = 100.0
    """Milliseconds in which a leaky network's unit forgets."""
    noise: float = 0.05
    """Standard deviation of the noise in a leaky network's units while it is trained."""
    criterion: float = 10.0
    """Percent of wrong trials at which the tasks count as learned; results say after how many steps."""
    test_trials: int = 50
    """Held-out trials of each task on which a trained network is scored."""
    layers: int = later(1)
    """Recurrent layers; a leaky rate network has one."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("units", "time_step", "criterion", "test_trials", "layers"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(self.noise >= 0, "noise", "non-negative", self.noise)
        require(self.time_step <= 100, "time_step", "at most 100: an answer has 200 ms", self.time_step)
        expected = f"at least time_step, which is {self.time_step}"
        require(self.time_constant >= self.time_step, "time_constant", expected, self.time_constant)
        require(self.layers == 1 or self.cell != "ctrnn", "layers", "1 for the cell ctrnn", self.layers)
        self.chosen()

    def chosen(self) -> tuple[str, ...]:
        """Return the names of the tasks that are interleaved, in their usual order.

        Raises
        ------
        InvalidConfiguration
            If a name is unknown.
        """
        if self.problems == "all":
            return PROBLEMS
        words = [word.strip() for word in self.problems.split(",")]
        for word in words:
            if word not in PROBLEMS:
                raise InvalidConfiguration(
                    f"problems must be all, or some of the tasks of Yang et al. (2019) with commas between "
                    f"them; got {word!r}; {suggestion(word, ('all', *PROBLEMS))}"
                )
        return tuple(problem for problem in PROBLEMS if problem in words)
