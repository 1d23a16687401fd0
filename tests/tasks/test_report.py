"""Reports: what they say, that they need nothing else, and how they look in a browser."""

import asyncio
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from moduli.tasks.cli import main
from moduli.tasks.errors import DamagedFile, NothingToReport
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.experiments.runs.files import sealed
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.report import write_report
from tests.tasks.browser import PROGRAM, browser

pytestmark = pytest.mark.xdist_group("report")  # one process makes what all share

TINY = Configuration(
    NavigationSettings(units=12, cells=10, walk_length=4, test_walks=20),
    TrainingSettings(steps=10, batch=5, learning_rate=0.01, log_interval=5),
    PruningSettings(sparsity=0.8, strength=1.0),
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    comparison = Comparison(TINY, ["dense", "none", "torus-diffusion"], [0, 1], out, "table", [0.5, 0.8])
    summary = comparison.summarize(comparison.carry_out(jobs=1), "moduli compare <navigation>")
    draw_comparison(comparison, summary)
    return comparison


def text(page):
    return re.sub(
        r"\s+", " ", re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]+>", " ", page, flags=re.S)
    )


def test_a_report_says_what_was_run_what_came_out_and_how_to_repeat_it(experiment, tmp_path):
    page = write_report([experiment.folder], tmp_path / "report.html").read_text()
    shown = text(page)
    summary = json.loads((experiment.folder / "results.json").read_text())
    trained = [sum(row["trained"]) / 2 for row in summary["rows"]]
    for value in trained:
        assert f"{value:.1f} ±" in shown
    for expected in (
        "torus-diffusion", "trained − control", "Control: none.", "floor: decoding the true activity",
        "Zeros by layer",
        "recurrent.weight_hh_l0", "reciprocity", "moduli compare &lt;navigation&gt;", "task.walk_length",
        summary["versions"]["torch"], "an embedding or a decoder, stay dense.",
    ):  # fmt: skip
        assert expected in shown
    assert page.count("data:image/png;base64,") == 7
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_a_smoke_run_says_that_it_is_too_short(experiment, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(experiment.folder, folder)
    summary = json.loads((folder / "results.json").read_text())
    for score, expected in ((1e6, True), (0.0, False)):
        for row in summary["rows"]:
            row["trained"] = row["ticket"] = [score, score]
        (folder / "results.json").write_text(json.dumps(sealed(summary)))
        page = text(write_report([folder], tmp_path / "report.html").read_text())
        assert ("dense, none and torus-diffusion did worse than" in page) == expected


def test_one_seed_promises_no_interval(experiment, tmp_path):
    alone = replace(experiment, name="alone", seeds=[0])
    draw_comparison(alone, alone.summarize(alone.carry_out(jobs=1)))
    shown = text(write_report([alone.folder], tmp_path / "alone.html").read_text())
    assert "One seed has no interval." in shown
    assert "95% interval" not in shown
    assert "95% interval" in text(write_report([experiment.folder], tmp_path / "two.html").read_text())


def test_a_report_of_one_network(experiment, tmp_path):
    folder = experiment.run("torus-diffusion", 0.8, 1).folder
    shown = text(write_report([folder], tmp_path / "report.html").read_text())
    assert folder.name in shown
    assert "Graphs of recurrent weights" in shown
    assert "seeds 1 " in shown


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, [name for name, _ in attributes]))


def test_whatever_a_folder_holds_is_escaped(experiment, tmp_path):
    attack = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
    folder = tmp_path / 'a"><b>b'
    shutil.copytree(experiment.folder, folder)
    summary = json.loads((folder / "results.json").read_text())
    summary |= {"score_name": attack, "command": attack, "commit": attack, "finished": attack}
    summary["references"] = {attack: [1.0]}
    summary["configuration"] = {attack: {attack: attack}}
    summary["versions"] = {attack: attack}
    (folder / "results.json").write_text(json.dumps(sealed(summary)))
    harmless = Tags(write_report([experiment.folder], tmp_path / "harmless.html").read_text())
    attacked = Tags(write_report([folder], tmp_path / "report.html").read_text())
    assert {tag for tag, _ in attacked.found} == {tag for tag, _ in harmless.found}
    assert not [names for _, names in attacked.found if any(name.startswith("on") for name in names)]
    assert sum(tag == "script" for tag, _ in attacked.found) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda folder: shutil.rmtree(folder), NothingToReport, "holds no finished experiment"),
        (lambda folder: (folder / "results.json").write_text("{"), DamagedFile, "is damaged"),
        (
            lambda folder: (folder / "results.json").write_text('{"rows": [{}]}'),
            DamagedFile,
            "does not hold what this version writes",
        ),
    ],
)
def test_folders_that_cannot_be_reported(experiment, tmp_path, change, error, message):
    folder = tmp_path / "copy"
    shutil.copytree(experiment.folder, folder)
    change(folder)
    with pytest.raises(error, match=message):
        write_report([folder], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_the_command_writes_into_the_folder_and_says_where(experiment, capsys, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(experiment.folder, folder)
    main(["report", str(folder)])
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").exists()
    with pytest.raises(SystemExit) as stop:
        main(["report", str(tmp_path / "nothing")])
    assert stop.value.code == 2
    assert "holds no finished experiment" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["report"])
    assert stop.value.code == 2
    assert "Name the folder of an experiment" in capsys.readouterr().err


# The first column stays where it is while its table scrolls.
FIRST_COLUMN = """(() => {
  const box = document.querySelector(".scroll"), cell = box.querySelector("td");
  box.scrollLeft = 1000;
  const left = element => element.getBoundingClientRect().left;
  return {scrolled: box.scrollLeft, column: left(cell), box: left(box)};
})()"""


# On how many lines the panels of the first figure of each report are: trained networks and tickets.
STACKED = """[...document.querySelectorAll("article")].map(article => {
  const panels = [...article.querySelector(".panels").children].filter(panel => panel.offsetParent);
  return new Set(panels.map(panel => panel.getBoundingClientRect().top)).size;
}).filter(lines => lines)"""


@pytest.mark.skipif(PROGRAM is None, reason="No Chromium is installed: nothing shows the page.")
def test_a_browser_shows_sorts_and_fits_the_page_without_a_complaint(experiment, tmp_path):
    longer = replace(experiment, name="a-comparison-" + 10 * "with-a-long-name-")
    shutil.copytree(experiment.folder, longer.folder, dirs_exist_ok=True)
    report = write_report([experiment.folder, longer.folder], tmp_path / "report.html")
    column = "[...document.querySelector('tbody').rows].map(row => Number(row.cells[3].dataset.value))"
    click = "document.querySelectorAll('th')[3].querySelector('button').click()"

    async def look():
        async with browser(tmp_path / "profile") as page:
            await page.open(report)
            before = await page.evaluate(column)
            await page.evaluate(click)
            ascending = await page.evaluate(column)
            direction = await page.evaluate("document.querySelectorAll('th')[3].ariaSort")
            await page.evaluate(click)
            descending = await page.evaluate(column)
            images = await page.evaluate("[...document.images].every(image => image.naturalWidth > 100)")
            stacked = [await page.evaluate(STACKED)]
            await page.open(report, width=360)
            stacked.append(await page.evaluate(STACKED))
            width = await page.evaluate("document.documentElement.scrollWidth")
            kept = await page.evaluate(FIRST_COLUMN)
            found = before, ascending, direction, descending, images, stacked, width, kept
            return *found, page.complaints, page.requests

    before, ascending, direction, descending, images, stacked, width, kept, complaints, requests = (
        asyncio.run(look())
    )
    assert stacked == [[], [2, 2]]
    assert kept["scrolled"] > 0
    assert kept["column"] == kept["box"]
    assert sorted(before) == ascending != before
    assert descending == ascending[::-1]
    assert direction == "ascending"
    assert images
    assert width <= 360
    assert complaints == []
    assert set(requests) == {report.resolve().as_uri()}
