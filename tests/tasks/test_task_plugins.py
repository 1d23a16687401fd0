"""Tasks that plug in: by name, by entry point, by import string; broken ones are named and do no harm."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from moduli.errors import InvalidConfiguration, PluginConflict, PluginError, RegistrationError
from moduli.tasks import available_tasks, make_task, preset, register_task
from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.cli import main
from moduli.tasks.experiments.configuration.settings import Configuration
from moduli.tasks.experiments.configuration.toml_files import read_toml, write_toml
from moduli.tasks.registry import TASKS, find_task

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "compare-methods.md"
SMALL = "--methods dense,none --steps 20 --batch 5 --log-interval 10 --jobs 1"

COUNTING = '''
"""A task that calls its units otherwise, has settings of every kind and presets of its own."""
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from average_task import Average, Network
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings


@dataclass(frozen=True)
class CountingSettings:
    """Counting: a plugin's task."""

    name: ClassVar[str] = "counting"
    task: ClassVar[str] = f"{__name__}:Counting"
    presets: ClassVar[str] = f"{__name__}:PRESETS"
    published_epochs: ClassVar[int] = 4

    neurons: int = 12
    length: int = 5
    rates: tuple[float, ...] = (0.5, 2.0)
    order: Literal["up", "down"] = "up"
    source: Path | None = None
    loud: bool = False


class Counting(Average):
    def model(self):
        return Network(self.settings.neurons).to(self.device)


PRESETS = {"tiny": Configuration(
    CountingSettings(neurons=8), TrainingSettings(steps=10, batch=5), PruningSettings(sparsity=0.5)
)}
'''

BROKEN = {
    "unimportable": ("import a_module_that_nobody_has", "ModuleNotFoundError"),
    "leaving": ("import sys; sys.exit('bye')", "SystemExit: bye"),
    "function": ("def Settings(): pass", "must be a dataclass of a task's settings"),
    "thawed": (
        "from dataclasses import dataclass\n@dataclass\nclass Settings:\n    name = 'x'",
        "must be frozen",
    ),
    "taskless": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Settings:\n    name = 'taskless'",
        "must say its task as a class variable",
    ),
}


def install(folder: Path, package: str, entries: dict[str, str]) -> None:
    """Write what pip leaves of an installed package with entry points."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {target}\n" for name, target in entries.items())
    (info / "entry_points.txt").write_text(f"[moduli.tasks]\n{lines}")


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    task = re.search(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (folder / "average_task.py").write_text(task.group(1))
    (folder / "counting_task.py").write_text(COUNTING)
    install(folder, "counting", {"counting": "counting_task:CountingSettings"})
    for name, (code, _) in BROKEN.items():
        (folder / f"broken_{name}.py").write_text(code)
    install(folder, "broken", {name: f"broken_{name}:Settings" for name in BROKEN})
    for package in ("one", "other"):
        install(folder, package, {"wanted": f"{package}_task:Settings"})
    return folder


@pytest.fixture
def registry():
    before = TASKS.snapshot()
    yield
    TASKS.restore(before)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def moduli(plugins, registry, monkeypatch, capsys):
    """Run the command line where the plugins are installed."""
    monkeypatch.syspath_prepend(plugins)
    for path in plugins.glob("*.py"):
        monkeypatch.delitem(sys.modules, path.stem, raising=False)

    def run(*arguments: str) -> Done:
        capsys.readouterr()
        code = 0
        try:
            main(arguments)
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Done(code, *capsys.readouterr())

    return run


def test_the_guide_s_task_runs_from_the_command_line(moduli, tmp_path):
    text = PAGE.read_text()
    command = re.search(r"^moduli (compare average_task:AverageSettings .*)$", text, re.MULTILINE).group(1)
    done = moduli(*command.split(), "--out", str(tmp_path), "--json", "--jobs", "1", "--steps", "20")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["configuration"]["task"] == {"units": 32, "length": 12}
    assert [row["method"] for row in summary["rows"]] == ["dense", "none", "torus-dog"]
    assert summary["references"].keys() == {"predicting zero"}
    (folder,) = tmp_path.glob("average-smoke-*")
    assert (folder / "figures" / "scores.png").exists()


def test_a_plugin_s_task_goes_wherever_a_built_in_one_does(moduli, tmp_path):
    out = ["--out", str(tmp_path)]
    done = moduli("compare", "counting", *SMALL.split(), *out, "--rates", "1", "3", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["configuration"]["name"] == "counting"
    assert summary["configuration"]["task"]["rates"] == [1.0, 3.0]
    again = moduli("compare", "counting", *SMALL.split(), *out, "--rates", "1", "3", "--json")
    assert json.loads(again.stdout)["rows"] == summary["rows"], again.stderr  # its finished runs are found

    done = moduli("run", "counting", "--preset", "tiny", "--method", "none", *out)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "counting-tiny-none-seed-0"
    assert json.loads((folder / "results.json").read_text())["configuration"]["training"]["steps"] == 10

    done = moduli("report", str(folder))
    assert done.returncode == 0, done.stderr
    assert "task.neurons" in (folder / "report.html").read_text()


def test_a_plugin_s_settings_survive_toml(moduli, tmp_path):
    options = ["--neurons", "9", "--rates", "0.25", "--order", "down", "--source", "words.txt", "--loud"]
    printed = moduli("run", "counting", *options, "--protocol", "paper", "--print-config")
    assert "begin = 0.75" in printed.stdout, printed.stderr
    path = tmp_path / "counting.toml"
    path.write_text(printed.stdout)
    again = moduli("run", "counting", "--config", str(path), "--print-config")
    assert again.stdout == printed.stdout
    for line in ("neurons = 9", 'order = "down"', 'source = "words.txt"', "loud = true"):
        assert line in again.stdout.splitlines()
    path.write_text("[task]\nrates = ['fast']")
    refused = moduli("run", "counting", "--config", str(path), "--print-config")
    assert refused.returncode == 2
    assert "task.rates[0] must be of type float; got 'fast'" in refused.stderr


def test_a_plugin_s_help_has_its_fields_as_options(moduli):
    done = moduli("compare", "counting", "--help")
    for words in ("--neurons INT", "--order {up,down}", "--loud, --no-loud", "(default: 0.5 2.0)"):
        assert words in done.stdout, done.stderr
    listed = moduli("compare", "--help").stdout
    assert {"navigation", "counting", *BROKEN} <= set(re.findall(r"\w+", listed))


def test_lists_name_what_is_broken_and_stay_whole(moduli):
    tasks = json.loads(moduli("list", "tasks", "--json").stdout)
    assert tasks["counting"] == "Plugin counting_task:CountingSettings of counting 1.0."
    assert {"adding", "language", "navigation", "wanted", *BROKEN} <= tasks.keys()
    presets = json.loads(moduli("list", "presets", "--json").stdout)
    assert {"counting tiny", "counting demo", "navigation paper"} <= presets.keys()
    for name, (_, message) in BROKEN.items():
        assert message in presets[name]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_in_one_sentence(moduli, name):
    done = moduli("run", name)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"moduli: The task '{name}' of plugin broken_{name}:Settings of broken 1.0")
    assert BROKEN[name][1] in last
    assert "Traceback" not in done.stderr


def test_plugins_that_collide_are_both_named(moduli):
    done = moduli("run", "wanted")
    assert done.returncode == 2
    assert "one_task:Settings of one 1.0" in done.stderr
    assert "other_task:Settings of other 1.0" in done.stderr


def test_a_plugin_that_wants_a_built_in_name_gets_nothing(tmp_path, moduli, monkeypatch):
    install(tmp_path, "thief", {"navigation": "thief_task:Settings"})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(PluginConflict, match="Plugin thief_task:Settings of thief 1.0 wants .* 'navigation'"):
        done = moduli("run", "navigation", "--print-config")
    assert "cells = 128" in done.stdout
    fresh = subprocess.run(  # the plugin is there before the built-in tasks are
        [sys.executable, "-W", "ignore", "-c",
         "from moduli.tasks import preset; print(preset('navigation').task)"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert fresh.stdout.startswith("NavigationSettings("), fresh.stderr


def test_plugins_can_be_turned_off(moduli, monkeypatch):
    monkeypatch.setenv("MODULI_NO_PLUGINS", "1")
    done = moduli("run", "counting", "--help")
    assert done.returncode == 2
    assert "No task is called 'counting'" in done.stderr


@pytest.mark.usefixtures("registry")
def test_a_name_is_registered_by_decorator_call_and_import_string():
    @register_task("more")
    @dataclass(frozen=True)
    class MoreSettings(AddingSettings):
        """Adding more."""

        name: ClassVar[str] = "more"
        numbers: int = 3

    assert available_tasks()["more"] == "Adding more."
    assert preset("more", "smoke").task == MoreSettings()
    register_task("alias", "moduli.tasks.adding.settings:AddingSettings")
    assert preset("alias", "smoke") == preset("adding", "smoke")
    assert register_task("again", MoreSettings) is MoreSettings
    with pytest.raises(RegistrationError, match="'adding' is taken by"):
        register_task("adding", MoreSettings)


def settings_class(**members: Any) -> type[Any]:
    variables = {"name": "odd", "task": "package.module:Odd"}
    annotations = members.pop("annotations", {})
    return dataclass(frozen=True)(
        type(
            "OddSettings",
            (),
            {**variables, **members, "__annotations__": annotations, "__module__": __name__},
        )
    )


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (3, "'odd' must be a dataclass of a task's settings, got an object of type int"),
        (AddingSettings(), "must be a dataclass of a task's settings, got an object of type AddingSettings"),
        (settings_class(name=3), "OddSettings must say its name as a class variable, .* got 3"),
        (settings_class(name="../odd"), "must say its name"),
        (settings_class(task=None), "must say its task as a class variable, .* got None"),
        (settings_class(task="package.module"), "must say its task"),
        (settings_class(annotations={"task": str}), "must say its task as a class variable"),
        (settings_class(presets={}), "must say its presets as a class variable"),
        (settings_class(published_epochs=0), "published_epochs must be a positive integer, got 0"),
        (settings_class(annotations={"size": int}), r"OddSettings.size needs a default"),
        (settings_class(size=max, annotations={"size": object}), "OddSettings.size is of type object"),
        (settings_class(size=1, annotations={"size": "Sise"}), "types of OddSettings's fields are unknown"),
        (
            settings_class(size=1, annotations={"size": int}, __post_init__=lambda self: 1 / 0),
            r"OddSettings\(\) fails with its defaults: ZeroDivisionError",
        ),
        ("no colon", "looks like 'package.module:Class'"),
    ],
)
def test_what_is_not_a_task_s_settings_is_refused(thing, message):
    with pytest.raises(RegistrationError, match=message):
        register_task("odd", thing)
    with pytest.raises(RegistrationError, match="non-empty string"):
        register_task(3, thing)


@dataclass(frozen=True)
class ThievingSettings:
    name: ClassVar[str] = "navigation"
    task: ClassVar[str] = "package.module:Thief"


@dataclass(frozen=True)
class ClashingSettings:
    name: ClassVar[str] = "clashing"
    task: ClassVar[str] = f"{__name__}:nothing"

    checkpoint_seconds: float = 1.0


@dataclass(frozen=True)
class PresetSettings:
    name: ClassVar[str] = "with-presets"
    task: ClassVar[str] = "moduli.tasks.seeds:stream"
    presets: ClassVar[str] = f"{__name__}:WRONG_PRESETS"


WRONG_PRESETS = {"demo": Configuration(AddingSettings())}


def test_settings_that_call_themselves_as_a_built_in_task_does_are_refused():
    with pytest.raises(RegistrationError, match="ThievingSettings calls itself 'navigation'"):
        find_task(f"{__name__}:ThievingSettings")


def test_presets_of_another_task_are_refused():
    with pytest.raises(RegistrationError, match=r"must be a mapping of names to Configuration\(PresetS"):
        preset(f"{__name__}:PresetSettings")


def test_a_field_whose_option_means_something_else_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", f"{__name__}:ClashingSettings"])
    assert stop.value.code == 2
    assert "--checkpoint-seconds means something else already; rename the field" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (ThievingSettings(), PluginError, r"The task of ThievingSettings \(package.module:Thief\) could not"),
        (PresetSettings(), RegistrationError, "must be a subclass of Task, got an object of type function"),
    ],
)
def test_a_task_that_cannot_be_made_is_named(settings, error, message):
    with pytest.raises(error, match=message):
        make_task(Configuration(settings), seed=0)


def test_settings_that_no_file_can_hold_are_named(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(write_toml(Configuration(AddingSettings())).replace("length = 50", "length = [50]"))
    with pytest.raises(InvalidConfiguration, match=r"task.length must be of type int; got \[50\]"):
        read_toml(path, Configuration(AddingSettings()))
