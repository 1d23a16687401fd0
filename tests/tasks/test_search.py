"""Each method with a learning rate or a strength of its own, chosen on seeds that no table has."""

import csv
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from moduli.errors import InvalidConfiguration, InvalidParameter
from moduli.tasks import preset
from moduli.tasks.cli import main
from moduli.tasks.errors import DamagedFile, Diverged
from moduli.tasks.experiments.comparisons.choices import Choice
from moduli.tasks.experiments.comparisons.comparison import Comparison
from moduli.tasks.experiments.comparisons.search import SEEDS, SettingSearch
from moduli.tasks.experiments.comparisons.summary import Summary
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.metrics import read_metrics
from moduli.tasks.figures.comparison import draw_comparison
from moduli.tasks.figures.overview import choices_figure
from moduli.tasks.report.table import notes, score_table

SMOKE = preset("adding", "smoke")
SHORT = replace(SMOKE, training=replace(SMOKE.training, steps=40, log_interval=20))
METHODS = ["dense", "none"]
RATES = [1e-2, 1e-5]
QUICK = Execution(verify=False)


def comparison(folder, **changes):
    return replace(Comparison(SHORT, METHODS, [0, 1], folder, "table"), **changes)


def test_each_row_takes_the_rate_whose_networks_validate_best(tmp_path):
    search = SettingSearch(comparison(tmp_path, sparsities=(0.5, 0.8)), "learning_rate", RATES)
    found = search.carry_out(1, QUICK)
    assert [(each.method, each.sparsity) for each in found.choices] == found.rows
    means = {
        (run.method_name, run.configuration.pruning.sparsity, run.configuration.training.learning_rate): mean(
            read_metrics(replace(run, seed=seed).stage("trained"))[-1]["validation"] for seed in SEEDS
        )
        for run in search.runs
    }
    for choice in found.choices:
        best = min(RATES, key=lambda rate: means[choice.method, choice.sparsity, rate])
        assert choice.chosen == best
        assert choice.tried == sorted(RATES)
        of_choice = [means[choice.method, choice.sparsity, rate] for rate in choice.tried]
        assert [mean(each) for each in choice.validations] == of_choice
    for run in found.runs:
        (own,) = (
            each
            for each in found.choices
            if (each.method, each.sparsity) == (run.method_name, run.configuration.pruning.sparsity)
        )
        assert run.configuration.training.learning_rate == own.chosen


def test_what_is_compared_is_what_one_rate_alone_would_give(tmp_path):
    found = SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(1, QUICK)
    results = found.carry_out(1, QUICK)
    for run, result in zip(found.runs, results, strict=True):
        training = replace(SHORT.training, learning_rate=run.configuration.training.learning_rate)
        alone = replace(
            run, configuration=replace(run.configuration, training=training), out=tmp_path / "alone"
        )
        again = carry_out(alone, QUICK)
        assert {stage: each.score for stage, each in again.items()} == {
            stage: each.score for stage, each in result.items()
        }


def test_seeds_of_the_choice_are_in_no_table_and_nothing_is_scored_twice(tmp_path):
    search = SettingSearch(comparison(tmp_path), "learning_rate", RATES)
    chosen_on = {run.seed for run in search.runs}
    found = search.carry_out(1, QUICK)
    assert chosen_on.isdisjoint(run.seed for run in found.runs)
    assert not any((run.stage("ticket")).exists() for run in search.runs)


def test_a_second_search_trains_nothing(tmp_path, monkeypatch):
    search = SettingSearch(comparison(tmp_path), "learning_rate", RATES)
    first = search.carry_out(1, QUICK)
    monkeypatch.setattr("moduli.tasks.experiments.protocol.train", lambda *arguments: pytest.fail("trained"))
    assert search.carry_out(1, QUICK).choices == first.choices


def test_more_seeds_keep_the_choice(tmp_path):
    few = SettingSearch(comparison(tmp_path), "learning_rate", RATES)
    many = SettingSearch(comparison(tmp_path, seeds=range(10)), "learning_rate", RATES)
    assert [run.folder for run in few.runs] == [run.folder for run in many.runs]


def test_methods_are_verified_before_the_search(tmp_path, monkeypatch):
    verified = []
    monkeypatch.setattr(
        "moduli.tasks.experiments.verification.Verification.verify",
        lambda self, run: verified.append(run.method_name),
    )
    SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(1)
    assert verified == METHODS


def test_the_table_says_which_rate_each_row_has_and_by_what(tmp_path):
    found = SettingSearch(comparison(tmp_path), "learning_rate", [1e-5, 2e-5]).carry_out(1, QUICK)
    summary = found.summarize(found.carry_out(1, QUICK))
    read = Summary.read(found.folder / "results.json")
    assert read.choices == summary.choices == [[each] for each in found.choices]
    table = score_table(summary)
    assert table.columns[1] == "learning rate"
    assert [row[1].text for row in table.rows] == [f"{each.chosen:g}" for each in found.choices]
    text = "\n".join(notes(summary))
    assert "Learning rate: of 1e-05, 2e-05 the one with the best last validation, the mean of 2 seeds" in text
    with (found.folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    rates = {each.method: each.chosen for each in found.choices}
    assert all(float(row["learning_rate"]) == rates[row["method"]] for row in rows)
    for each in found.choices:
        assert f"The {each.edge} learning rate was the best of" in text


def test_the_figure_shows_every_validation_and_rings_the_choice(tmp_path):
    found = SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(1, QUICK)
    summary = found.summarize(found.carry_out(1, QUICK))
    one, other = found.choices
    diverged = replace(other, validations=[other.validations[0], [None, 1.0]], chosen=other.tried[0])
    figure = choices_figure(replace(summary, choices=[[one], [diverged]]), "learning_rate")
    (axes,) = figure.axes
    drawn = [sorted(line.get_ydata()) for line in axes.get_lines()]
    for values in found.choices[0].validations:
        assert sorted(values) in drawn
    assert all(1.0 not in values for values in drawn)
    (cross,) = (line for line in axes.get_lines() if line.get_marker() == "x" and len(line.get_xdata()))
    assert list(cross.get_xdata()) == [diverged.tried[1]]
    rings = [line for line in axes.get_lines() if line.get_fillstyle() == "none"]
    assert [ring.get_xdata()[0] for ring in rings] == [found.choices[0].chosen, diverged.chosen]
    assert "rates" in {path.stem for path in draw_comparison(found, summary)}
    assert choices_figure(replace(summary, choices=None), "learning_rate") is None
    assert choices_figure(summary, "strength") is None


def test_a_table_of_one_rate_says_nothing_of_a_choice(tmp_path):
    plain = comparison(tmp_path)
    summary = plain.summarize(plain.carry_out(1, QUICK))
    assert "choices" not in summary.as_dict()
    assert "learning rate" not in score_table(summary).columns
    assert "learning_rate" not in (plain.folder / "results.csv").read_text()


def choice(validations):
    return Choice.of("dense", 0.0, "learning_rate", [0, 1], validations)


@pytest.mark.parametrize(
    ("validations", "best", "edge"),
    [
        ({1.0: [3.0, 3.0], 2.0: [2.0, 2.0], 4.0: [3.0, 3.0]}, 2.0, None),
        ({4.0: [1.0, 1.0], 2.0: [2.0, 2.0]}, 4.0, "largest"),
        ({1.0: [2.0, 2.0], 2.0: [1.0, 3.0]}, 1.0, None),
        ({1.0: [9.0, 9.0], 2.0: [0.0, None]}, 1.0, "smallest"),
        ({1.0: [9.0, 9.0], 2.0: [0.0, float("nan")]}, 1.0, "smallest"),
        ({1.0: [float("inf"), 1.0], 2.0: [7.0, 7.0]}, 2.0, "largest"),
    ],
)
def test_the_best_rate_is_that_of_the_smallest_mean_and_never_one_that_diverged(validations, best, edge):
    found = choice(validations)
    assert all(value is None or math.isfinite(value) for values in found.validations for value in values)
    assert found.chosen == best
    assert found.edge == edge


@pytest.mark.parametrize(
    "validations", [{}, {1.0: []}, {1.0: [1.0, 2.0], 2.0: [1.0]}, {1.0: [1.0, 2.0, 3.0]}]
)
def test_a_choice_needs_a_validation_of_each_rate_and_seed(validations):
    with pytest.raises(InvalidConfiguration, match="validations must be a number for each of the 2 seeds"):
        choice(validations)


def test_rates_that_all_diverge_are_an_error():
    with pytest.raises(Diverged, match=r"'dense' diverges with each of the learning rates 1, 2; add smaller"):
        choice({1.0: [None, 1.0], 2.0: [1.0, None]})


def test_a_rate_that_diverges_does_not_stop_the_search(tmp_path, monkeypatch):
    def train(task, model, sparsifier, settings, *others):
        if settings.learning_rate == max(RATES):
            raise Diverged("The loss is nan.")
        return original(task, model, sparsifier, settings, *others)

    from moduli.tasks.experiments import protocol

    original = protocol.train
    monkeypatch.setattr(protocol, "train", train)
    found = SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(1, QUICK)
    for each in found.choices:
        assert each.chosen == min(RATES)
        assert each.validations[1] == [None, None]


def change_numbers(path):
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row.replace("0.", "1.") for row in rows)]) + "\n")


def shorten(path):
    """Lose the last rows, and the file that would tell."""
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    (path.parent / "SHA256SUMS").unlink()


@pytest.mark.parametrize(
    "damage", [Path.unlink, change_numbers, shorten, lambda path: path.write_text("step\n")]
)
def test_a_choice_by_validations_that_were_lost_or_changed_is_refused_and_the_remedy_works(tmp_path, damage):
    search = SettingSearch(comparison(tmp_path), "learning_rate", RATES)
    first = search.carry_out(1, QUICK)
    folder = search.runs[0].stage("trained")
    damage(folder / "metrics.csv")
    with pytest.raises(
        DamagedFile, match=re.escape(f"delete the folder {folder}") + "|delete the folder and"
    ):
        search.carry_out(1, QUICK)
    shutil.rmtree(folder)
    assert search.carry_out(1, QUICK).choices == first.choices


@pytest.mark.parametrize("method", ["dense", "none", "torus-diffusion@a-priori"])
def test_whatever_a_training_diverges_by_its_rate_is_not_chosen(tmp_path, method):
    wild = replace(SHORT, training=replace(SHORT.training, optimizer="sgd", clip=1e9, steps=60))
    search = SettingSearch(
        comparison(tmp_path, configuration=wild, methods=[method]), "learning_rate", [1e-3, 1e5]
    )
    (found,) = search.carry_out(1, QUICK).choices
    assert found.chosen == 1e-3
    assert found.validations[1] == [None, None]


def test_a_training_that_diverges_at_a_cut_is_named_with_its_rate(tmp_path):
    wild = replace(SHORT, training=replace(SHORT.training, optimizer="sgd", clip=1e9, learning_rate=1e5))
    (run, *_) = comparison(tmp_path, configuration=wild, methods=["none"]).runs
    with pytest.raises(
        Diverged, match=r"NaN or infinite weights .* in .*none.*, with the learning rate 100000;"
    ):
        carry_out(run, QUICK)


@pytest.mark.parametrize(
    "rates",
    [
        [], [1e-3], [1e-3, 1e-3], [1e-3, 0.0], [1e-3, -1.0], [1e-3, float("nan")], [1e-3, 1e38], [1e-3, None],
        ["a", "b"], "12", b"12", 1e-3, [1e-3, True], (rate for rate in (1e-3, 2e-3)),
    ],
)  # fmt: skip
def test_bad_rates_are_refused(tmp_path, rates):
    with pytest.raises(InvalidConfiguration, match="learning rates must be"):
        SettingSearch(comparison(tmp_path), "learning_rate", rates)


def test_a_seed_of_the_choice_is_refused_in_a_table(tmp_path):
    with pytest.raises(InvalidConfiguration, match=r"seeds must be none of \(4294967294, 4294967295\)"):
        SettingSearch(comparison(tmp_path, seeds=[0, SEEDS[0]]), "learning_rate", RATES)


def test_the_command_searches_first_and_compares_then(tmp_path, capsys):
    options = [
        "--preset",
        "smoke",
        "--steps",
        "30",
        "--out",
        str(tmp_path),
        "--jobs",
        "1",
        "--methods",
        "dense",
    ]
    main(["compare", "adding", "--learning-rates", "1e-2, 0.00001", *options])
    out = capsys.readouterr().out
    assert "4 networks to choose learning rates by, 1 at once" in out
    assert "4 of 4 networks: dense, seed 4294967295, rate 0.01, trained is done" in out
    assert "2 of 2 networks: dense, seed 0, ticket is done" in out
    (folder,) = tmp_path.glob("adding-smoke-rates-1e-05,0.01-*")
    ((choice,),) = json.loads((folder / "results.json").read_text())["choices"]
    assert choice["tried"] == [1e-5, 1e-2]
    assert "Learning rate" in out


def test_the_command_says_what_learning_rates_are(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["compare", "adding", "--preset", "smoke", "--learning-rates", "fast", "--out", str(tmp_path)])
    message = "--learning-rates takes numbers with commas between, such as 1e-3,4e-3; got 'fast'."
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


PENALISED = ["dense", "none", "torus-diffusion", "permuted-torus-diffusion"]
STRENGTHS = [1000.0, 0.1]


def test_strengths_are_chosen_at_the_chosen_rates_and_only_where_there_is_a_penalty(tmp_path):
    tuned = SettingSearch(comparison(tmp_path, methods=PENALISED), "learning_rate", RATES).carry_out(1, QUICK)
    search = SettingSearch(tuned, "strength", STRENGTHS)
    assert [name for name, _ in tuned.rows_with("strength")] == PENALISED[2:]
    rates = {each.method: each.chosen for each in tuned.choices}
    assert all(run.configuration.training.learning_rate == rates[run.method_name] for run in search.runs)
    found = search.carry_out(1, QUICK)
    strengths = {each.method: each for each in found.choices if each.setting == "strength"}
    assert list(strengths) == PENALISED[2:]
    for run in found.runs:
        assert run.configuration.training.learning_rate == rates[run.method_name]
        usual = SHORT.pruning.strength
        chosen = strengths[run.method_name].chosen if run.method_name in strengths else usual
        assert run.configuration.pruning.strength == chosen
    for each in strengths.values():
        assert each.tried == sorted(STRENGTHS)
        assert each.chosen == each.tried[min(range(2), key=lambda place: mean(each.validations[place]))]


def test_the_table_has_a_column_of_strengths_and_leaves_it_empty_without_a_penalty(tmp_path):
    plain = comparison(tmp_path, methods=["none", "torus-diffusion"])
    found = SettingSearch(plain, "strength", STRENGTHS).carry_out(1, QUICK)
    summary = found.summarize(found.carry_out(1, QUICK))
    assert Summary.read(found.folder / "results.json").choices == [[], [*found.choices]]
    table = score_table(summary)
    assert table.columns[:3] == ["method", "strength", "sparsity"]
    (chosen,) = found.choices
    assert [row[1].text for row in table.rows] == ["", f"{chosen.chosen:g}"]
    text = "\n".join(notes(summary))
    assert "Strength: of 0.1, 1000 the one with the best last validation" in text
    assert f"The {chosen.edge} strength was the best of torus-diffusion: try further ones." in text
    assert "Learning rate" not in text
    with (found.folder / "results.csv").open() as file:
        values = {row["method"]: row["strength"] for row in csv.DictReader(file)}
    assert values["none"] == ""
    assert float(values["torus-diffusion"]) == chosen.chosen
    drawn = {path.stem for path in draw_comparison(found, summary)}
    assert "strengths" in drawn
    assert "rates" not in drawn
    (axes,) = choices_figure(summary, "strength").axes
    assert axes.get_xlabel() == "strength"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["torus-diffusion"]


@pytest.mark.parametrize(
    "strengths", [[1.0], [1.0, 1.0], [0.0, 1.0], [1.0, float("inf")], "1,10", [1.0, None]]
)
def test_bad_strengths_are_refused(tmp_path, strengths):
    with pytest.raises(InvalidConfiguration, match="strengths must be"):
        SettingSearch(comparison(tmp_path, methods=PENALISED), "strength", strengths)


@pytest.mark.parametrize("methods", [METHODS, ["narrow", "torus-diffusion@a-priori", "cliques@a-priori"]])
def test_strengths_of_methods_without_a_penalty_are_refused(tmp_path, methods):
    with pytest.raises(InvalidConfiguration, match="No method has a penalty whose strength can be"):
        SettingSearch(comparison(tmp_path, methods=methods), "strength", STRENGTHS)


def test_what_is_chosen_already_is_not_searched_again(tmp_path):
    tuned = SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(1, QUICK)
    with pytest.raises(InvalidConfiguration, match="comparison must be without learning rates that"):
        SettingSearch(tuned, "learning_rate", RATES)


def test_another_setting_is_refused_with_a_suggestion(tmp_path):
    with pytest.raises(InvalidParameter, match=r"Unknown setting 'strengths'; did you mean 'strength'\?"):
        SettingSearch(comparison(tmp_path), "strengths", STRENGTHS)


def some_choice(method, sparsity, **changes):
    validations = {1e-3: [2.0, 2.0], 1e-2: [1.0, 1.0]}
    return replace(Choice.of(method, sparsity, "learning_rate", SEEDS, validations), **changes)


def test_rows_of_nearly_equal_sparsities_keep_their_own_choice(tmp_path):
    sparsities = (0.8, 0.801, 0.80123)
    other = {"validations": [[1.0, 1.0], [2.0, 2.0]], "chosen": 1e-3}
    choices = [some_choice("none", value, **other if value == 0.801 else {}) for value in sparsities]
    found = comparison(tmp_path, methods=["none"], sparsities=sparsities, choices=choices)
    summary = found.summarize(found.carry_out(1, QUICK))
    assert summary.labels == ["none 80%", "none 80.1%", "none 80.123%"]
    assert [row[1].text for row in score_table(summary).rows] == ["0.01", "0.001", "0.01"]
    assert len(choices_figure(summary, "learning_rate").axes[0].get_legend().get_texts()) == 3
    assert "The largest learning rate was the best of none 80% and none 80.123%" in "\n".join(notes(summary))


@pytest.mark.parametrize(
    "change",
    [
        {"methods": [*METHODS, "l1"]},
        {"sparsities": (0.5,)},
        {"choices": [some_choice("dense", 0.0), some_choice("nome", 0.8)]},
        {"choices": [some_choice("dense", 0.0), *[some_choice("none", 0.8)] * 2]},
    ],
)
def test_a_tuned_table_has_no_row_that_was_not_searched_or_was_twice(tmp_path, change):
    tuned = comparison(tmp_path, choices=[some_choice("dense", 0.0), some_choice("none", 0.8)])
    with pytest.raises(InvalidConfiguration, match=r"Of .* no learning rate was chosen, or several"):
        replace(tuned, **change)
    assert replace(tuned, methods=["none"], seeds=range(5)).choices == tuned.choices


@pytest.mark.parametrize("choices", [None, "abc", [{"method": "l1"}]])
def test_what_is_no_choice_is_refused(tmp_path, choices):
    with pytest.raises(InvalidConfiguration, match="choices must be what `SettingSearch` finds"):
        comparison(tmp_path, choices=choices)


def test_a_tuned_table_has_no_seed_of_the_choice(tmp_path):
    tuned = comparison(tmp_path, choices=[some_choice("dense", 0.0), some_choice("none", 0.8)])
    with pytest.raises(InvalidConfiguration, match="seeds must be others than those that settings"):
        replace(tuned, seeds=[0, SEEDS[1]])


def test_numbers_of_numpy_are_numbers(tmp_path):
    search = SettingSearch(comparison(tmp_path), "learning_rate", list(np.logspace(-3, -2, 2)))
    assert {type(run.configuration.training.learning_rate) for run in search.runs} == {float}
    assert [each.tried for each in search.carry_out(1, QUICK).choices] == [[1e-3, 1e-2]] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((None, "strength", STRENGTHS), "comparison must be a Comparison; got None"),
        (("adding", "strength", STRENGTHS), "comparison must be a Comparison; got 'adding'"),
    ],
)
def test_what_is_no_comparison_is_refused(arguments, message):
    with pytest.raises(InvalidConfiguration, match=message):
        SettingSearch(*arguments)


@pytest.mark.parametrize("jobs", [0, -1, "1", 1.0, True])
def test_jobs_that_are_none_are_refused(tmp_path, jobs):
    with pytest.raises(InvalidConfiguration, match="jobs must be a positive whole number"):
        SettingSearch(comparison(tmp_path), "learning_rate", RATES).carry_out(jobs, QUICK)


def test_rows_that_tried_other_values_and_those_that_diverged_are_told(tmp_path):
    more = {1e-3: [3.0, 3.0], 1e-2: [2.0, 2.0], 1e-1: [1.0, None]}
    choices = [some_choice("dense", 0.0), Choice.of("none", 0.8, "learning_rate", SEEDS, more)]
    found = comparison(tmp_path, choices=choices)
    text = "\n".join(notes(found.summarize(found.carry_out(1, QUICK))))
    assert "Learning rate of dense: of 0.001, 0.01 the one" in text
    assert "Learning rate of none: of 0.001, 0.01, 0.1 the one" in text
    assert "With the learning rate 0.1 the training of none diverged." in text
    assert "The largest learning rate was the best of dense: try" in text
    assert str(choices[1]) == "none 80%: learning rate 0.01, of 0.001, 0.01, 0.1; diverged: 0.1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chosen": 1e-3}, "chosen is 0.001, which does not validate best"),
        ({"tried": [1e-2, 1e-3]}, "not positive, different and ascending"),
        ({"tried": [0.0, 1e-2]}, "not positive, different and ascending"),
        ({"seeds": []}, "validations do not have"),
        ({"seeds": [0, 1]}, "choices has seeds of the table"),
        ({"method": "l1"}, "choices has another method in the place of none"),
        ({"validations": [[None, None], [None, None]]}, "chosen is"),
    ],
)
def test_a_file_with_a_choice_that_cannot_be_is_refused(tmp_path, change, message):
    found = comparison(tmp_path, methods=["none"], choices=[some_choice("none", 0.8)])
    found.summarize(found.carry_out(1, QUICK))
    path = found.folder / "results.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    content["choices"][0][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedFile, match=message):
        Summary.read(path)


def test_searches_for_other_values_have_other_folders_and_their_order_does_not_matter(tmp_path):
    def folder(strengths):
        before = set(tmp_path.glob("adding*"))
        options = ["--preset", "smoke", "--steps", "10", "--jobs", "1", "--out", str(tmp_path), "--no-verify"]
        main(["compare", "adding", "--methods", "l1", "--strengths", strengths, *options])
        return {path.name for path in set(tmp_path.glob("adding*")) - before}

    (large,) = folder("1e30,1e35")
    assert "1e30,1e35" in large
    (small,) = folder("1e-30,1e-35")
    assert "1e-35,1e-30" in small
    assert folder("1e35,1e30") == set()


def test_the_settings_are_not_printed_for_a_search_that_cannot_be(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["compare", "adding", "--learning-rates", "fast", "--print-config"])
    assert "--learning-rates takes numbers" in capsys.readouterr().err


def test_the_command_chooses_rates_first_then_strengths(tmp_path, capsys):
    options = ["--preset", "smoke", "--steps", "30", "--jobs", "1", "--out", str(tmp_path)]
    main([
        "compare", "adding", "--methods", "none,l1", *options,
        "--learning-rates", "1e-2,1e-3", "--strengths", "1,100",
    ])  # fmt: skip
    out = capsys.readouterr().out
    assert out.index("8 networks to choose learning rates by") < out.index(
        "4 networks to choose strengths by"
    )
    assert "seed 4294967295, strength 100, trained is done" in out
    (folder,) = tmp_path.glob("adding-smoke-rates-0.001,0.01-strengths-1.0,100.0-*")
    choices = json.loads((folder / "results.json").read_text())["choices"]
    assert [[each["setting"] for each in row] for row in choices] == [
        ["learning_rate"],
        ["learning_rate", "strength"],
    ]


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ("strong", "--strengths takes numbers with commas between, such as 1,10; got 'strong'."),
        ("1", "strengths must be at least two, all different"),
    ],
)
def test_wrong_strengths_are_told_before_anything_is_trained(tmp_path, capsys, strengths, message):
    with pytest.raises(SystemExit):
        main([
            "compare", "adding", "--preset", "smoke", "--methods", "l1", "--out", str(tmp_path),
            "--learning-rates", "1e-2,1e-3", "--strengths", strengths,
        ])  # fmt: skip
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
