"""Differences over seeds: tested as scipy does, corrected, equivalent or not, and without void runs."""

import csv
import io
import json
import math
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats
from torch import nn

from moduli.errors import InvalidConfiguration
from moduli.models import Sparsifier, clique_mask, graph_statistics, random_mask
from moduli.models.analysis.graphs import connections_of
from moduli.tasks import preset
from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.adding.task import Adding
from moduli.tasks.cli import main
from moduli.tasks.command_line.experiment import _comparison
from moduli.tasks.command_line.parsing import parse
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.contrasts import contrast, corrected
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.comparisons.summary import Summary, void_runs
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.numbers import graph_numbers
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.report.table import contrast_table, meanings, score_table
from moduli.tasks.report.terminal import print_summary

pytestmark = pytest.mark.xdist_group("contrasts")  # one process makes what all share

SCORES = [6.4, 6.9, 7.1, 6.2, 6.6, 7.3]
OTHERS = [7.0, 7.2, 7.9, 6.9, 7.5, 7.4]


def between(
    scores=SCORES, others=OTHERS, void=None, margin=None, name="a", stage="trained", control_void=None
):
    learned = [False] * len(scores)
    return contrast(name, 0.9, stage, scores, others, void or learned, control_void or learned, margin)


scores = st.lists(st.tuples(st.floats(1, 50), st.floats(1, 50)), min_size=3, max_size=12)


@given(scores, st.floats(0.1, 20))
def test_tests_are_those_of_scipy(pairs, margin):
    own, other = map(list, zip(*pairs, strict=True))
    differences = [one - two for one, two in pairs]
    if stdev(differences) < 1e-6:
        return
    found = between(own, other, margin=margin)
    assert found.p == pytest.approx(stats.ttest_rel(own, other).pvalue, rel=1e-6, abs=1e-12)
    above = stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, margin, alternative="less").pvalue
    assert found.equivalence_p == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)
    interval = stats.ttest_rel(own, other).confidence_interval()
    assert found.difference - found.half_width == pytest.approx(interval.low)
    assert found.effect == pytest.approx(mean(differences) / stdev(differences))


def test_as_many_seeds_are_needed_as_reach_a_power_of_four_fifths():
    found = between()

    def power(n):
        bound = stats.t.ppf(0.975, n - 1)
        shift = abs(found.effect) * math.sqrt(n)
        return stats.nct.sf(bound, n - 1, shift) + stats.nct.cdf(-bound, n - 1, shift)

    assert power(found.seeds_needed) >= 0.8 > power(found.seeds_needed - 1)
    assert between([1.0, 2.0, 3.0], [101.0, 102.1, 103.0]).seeds_needed == 4  # beyond what statsmodels finds


def test_holm_s_method_corrects_differences_and_equivalences_together():
    found = [between(margin=0.3), between([value + 0.01 for value in SCORES], margin=0.3, name="b")]
    found.append(between([value + 3 for value in SCORES], margin=0.3, stage="ticket"))
    raw = sorted((p, place) for place, each in enumerate(found) for p in (each.p, each.equivalence_p))
    by_hand, largest = {}, 0.0
    for rank, (p, _) in enumerate(raw):
        largest = max(largest, min(1.0, (len(raw) - rank) * p))
        by_hand[p] = largest
    for each in corrected(found):
        assert each.corrected_p == pytest.approx(by_hand[each.p])
        assert each.corrected_equivalence_p == pytest.approx(by_hand[each.equivalence_p])
    alone = corrected(found, "stage")[2]
    assert alone.corrected_p == pytest.approx(2 * alone.p)


def test_verdicts():
    assert corrected([between()])[0].verdict == "better"
    assert corrected([between(OTHERS, SCORES)])[0].verdict == "worse"
    assert corrected([between(margin=5.0)])[0].verdict == "better, within the margin"
    noise = [0.1, -0.12, 0.05, -0.06, 0.02, 0.0]
    alike = [value + each for value, each in zip(SCORES, noise, strict=True)]
    assert corrected([between(alike, SCORES, margin=0.5)])[0].verdict == "equivalent"
    assert corrected([between(alike, SCORES, margin=0.01)])[0].verdict == "not settled"
    assert corrected([between(alike, SCORES)])[0].verdict == "not settled"


def test_void_runs_are_left_out_and_counted_and_ranks_hold_them_as_the_largest():
    void = [False, False, False, False, False, True]
    found = between([*SCORES[:5], 41.0], OTHERS, void)
    assert (found.pairs, found.void) == (5, 1)
    assert found.p == between(SCORES[:5], OTHERS[:5]).p
    assert found.rank_p == stats.wilcoxon([-0.6, -0.3, -0.8, -0.7, -0.9, 5.0]).pvalue
    assert between().rank_p is None
    alone = between(SCORES[:2], OTHERS[:2], [True, False])
    assert (alone.pairs, alone.difference, alone.p, alone.verdict) == (
        1, None, None, "no test: too few seeds learned"
    )  # fmt: skip
    assert alone.rank_p == stats.wilcoxon([-0.3, 1.3]).pvalue
    assert between(SCORES[:1], OTHERS[:1]) is None
    assert void_runs([8.5, 40.0, math.nan], [40.0, 40.0, 40.0]) == [False, True, True]
    assert void_runs([8.5, math.inf], None) == [False, True]


@pytest.mark.parametrize("values", [[math.inf, -math.inf, 1.0], [math.nan, 1.0], [1.0, math.inf]])
def test_values_that_are_not_finite_have_no_interval_and_lose_nothing(values):
    estimate = Estimate.of(values)
    assert estimate.half_width is None
    assert not math.isfinite(estimate.mean)
    assert estimate.text() in ("nan", "inf")


def test_the_seeds_that_learned_settle_nothing_against_those_that_did_not():
    own = [*(value - 1 for value in OTHERS[:3]), 42.0, 42.0, 42.0]
    own[0] += 0.01
    void = [False] * 3 + [True] * 3
    ahead = corrected([between(own, void=void)])[0]
    assert ahead.corrected_p < 0.05
    assert ahead.difference < 0
    assert ahead.verdict == "not settled"  # three are ahead by one, and three learned nothing
    mirrored = [2 * value - mine for value, mine in zip(OTHERS, own, strict=True)]
    behind = corrected([between(mirrored, void=void)])[0]
    assert behind.verdict == "worse"
    alike = corrected([between([value + 1e-3 * value for value in OTHERS], void=void, margin=1.0)])[0]
    assert alike.corrected_equivalence_p < 0.05
    assert alike.verdict != "equivalent"


def test_void_networks_are_worse_than_any_other_and_two_are_alike():
    void = [True] * 6
    assert (
        between(void=void).rank_p == between(control_void=void).rank_p == stats.wilcoxon(range(1, 7)).pvalue
    )
    assert between(void=void, control_void=void).rank_p is None
    half = [False] * 3 + [True] * 3
    both = between(void=half, control_void=half)
    assert both.rank_p == stats.wilcoxon([-0.6, -0.3, -0.8]).pvalue
    assert (both.pairs, both.void) == (3, 3)
    for wrong in (math.nan, math.inf, 1e300):
        void = [False] * 5 + [wrong == 1e300]
        for found in (
            between([*SCORES[:5], wrong], void=void, margin=0.5),
            between(SCORES, [*OTHERS[:5], wrong], control_void=void, margin=0.5),
        ):
            alone = between(SCORES[:5], OTHERS[:5], margin=0.5)
            assert found.void == 1
            assert (found.p, found.effect, found.equivalence_p) == (
                alone.p,
                alone.effect,
                alone.equivalence_p,
            )


def test_differences_that_vary_by_rounding_alone_have_the_limits_of_the_tests():
    constant = [value + 0.1 for value in SCORES]
    for scores, others, expected in (
        (SCORES, SCORES, (1.0, 0.0, "equivalent")),
        (constant, SCORES, (0.0, 0.0, "worse, within the margin")),
        ([value + 1 for value in SCORES], SCORES, (0.0, 1.0, "worse")),
    ):
        found = between(scores, others, margin=0.5)
        assert (found.effect, found.seeds_needed) == (None, None)
        assert (found.p, found.equivalence_p, corrected([found])[0].verdict) == expected


NAMES = ("dense", "narrow", "regular@a-priori", "torus-diffusion@a-priori")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    smoke = preset("navigation", "smoke")
    tiny = replace(
        smoke,
        task=replace(smoke.task, units=20, cells=80, walk_length=25, long_walk_length=30, test_walks=20),
        training=replace(smoke.training, steps=6, log_interval=3, batch=5),
        pruning=replace(smoke.pruning, sparsity=0.75),
    )
    out = tmp_path_factory.mktemp("out")
    comparison = Comparison(tiny, NAMES, [7, 8, 9], out, "table", control="regular@a-priori", margin=5.0)
    results = comparison.carry_out(1)
    for place, result in enumerate(results):  # so short a training teaches nothing; as if it had
        for stage, found in result.items():
            learned = found.references["standing still at the start"] * found.score / 200
            result[stage] = replace(found, score=99.0 if (place, stage) == (0, "trained") else learned)
    return comparison, comparison.summarize(results)


def test_a_comparison_tests_every_row_against_the_control(finished):
    comparison, summary = finished
    assert summary == Summary.read(comparison.folder / "results.json")
    assert [(each.method, each.stage) for each in summary.contrasts] == [
        (name, stage) for name in NAMES if name != "regular@a-priori" for stage in ("trained", "ticket")
    ]
    assert (summary.margin, summary.family) == (5.0, "table")
    assert summary.floor == "floor: decoding the true activity"
    dense, narrow = summary.rows[:2]
    assert [each.void for each in summary.contrasts] == [1, 0, 0, 0, 0, 0]
    assert [each.pairs for each in summary.contrasts] == [2, 3, 3, 3, 3, 3]
    assert dense.difference is not None
    assert narrow.difference is not None
    share = summary.share(dense, "trained")[1]
    floor, ignorance = (summary.references[name][1] for name in (summary.floor, summary.ignorance))
    assert floor + share * (ignorance - floor) == pytest.approx(dense.trained[1])


def test_a_narrow_network_is_dense_with_as_many_recurrent_weights(finished, tmp_path):
    comparison, summary = finished
    assert summary.names[1] == "narrow (10 units)"
    run = comparison.run("narrow", 0.75, 7)
    (name,) = StoredNetwork(run.stage("trained")).recurrent
    assert StoredNetwork(run.stage("trained")).weights[name].shape == (10, 10)
    assert run.label == "narrow 75%"
    assert comparison.run("narrow", 0.9, 7).folder != run.folder
    assert comparison.run("dense", 0.9, 7).folder == comparison.run("dense", 0.75, 7).folder
    assert Run(preset("navigation", "small"), "narrow", 0, tmp_path).settings.task.units == 36
    paths = draw_comparison(comparison, summary)
    assert {"scores.png", "shape.png"} <= {path.name for path in paths}


def test_a_task_without_units_cannot_be_narrow(tmp_path):
    @dataclass(frozen=True)
    class Without:
        name = "without"
        task = AddingSettings.task

    configuration = replace(preset("adding", "smoke"), task=Without())
    with pytest.raises(
        InvalidConfiguration, match="units must be a setting of the task for the method narrow"
    ):
        Comparison(configuration, ["narrow"], [0], tmp_path, "table")
    assert method("narrow").configuration(preset("adding", "smoke")).task.units == 14


def test_long_walks_and_graphs_stand_in_the_table_of_networks(finished):
    comparison, _ = finished
    rows = list(csv.DictReader(io.StringIO((comparison.folder / "results.csv").read_text())))
    assert len(rows) == 24
    graph = "graph of recurrent.weight_hh_l0: "
    for row in rows:
        stored = json.loads((comparison.out / row["folder"] / "results.json").read_text())
        assert float(row["long walks: error"]) == stored["measurements"]["long walks"]["error"]
        assert (row[f"{graph}transitivity"] == "") == (row["method"] in ("dense", "narrow"))
        if row["method"].startswith("torus"):
            assert float(row[f"{graph}connections"]) == 100
            assert 0 < float(row[f"{graph}wiring"]) < float(row[f"{graph}wiring_by_chance"])


def test_the_graph_of_a_gated_network_has_a_connection_where_any_gate_has_one():
    gates = torch.zeros(3, 4, 4, dtype=torch.bool)
    gates[0, 0, 1] = gates[1, 1, 2] = gates[2, 1, 2] = True
    statistics = graph_statistics(connections_of(gates.reshape(12, 4)))
    assert (statistics.neurons, statistics.connections, statistics.weak_components) == (4, 2, 2)
    torch.manual_seed(0)
    model = nn.ModuleDict({"gru": nn.GRU(3, 8), "lstm": nn.LSTM(3, 8, proj_size=4)})
    masks = {"gru.weight_hh_l0": clique_mask(8, sparsity=0.5).repeat(3, 1)}
    masks["lstm.weight_hh_l0"] = random_mask(32, 4, sparsity=0.5)
    sparsifier = Sparsifier(model, masks=masks)
    found = graph_numbers(sparsifier, list(masks))
    assert list(found) == ["graph of gru.weight_hh_l0"]
    assert found["graph of gru.weight_hh_l0"]["connections"] == 32
    assert sparsifier.report().count("connections a neuron: 4.0 on average, at most 4 in and 4 out") == 1


def test_what_did_worse_than_a_rule_without_any_network_is_named(finished):
    comparison, summary = finished
    reference = next(name for name in summary.references if name != summary.floor)
    floors = {} if summary.floor is None else {summary.floor: [0.0] * 3}

    def said(bound):
        console = Console(width=400, record=True, file=io.StringIO())
        print_summary(console, comparison, replace(summary, references={reference: [bound] * 3} | floors))
        return [line for line in console.export_text().splitlines() if "too short" in line]

    (line,) = said(-1.0)
    assert line.startswith(
        f"4 of 4 kinds of network did worse than {reference}, without any network, trained"
    )
    assert said(1e9) == []  # the floor is not counted


def test_a_method_is_told_with_its_sparsity_where_it_did_worse_at_some_of_them_alone(finished):
    _, summary = finished
    good = replace(summary.rows[0], method="none", trained=[1.0] * 3, ticket=[1.0] * 3)
    good = replace(good, sparsity=0.9001, target_sparsity=0.9)
    bad = replace(good, sparsity=0.9802, target_sparsity=0.98, trained=[9.0] * 3)
    alone = {"units": None, "contrasts": None, "criterion": None, "steps_to_criterion": None, "floor": None}
    some = replace(summary, rows=[good, bad], references={"a rule": [5.0] * 3}, **alone)
    assert some.outdone == (["none 98%"], ["a rule"])
    assert replace(some, rows=[bad, replace(bad, sparsity=0.9)]).outdone == (["none"], ["a rule"])
    assert replace(some, rows=[good]).outdone == ([], [])


@dataclass(frozen=True)
class Demanding:
    """Settings that no preset can guess, and whose presets cannot be imported."""

    length: int
    units: int = 12
    name: ClassVar[str] = "demanding"
    task: ClassVar[str] = "tests.tasks.test_contrasts:DemandingTask"
    presets: ClassVar[str] = "nowhere:PRESETS"


class DemandingTask(Adding):
    def __init__(self, settings, *arguments):
        super().__init__(AddingSettings(length=settings.length, units=settings.units), *arguments)


def test_a_table_needs_no_presets_of_its_task(tmp_path):
    smoke = preset("adding", "smoke")
    configuration = replace(
        smoke, task=Demanding(length=5), training=replace(smoke.training, steps=4, log_interval=2)
    )
    comparison = Comparison(configuration, ["none"], [0], tmp_path, "table")
    assert comparison.summarize(comparison.carry_out(jobs=1)).rows[0].ticket


def test_tables_say_what_was_tested_what_is_void_and_where_between_floor_and_ignorance(finished):
    comparison, summary = finished
    console = Console(width=200, record=True, file=io.StringIO())
    print_summary(console, comparison, summary)
    text = console.export_text()
    assert "Differences from the control, regular@a-priori, seed by seed, margin 5" in text
    assert "Corrected: by Holm's method, all tests together." in text
    assert "the share of the way from the floor" in text
    assert summary.share(summary.rows[0], "trained") is not None
    high = {**summary.references, summary.floor: [99.0] * 3}
    assert replace(summary, references=high).share(summary.rows[0], "trained") is None
    blind = replace(summary, rows=[replace(row, trained=[99.0, 1.0, math.inf]) for row in summary.rows])
    first = score_table(blind).rows[0][3].text
    assert first.endswith("2 void)")
    entries = [entry.text for entry in contrast_table(summary).rows[2]]
    assert entries[0] == "narrow 75%"
    assert entries[-1] == summary.contrasts[2].verdict or "void" in entries[-1]


def test_a_table_without_its_control_says_that_nothing_was_tested(finished):
    untested = "No differences are tested"
    _, summary = finished
    assert not [line for line in meanings(summary) if untested in line]
    rows = [replace(row, difference=None) for row in summary.rows]
    lacking = replace(summary, control="none", rows=rows, contrasts=None)
    (line,) = [line for line in meanings(lacking) if untested in line]
    assert "'none' is not among the methods; --control METHOD" in line


@pytest.mark.parametrize(
    ("names", "option", "expected"),
    [
        ("none,rewired-torus-diffusion@a-priori", [], "rewired-torus-diffusion@a-priori"),
        ("none,rewired-torus-diffusion@a-priori", ["--control", "none"], "none"),
        ("none,permuted-torus-dog", [], "none"),
        ("dense,l1", [], "none"),
    ],
)
def test_the_control_is_a_rewired_method_where_there_is_one(names, option, expected):
    command = parse(["compare", "adding", "--methods", names, *option])
    assert _comparison(command).control == expected


def test_a_margin_that_is_none_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wrong in ("0", "-1", "nan", "inf"):
        with pytest.raises(SystemExit) as stop:
            main(["compare", "adding", "--margin", wrong])
        assert stop.value.code == 2
        assert "margin must be a positive number" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "adding", "--family", "tabel"])
    assert "table" in capsys.readouterr().err


def test_a_narrow_terminal_shows_long_names_whole(finished):
    comparison, summary = finished
    console = Console(width=100, record=True, file=io.StringIO())
    print_summary(console, comparison, replace(summary, control="rewired-torus-diffusion@a-priori"))
    assert "…" not in console.export_text()
