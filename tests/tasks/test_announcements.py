"""A comparison whose output goes to a file says which networks are done."""

import io

from rich.console import Console

from moduli.tasks import preset
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.runs.run_folder import FINISHED
from moduli.tasks.report.terminal import Announcements


def finish(run, stage):
    run.stage(stage).mkdir(parents=True)
    for name in FINISHED:
        (run.stage(stage) / name).touch()


def test_each_network_is_announced_once_and_those_of_before_are_counted(tmp_path):
    comparison = Comparison(preset("navigation", "smoke"), ["dense", "none"], [0], tmp_path, "table")
    dense, pruned = comparison.runs
    finish(dense, "trained")
    text = io.StringIO()
    with Announcements(Console(file=text, width=160), comparison.runs):
        finish(dense, "ticket")
        finish(pruned, "trained")
    assert text.getvalue().splitlines() == [
        "2 of 4 networks: dense, seed 0, ticket is done",
        "3 of 4 networks: none 90%, seed 0, trained is done",
    ]
