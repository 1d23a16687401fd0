"""The commands and their options, as the dataclasses that tyro reads them from; free of torch.

``module`` names the module that executes a command; it is imported when the command is given.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from moduli.tasks.experiments.configuration.presets import METHODS, PruningStyle
from moduli.tasks.experiments.configuration.settings import Configuration, TestFamily

Catalogue = Literal["manifolds", "regularizers", "masks", "tasks", "methods", "presets"]


@dataclass(frozen=True)
class ExperimentCommand:
    """What every command that trains has in common."""

    module: ClassVar[str] = "moduli.tasks.command_line.experiment"

    configuration: Configuration
    preset: str = "demo"
    """Where the settings below come from. demo: minutes on two cores; small: under an hour; paper: as
    published, for a GPU; smoke: seconds, too short to learn much; or another of the task's own, see moduli
    list presets."""
    style: Annotated[PruningStyle | None, tyro.conf.arg(name="protocol")] = None
    """How networks are pruned, if not as the preset says. recovery: each recurrent matrix, with steps left
    to recover; paper: all matrices together, linearly over the last epoch, as published."""
    config: Path | None = None
    """TOML file with settings that replace the preset's; the options below replace both."""
    print_config: bool = False
    """Print all settings as TOML and stop."""
    jobs: int | None = None
    """Runs at once; when not given, as many as there are processor cores, and on an accelerator at most 6."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers do the work, such as tcp://host:8786."""
    device: str = "cpu"
    """PyTorch device; auto: the accelerator that PyTorch finds, or else the CPU."""
    devices: int = 1
    """Devices that share each run, through Lightning Fabric."""
    checkpoint_seconds: float = 10.0
    """Seconds between two checkpoints of a run."""
    tensorboard: bool = False
    """Write metrics for TensorBoard as well, as --logger tensorboard does."""
    logger: str = ""
    """Where metrics go as well: tensorboard, wandb, mlflow or csv; or package.module:Class, a logger of
    Lightning that takes save_dir."""
    tickets: bool = True
    """Train each network's lottery ticket as well: the same masks with fresh weights. --no-tickets takes half
    the time."""
    verify: bool = True
    """Verify each method's manifold, regularizer and pruning on its network before anything is trained."""
    out: Path = Path("runs")
    """Folder of all experiments."""
    json: bool = False
    """Print the results as JSON, and nothing else."""


@dataclass(frozen=True)
class CompareCommand(ExperimentCommand):
    """Compare methods on a task, each with its lottery ticket.

    Example: moduli compare navigation --methods dense,none,l1,torus-dog --sparsities 0.9,0.98 --seeds 5
    """

    methods: str = ",".join(METHODS)
    """Names with commas between: dense, narrow, none, l1, MANIFOLD-INHIBITOR, MANIFOLD:EXPRESSION,
    permuted- or pair-permuted-MANIFOLD-INHIBITOR; NAME@SCOPE or NAME@SCHEDULE for one that has its own;
    NAME@free-diagonal, NAME@charged-diagonal; never dense: NAME@a-priori, rewired-NAME@a-priori,
    MANIFOLD-tiles@a-priori, FAMILY@a-priori. See moduli list methods."""
    sparsities: str = ""
    """Fractions of zeros with commas between; the one below when not given."""
    learning_rates: str = ""
    """Learning rates with commas between: each row of the table takes the one that validates best, on two
    seeds apart; the one below for all when not given."""
    strengths: str = ""
    """Strengths of the penalty with commas between, chosen likewise, after learning rates, for each row that
    has a penalty; the one below for all when not given."""
    seeds: int = 1
    """Number of seeds; more than one gives 95% intervals."""
    first_seed: int = 0
    """The first of them; the others follow it."""
    control: str = ""
    """The method from which differences, seed by seed, are taken; when not given, the first that is rewired,
    or else none."""
    margin: float | None = None
    """Differences smaller than it do not matter, in the score's unit: test whether methods are equivalent."""
    family: TestFamily = "table"
    """Which tests are corrected together, by Holm's method. table: all; stage: trained networks and tickets
    apart."""


@dataclass(frozen=True)
class RunCommand(ExperimentCommand):
    """Run one method on a task, and its lottery ticket.

    Example: moduli run navigation --method torus-diffusion --seed 3
    """

    method: str = "torus-diffusion"
    """A method's name, as compare takes it."""
    seed: int = 0
    """Seed of data, weights and embedding."""


@dataclass(frozen=True)
class CheckCommand:
    """Check what plugs in before it is trained with; exit with 1 if a clause is broken.

    It is a manifold, a regularizer, a mask family, a schedule, a method, or package.module:Thing, where Thing
    is a Manifold, a Regularizer, a function make(n, *, sparsity, seed), a function of step, a function of
    model that returns a Sparsifier, or a function without arguments that returns a Manifold or a Regularizer.
    A name of several kinds means the first of them, in this order; no built-in name is of two.

    Example: moduli check torus --kwargs dim=3 period=2.5

    Example: moduli check "dog + 0.1*uniform" --on torus

    Example: moduli check "small-world(rewiring=0.2)"

    Example: moduli check torus-diffusion@a-priori

    Example: moduli check my_package.my_module:Cylinder --kwargs height=2.0
    """

    module: ClassVar[str] = "moduli.tasks.command_line.check"

    target: tyro.conf.Positional[str]
    """A name, a regularizer's expression, or package.module:Thing."""
    kwargs: tuple[str, ...] = ()
    """Arguments as name=value."""
    on: str | None = None
    """The manifold on which a regularizer is checked, such as "torus(dim=3)"; several when not given."""
    cases: int | None = None
    """Cases that each clause tries; more is more thorough."""
    json: bool = False
    """Print the verdicts as JSON."""


@dataclass(frozen=True)
class ListCommand:
    """List what is known by name, each with one line about it.

    Example: moduli list manifolds
    """

    module: ClassVar[str] = "moduli.tasks.command_line.catalogues"

    what: tyro.conf.Positional[Catalogue] = "manifolds"
    """What to list."""
    json: bool = False
    """Print names and descriptions as JSON."""


@dataclass(frozen=True)
class ReportCommand:
    """Write one HTML page about finished experiments: tables, figures, graphs, and how to repeat them.

    Example: moduli report runs/navigation-demo
    """

    module: ClassVar[str] = "moduli.tasks.command_line.report"

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of comparisons, or of single networks."""
    output: Path | None = None
    """The page; report.html in the first folder when not given."""


Command = CompareCommand | RunCommand | CheckCommand | ListCommand | ReportCommand
EXPERIMENTS: dict[str, type[ExperimentCommand]] = {"compare": CompareCommand, "run": RunCommand}
"""The commands that are followed by a task."""
