"""Comparisons without tickets: half the training, a table of trained networks alone, tickets added later."""

import csv
import json

import pytest

from moduli.tasks.cli import main
from moduli.tasks.errors import DamagedFile, NothingToReport
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.search import SettingSearch
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.figures.picture import read_panels
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.report import write_report

TINY = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=6, batch=5, learning_rate=0.01, log_interval=3),
    PruningSettings(sparsity=0.8, strength=1.0),
)
COMMAND = ["compare", "navigation", "--preset", "smoke", "--units", "12", "--steps", "6", "--methods"]
COMMAND += ["none,torus-diffusion", "--seeds", "2", "--sparsities", "0.5,0.8", "--jobs", "1", "--no-verify"]


def stages_in(out):
    """Return which stages have a folder, of each network."""
    return {frozenset(stage.name for stage in folder.iterdir()) for folder in (out / "networks").iterdir()}


def test_the_command_leaves_tickets_out_and_adds_them_later(tmp_path, capsys):
    main([*COMMAND, "--out", str(tmp_path), "--no-tickets"])
    printed = capsys.readouterr().out
    assert stages_in(tmp_path) == {frozenset({"trained"})}
    assert "ticket" not in printed.replace(str(tmp_path), "")
    (folder,) = tmp_path.glob("navigation-*")
    alone = Summary.read(folder / "results.json")
    assert alone.stages == ["trained"]
    assert [row.ticket for row in alone.rows] == [None] * 4
    assert {each.stage for each in alone.contrasts} == {"trained"}
    with (folder / "results.csv").open() as file:
        assert {line["stage"] for line in csv.DictReader(file)} == {"trained"}
    assert len(read_panels(folder / "figures" / "scores.png")) < 2
    page = write_report([folder], tmp_path / "report.html").read_text()
    assert ">trained<" in page
    assert ">ticket<" not in page

    main([*COMMAND, "--out", str(tmp_path)])
    assert stages_in(tmp_path) == {frozenset({"trained", "ticket"})}
    both = Summary.read(folder / "results.json")
    assert both.stages == ["trained", "ticket"]
    assert [row.trained for row in both.rows] == [row.trained for row in alone.rows]
    assert len(read_panels(folder / "figures" / "scores.png")) == 2
    assert "Ticket: the same masks" in capsys.readouterr().out


def test_rates_are_searched_and_tables_made_from_python(tmp_path):
    comparison = Comparison(TINY, ["dense", "none"], [0, 1], tmp_path, "table", tickets=False)
    found = SettingSearch(comparison, "learning_rate", [1e-3, 1e-2]).carry_out(jobs=1)
    assert not found.tickets
    results = found.carry_out(jobs=1)
    assert {tuple(each) for each in results} == {("trained",)}
    summary = found.summarize(results)
    assert [row.scores.keys() for row in summary.rows] == [{"trained"}, {"trained"}]
    assert summary == Summary.read(found.folder / "results.json")
    assert summary.seconds_of_training == sum(each["trained"].seconds for each in results)


def test_rows_with_and_without_tickets_are_no_table(tmp_path):
    comparison = Comparison(TINY, ["dense", "none"], [0], tmp_path, "table", tickets=False)
    comparison.summarize(comparison.carry_out(jobs=1))
    path = comparison.folder / "results.json"
    stored = json.loads(path.read_text())
    stored["rows"][1]["ticket"] = [1.0]
    path.write_text(json.dumps(stored))
    with pytest.raises(DamagedFile, match=r"rows\[1\] does not have the stages trained"):
        Summary.read(path)


def test_a_report_of_one_network_needs_no_ticket_but_a_ticket_that_began_must_end(tmp_path):
    (run,) = Comparison(TINY, ["none"], [0], tmp_path, "table").runs
    carry_out(run, stages=("trained",))
    assert "ticket" not in write_report([run.folder], tmp_path / "one.html").read_text()
    carry_out(run)
    (run.stage("ticket") / "results.json").unlink()
    with pytest.raises(NothingToReport, match="holds no finished experiment"):
        write_report([run.folder], tmp_path / "two.html")
