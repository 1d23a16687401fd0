"""The command line: sub-commands by task, what is listed, and mistakes."""

import json
import subprocess
import sys

import joblib
import pytest
import torch

import moduli
from moduli.tasks.cli import main
from moduli.tasks.command_line.commands import CompareCommand, RunCommand
from moduli.tasks.command_line.experiment import _comparison, _shared_out
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments.configuration.presets import preset
from moduli.tasks.registry import BUILT_IN


def help_of(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--help"])
    assert stop.value.code == 0
    return " ".join(capsys.readouterr().out.split())


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"moduli {moduli.__version__}\n"


@pytest.mark.parametrize("command", ["compare", "run"])
def test_help_lists_the_tasks_and_each_task_has_its_settings_with_the_preset_s_defaults(capsys, command):
    assert f"usage: moduli {command} [-h] {{adding,cognition,digits,language,navigation}}" in help_of(
        capsys, command
    )
    paper = help_of(capsys, command, "navigation", "--preset", "paper", "--protocol", "recovery")
    assert "Recurrent units. (default: 4096)" in paper
    assert "(default: 30000)" in paper
    assert "(default: recovery)" in paper
    assert "--length" not in paper
    assert "--length" in help_of(capsys, command, "adding")


@pytest.mark.parametrize("task", BUILT_IN)
def test_options_of_every_kind_stand_anywhere_after_the_task(task):
    options = ["--units", "24", "--seeds", "3", "--steps", "7", "--preset", "smoke", "--out", "there"]
    for shift in range(0, len(options), 2):
        command = parse(["compare", task, *options[shift:], *options[:shift]])
        assert isinstance(command, CompareCommand)
        assert (command.seeds, command.preset, str(command.out)) == (3, "smoke", "there")
        assert (command.configuration.task.units, command.configuration.training.steps) == (24, 7)
        assert command.configuration.pruning == preset(task, "smoke").pruning


def test_seeds_that_nobody_has_looked_at_are_compared_in_a_folder_of_their_own():
    command = parse(["compare", "navigation", "--seeds", "2", "--first-seed", "200"])
    comparison = _comparison(command)
    assert list(comparison.seeds) == [200, 201]
    assert comparison.name == "navigation-demo-seeds-from-200"


@pytest.mark.parametrize(
    ("processors", "limit", "jobs", "runs", "expected"),
    [
        (8, 8, None, 20, (8, 1)),
        (8, 8, None, 2, (2, 4)),
        (8, 8, 1, 20, (1, 8)),
        (8, 1, 1, 20, (1, 1)),
        (8, 2, 4, 20, (4, 2)),
        (2, 2, 5, 20, (5, 1)),
    ],
)
def test_runs_share_the_processors_that_were_granted(monkeypatch, processors, limit, jobs, runs, expected):
    monkeypatch.setattr(joblib, "cpu_count", lambda: processors)
    monkeypatch.setattr(torch, "get_num_threads", lambda: limit)
    assert _shared_out(jobs, runs) == expected


def test_few_runs_share_an_accelerator_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 16)
    assert [_shared_out(jobs, 20, on_cpu=False)[0] for jobs in (None, 12)] == [6, 12]
    assert _shared_out(None, 20)[0] == 16


def test_a_command_of_a_task_alone_has_the_demo_s_settings():
    assert parse(["run", "adding"]) == RunCommand(preset("adding"))


@pytest.mark.parametrize("equals", [False, True])
def test_the_style_of_pruning_decides_defaults(equals):
    option = ["--protocol=paper"] if equals else ["--protocol", "paper"]
    command = parse(["run", "adding", *option, "--sparsity", "0.5"])
    assert command.style == "paper"
    assert command.configuration.pruning.scope == "global"
    assert command.configuration.pruning.begin == 0.99
    assert command.configuration.pruning.sparsity == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "navigatoin"], "did you mean 'navigation'"),
        (["compare", "navigation", "--preset", "smkoe"], "did you mean 'smoke'"),
        (["compare", "--seeds", "3"], "A task comes before its options, such as --seeds; available: adding,"),
        (["compare"], "navigation"),
        (["compare", "navigation", "--preset"], "--preset"),
        (["run", "adding", "--protocol", "papr"], "paper"),
        (["run", "adding", "--unts", "3"], "--units"),
        (["run", "adding", "--cells", "3"], "--cells"),
        (["run", "no_such_module:Settings"], "'no_such_module:Settings' could not be imported"),
        (["run", "moduli.tasks.seeds:stream"], "must be a dataclass of a task's settings"),
        (["compare", "adding", "--learning-rate", "1e-3,1e-2"], "--learning-rates of moduli compare takes"),
        (
            ["run", "adding", "--sparsity=0.9,0.98"],
            "--sparsity takes one number, got '0.9,0.98'; --sparsities",
        ),
        (["compare", "adding", "--strength", "1,10"], "--strengths of moduli compare takes several"),
        (["list", "manifold"], "manifolds"),
        (["comprae"], "compare"),
    ],
)
def test_mistakes_are_named_and_exit_with_2(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("manifolds", {"torus", "klein"}),
        ("regularizers", {"dog", "diffusion"}),
        ("masks", {"geometric", "random"}),
        ("tasks", set(BUILT_IN)),
        ("methods", {"dense", "MANIFOLD-INHIBITOR", "@a-priori"}),
        ("presets", {f"{task} {name}" for task in BUILT_IN for name in ("demo", "small", "paper", "smoke")}),
    ],
)
def test_every_catalogue_has_a_line_for_each_name(capsys, what, names):
    main(["list", what, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert names <= found.keys()
    assert all(found.values())
    main(["list", what])
    assert len(capsys.readouterr().out.splitlines()) == len(found)


def test_completions_know_every_task_s_options(capsys):
    with pytest.raises(SystemExit):
        main(["--tyro-print-completion", "bash"])
    script = capsys.readouterr().out
    for option in ("--walk-length", "--dropout", "--test-sequences", "--methods", "--cases"):
        assert option in script


def test_help_catalogues_of_tasks_and_the_front_door_import_no_torch():
    code = """
import sys
from moduli.tasks.cli import main
from moduli.tasks import available_tasks, preset, register_task
preset("language", "paper"), available_tasks()
for arguments in (["--help"], ["compare", "--help"], ["run", "language", "--help"], ["--version"]):
    try:
        main(arguments)
    except SystemExit:
        pass
assert not {"torch", "matplotlib", "rich"} & sys.modules.keys(), "slow"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
