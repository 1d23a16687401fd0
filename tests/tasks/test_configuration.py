"""Settings: presets, styles of pruning, TOML files, and names of methods."""

import csv
import sys
from dataclasses import dataclass, replace
from types import ModuleType
from typing import ClassVar

import pytest

from moduli.errors import InvalidConfiguration
from moduli.manifolds import Circle, register
from moduli.manifolds.registry import MANIFOLDS
from moduli.models import MissingDependency
from moduli.regularizers import DifferenceOfGaussians, Diffusion, Uniform
from moduli.tasks import preset
from moduli.tasks.cli import main
from moduli.tasks.errors import UnknownMethod, UnknownPreset, UnknownTask
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.configuration.presets import presets_of, with_style
from moduli.tasks.experiments.configuration.settings import (
    Configuration,
    PruningSettings,
    TrainingSettings,
    later,
    plain,
)
from moduli.tasks.experiments.configuration.toml_files import read_toml, write_toml
from moduli.tasks.experiments.methods import explained_methods, method, split_methods
from moduli.tasks.experiments.methods.words import A_PRIORI, CHANGES, CONTROLS, DIAGONALS
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.training.metrics_log import MetricsLog
from moduli.tasks.language.settings import LanguageSettings
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.registry import BUILT_IN, find_task

PRESET_CASES = [(task, name) for task in BUILT_IN for name in presets_of(find_task(task))]
DEFAULT = Configuration(NavigationSettings())
LANGUAGE = Configuration(
    LanguageSettings(layers=3),
    TrainingSettings(steps=2000, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=111),
    PruningSettings(sparsity=0.9),
)
"""What the preset small of the language task was until it read WikiText-2."""


@pytest.mark.parametrize(("task", "name"), PRESET_CASES)
def test_every_preset_survives_toml_and_takes_every_style_of_pruning(tmp_path, task, name):
    configuration = preset(task, name)
    assert configuration.task.name == task
    path = tmp_path / "preset.toml"
    path.write_text(write_toml(configuration))
    assert read_toml(path, preset(task, "smoke")) == configuration
    pruned = [with_style(configuration, style).pruning for style in ("recovery", "paper")]
    assert pruned[0] != pruned[1]
    assert configuration.pruning in pruned


@pytest.mark.parametrize(
    ("configuration", "digest"),
    [
        (preset("navigation", "demo"), "2a735f5d"),
        (preset("navigation", "paper"), "d6c47003"),
        (LANGUAGE, "fc5e8276"),
        (preset("adding", "paper"), "dccae0c4"),
    ],
)
def test_the_identity_of_runs_that_are_on_disk_stays(configuration, digest):
    assert configuration.digest() == digest


@dataclass(frozen=True)
class Grown:
    old: int = 1
    new: str = later("as ever")


def test_a_setting_that_came_later_is_part_of_the_identity_where_it_is_not_as_ever():
    assert plain(Grown()) == {"old": 1}
    assert plain(Grown(new="other")) == {"old": 1, "new": "other"}
    assert plain(Grown(), whole=True) == {"old": 1, "new": "as ever"}


def test_unknown_tasks_and_presets_get_a_suggestion():
    with pytest.raises(UnknownTask, match="did you mean 'navigation'"):
        preset("navigaton")
    with pytest.raises(UnknownPreset, match="'navigation' has no preset 'smkoe'; did you mean 'smoke'"):
        preset("navigation", "smkoe")
    with pytest.raises(UnknownTask, match="A task's name is a string, got 3"):
        preset(3)


def test_every_word_of_a_method_s_name_is_explained():
    words = explained_methods()
    assert {f"@{word}" for word in (*CHANGES, *DIAGONALS, A_PRIORI)} | CONTROLS.keys() < words.keys()
    for name in ("dense", "none", "l1"):
        assert method(name).name in words


def test_equal_settings_are_one_run_and_one_comparison(tmp_path):
    whole, broken = (replace(DEFAULT, pruning=PruningSettings(strength=strength)) for strength in (10, 10.0))
    assert whole == broken
    assert whole.digest() == broken.digest()
    assert Run(whole, "l1", 0, tmp_path).folder == Run(broken, "l1", 0, tmp_path).folder


def test_print_config_prints_what_config_reads(tmp_path, capsys):
    options = ["run", "navigation", "--preset", "smoke", "--units", "48", "--protocol", "paper"]
    main([*options, "--print-config"])
    path = tmp_path / "settings.toml"
    path.write_text(capsys.readouterr().out)
    configuration = read_toml(path, DEFAULT)
    assert configuration.task.units == 48
    assert configuration.pruning.scope == "global"
    assert not configuration.pruning.matched
    main(["run", "navigation", "--config", str(path), "--cells", "77", "--print-config"])
    printed = capsys.readouterr().out
    assert "units = 48" in printed
    assert "cells = 77" in printed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trainig]\nsteps = 3", "did you mean 'training'"),
        ("steps = 3", "'steps'; its settings are in tables"),
        ("[training]\nstep = 3", "did you mean 'steps'"),
        ("[training]\nsteps = 3.5", "training.steps must be of type int; got 3.5"),
        ("[pruning]\nsparsity = 2", r"sparsity must be in \[0, 1\); got 2.0"),
        ("[pruning]\nscope = 'layr'", "scope must be one of layer, global, recurrent, erk; got 'layr'"),
        ("[training", "cannot be read as TOML"),
        ("[training]\nlearning_rate = 1e38", r"learning_rate must be at most 1e\+06; got 1e\+38"),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(InvalidConfiguration, match=message):
        read_toml(path, DEFAULT)


def test_a_file_of_settings_that_is_not_there_is_called_so(tmp_path):
    for path, reason in ((tmp_path / "no.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InvalidConfiguration, match=f"cannot be read: {reason}"):
            read_toml(path, DEFAULT)


def test_a_space_whose_name_has_hyphens_can_be_said_in_a_method():
    before = MANIFOLDS.snapshot()
    try:
        register("half-circle", Circle)
        for name in (
            "half-circle-diffusion",
            "half-circle(radius=2.0):dog",
            "permuted-half-circle-dog@a-priori",
        ):
            assert isinstance(method(name).manifold, Circle)
        assert method("half-circle-tiles@a-priori").masks is not None
    finally:
        MANIFOLDS.restore(before)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidConfiguration, match=r"nothing\.toml cannot be read"):
        read_toml(tmp_path / "nothing.toml", DEFAULT)


def test_methods_are_matched_in_mean_coefficient_unless_told_otherwise():
    assert method("torus-diffusion").regularizer == Diffusion().normalized()
    assert method("torus-diffusion", matched=False).regularizer == Diffusion()
    assert method("torus(dim=6, period=5.0)-dog").manifold.spec["kwargs"] == {"dim": 6, "period": 5.0}
    assert method("permuted-klein:dog + 0.5*uniform", seed=4).name == "permuted-klein:dog + 0.5*uniform"


def test_a_method_s_own_scope_and_schedule_replace_the_comparison_s():
    pruning = method("none@layer@linear").pruning(PruningSettings(sparsity=0.7))
    assert pruning == PruningSettings(sparsity=0.7, scope="layer", schedule="linear")


def test_controls_lose_the_geometry_and_are_matched_afterwards():
    dog = DifferenceOfGaussians()
    assert method("permuted-klein-dog", seed=4).regularizer == dog.permuted(4).normalized()
    assert method("pair-permuted-klein-dog", seed=4).regularizer == dog.permuted_in_pairs(4).normalized()


def test_a_method_may_price_self_connections_apart():
    free = method("torus-dog@free-diagonal").regularizer
    assert free == DifferenceOfGaussians().normalized().with_diagonal(0)
    assert method("l1@charged-diagonal").regularizer == Uniform().with_diagonal(1)
    assert method("torus-dog@a-priori@layer").a_priori


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dens", "did you mean 'dense'"),
        ("torus-difusion", "did you mean 'diffusion'"),
        ("none@lyer", "did you mean 'layer'"),
        ("l1@apriori", "did you mean 'a-priori'"),
        ("torus-dog@layer@global", "'layer' and 'global' in the method .* both say its scope"),
        ("l1@free-diagonal@charged-diagonal", "both say its diagonal"),
        ("none@a-priori", "needs coefficients, and 'none' has none; write l1@a-priori"),
        ("dense@free-diagonal", "needs coefficients"),
        ("torus(6)-dog", r"write it as torus or torus\(dim=6\)"),
        ("torus[1]-dog", "is not a manifold"),
        ("permutd-torus-dog", "for a control after permuted- or pair-permuted-"),
        ("tours-dog", "did you mean 'torus'"),
        ("torus:0.5*dgo", "did you mean 'dog'"),
        ("torus(dimension=6)-dog", "dimension"),
    ],
)
def test_unknown_methods(name, message):
    with pytest.raises(Exception, match=message) as caught:
        method(name)
    assert caught.type.__module__.startswith("moduli")


def test_commas_inside_parentheses_do_not_split_methods():
    text = "dense, torus(dim=6, period=5.0):gaussian(amplitude=1, length=2), none"
    assert split_methods(text) == [
        "dense",
        "torus(dim=6, period=5.0):gaussian(amplitude=1, length=2)",
        "none",
    ]
    with pytest.raises(UnknownMethod, match="No method is called ''"):
        method(split_methods("dense,")[1])


@pytest.mark.parametrize(
    ("library", "execution", "settings", "message"),
    [
        ("torch.utils.tensorboard", Execution(tensorboard=True), {}, r"pip install 'moduli\[tensorboard\]'"),
        ("lightning.pytorch.loggers", Execution(logger="csv"), {}, r"pip install 'moduli\[lightning\]'"),
        ("wandb", Execution(logger="wandb"), {}, r"pip install 'moduli\[wandb\]'"),
        ("mlflow", Execution(logger="mlflow"), {}, r"pip install 'moduli\[mlflow\]'"),
        ("lightning.fabric", Execution(devices=2), {}, r"pip install 'moduli\[lightning\]'"),
        ("lightning.fabric", Execution(), {"precision": "bf16-mixed"}, r"pip install 'moduli\[lightning\]'"),
    ],
)
def test_a_missing_optional_library_is_named_with_its_remedy(
    tmp_path, monkeypatch, library, execution, settings, message
):
    monkeypatch.setitem(sys.modules, library, None)
    smoke = preset("navigation", "smoke")
    run = Run(replace(smoke, training=replace(smoke.training, **settings)), "none", 0, tmp_path)
    with pytest.raises(MissingDependency, match=message):
        carry_out(run, execution)


def test_tensorboard_gets_every_row_once(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    smoke = preset("navigation", "smoke")
    tiny = replace(
        smoke,
        task=replace(smoke.task, units=8, cells=8, walk_length=3, test_walks=10),
        training=replace(smoke.training, steps=6, batch=4, log_interval=2),
    )
    run = Run(tiny, "none", 0, tmp_path)
    carry_out(run, Execution(tensorboard=True))
    events = EventAccumulator(str(run.stage("trained") / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4, 6]


ROW = {"step": 2, "loss": 0.5, "validation": 1.5}


@pytest.mark.parametrize("logger", ["csv", "lightning.pytorch.loggers:CSVLogger"])
def test_a_logger_of_lightning_gets_every_row(tmp_path, logger):
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    with MetricsLog(folder, 0, Execution(logger=logger)) as log:
        for step in (2, 4):
            log.append(ROW | {"step": step})
    with MetricsLog(folder, 0, Execution(logger=logger), rank=1) as log:
        log.append(ROW | {"step": 6})
    (path,) = (path for path in folder.path.rglob("metrics.csv") if path.parent != folder.path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["loss"], row["validation"]) for row in rows] == [
        ("2", "0.5", "1.5"), ("4", "0.5", "1.5"),
    ]  # fmt: skip


class Recorder:
    """Stands for loggers that write to a server; it says how it was made, and how it ended."""

    made: ClassVar[list["Recorder"]] = []

    def __init__(self, *arguments, **options):
        self.arguments, self.options, self.steps, self.end = arguments, options, [], None
        self.made.append(self)

    def log_metrics(self, metrics, step):
        assert "step" not in metrics
        self.steps.append(step)

    def finalize(self, status):
        self.end = status


@pytest.mark.parametrize(("logger", "kind"), [("wandb", "WandbLogger"), ("mlflow", "MLFlowLogger")])
def test_a_run_that_goes_on_has_the_name_that_it_had(tmp_path, monkeypatch, logger, kind):
    monkeypatch.setitem(sys.modules, logger, ModuleType(logger))
    monkeypatch.setattr(f"lightning.pytorch.loggers.{kind}", Recorder)
    monkeypatch.setattr(Recorder, "made", [])
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    first_log = MetricsLog(folder, 0, Execution(logger=logger))
    first_log.append(ROW)
    first_log.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    with MetricsLog(folder, 2, Execution(logger=logger)) as log:
        log.append(ROW | {"step": 4})
    first, second = Recorder.made
    assert (first.arguments, first.options) == (second.arguments, second.options)
    assert "navigation" in str(first.arguments + tuple(first.options.values()))
    assert [(each.steps, each.end) for each in Recorder.made] == [([2], "failed"), ([4], "success")]


def test_a_logger_that_is_not_known_is_named_with_a_suggestion(tmp_path):
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    with pytest.raises(InvalidConfiguration, match="No logger is called 'wand'; did you mean 'wandb'"):
        MetricsLog(folder, 0, Execution(logger="wand"))


class Frail:
    """Stands for a logger whose server goes away after two rows."""

    def __init__(self, save_dir):
        self.rows = []

    def log_metrics(self, numbers, step):
        self.rows.append(step)
        if len(self.rows) == 3:
            raise ConnectionError("server gone")

    def finalize(self, status):
        raise AssertionError("a logger that failed is left alone")


def test_a_logger_that_fails_is_left_out_and_the_training_goes_on(tmp_path, monkeypatch):
    loggers = pytest.importorskip("lightning.pytorch.loggers")
    monkeypatch.setattr(loggers, "Logger", Frail)
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    execution = Execution(logger=f"{__name__}:Frail")
    log = MetricsLog(folder, 0, execution)
    for step in (1, 2):
        log.append({"step": step, "loss": 1.0})
    with pytest.warns(
        UserWarning, match="Frail failed .ConnectionError: server gone.*metrics.csv has every row"
    ):
        log.append({"step": 3, "loss": 1.0})
    with log:
        for step in (4, 5):
            log.append({"step": step, "loss": 1.0})
    assert [row["step"] for row in read_metrics(folder.path)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("execution", [Execution(tensorboard=True), Execution(logger="tensorboard")])
@pytest.mark.parametrize("method", ["add_scalar", "close"])
def test_tensorboard_that_fails_is_left_out_too(tmp_path, monkeypatch, execution, method):
    def full(*_, **__):
        raise OSError("no space left")

    def show():
        with MetricsLog(folder, 0, execution) as log:
            for step in (1, 2):
                log.append({"step": step, "loss": 1.0})

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter." + method, full)
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    with pytest.warns(UserWarning, match="tensorboard failed .OSError: no space left"):
        show()
    assert len(read_metrics(folder.path)) == 2


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ("collections:OrderedDict", "is not a class of Lightning's loggers"),
        ("math:pi", "is not a class of Lightning's loggers"),
        ("lightning.pytorch.loggers:Logger", "cannot be made .TypeError.*takes save_dir"),
    ],
)
def test_what_is_no_logger_is_refused_before_anything_is_trained(tmp_path, logger, message):
    folder = Run(preset("navigation", "smoke"), "none", 0, tmp_path).open("trained")
    with pytest.raises(InvalidConfiguration, match=message):
        MetricsLog(folder, 0, Execution(logger=logger))
