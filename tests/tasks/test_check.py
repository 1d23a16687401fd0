"""`moduli check`: things of all kinds, by name and by import string, in one format."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from moduli.errors import InvalidParameter, ModuliError
from moduli.manifolds import Euclidean, Torus
from moduli.models import CubicSchedule, LinearSchedule, Sparsifier, random_mask
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.regularizers import Diffusion, Inhibitor, Regularizer, Ripple
from moduli.tasks.checks import check_command
from moduli.tasks.cli import main
from moduli.tasks.errors import UnknownSubject
from moduli.tasks.subjects import find_subject


class Squared(Euclidean):
    """Not a metric space."""

    def distance(self, x, y):
        return (x - y).square().sum(-1)


line = Euclidean(1)
ripple = Ripple()
number = 3


def sinking() -> Regularizer:
    return Inhibitor(lambda d: 3 - d)


def steep(power=2.0) -> Inhibitor:
    return Inhibitor(lambda d: d**power)


def failing() -> Regularizer:
    raise ZeroDivisionError("by design")


def three() -> Regularizer:
    return 3


def unsaid():
    raise AssertionError("it is called")


def half_empty(n, *, sparsity, seed):
    return random_mask(n, n, sparsity=sparsity / 2, seed=seed)


def mixed(n, *, sparsity, seed, share=0.5):
    return random_mask(n, n, sparsity=sparsity, seed=seed)


class Endless:
    def __call__(self, step):
        return min(0.99, step / 100)


def ramp(step):
    return min(1.0, step / 100)


def unclear(time):
    return min(1.0, time / 100)


def pruned(model, sparsity=0.8):
    return Sparsifier(model, "dog", "torus", sparsity=sparsity)


def pruned_to_a_schedule_that_falls(model):
    return Sparsifier(model, sparsity=0.8, schedule=lambda step: 0.9)


HERE = __name__


@pytest.mark.parametrize(
    ("target", "kind", "shown"),
    [
        ("torus", "manifold", "Torus(dim=2, period=10.0)"),
        ("torus(dim=3)", "manifold", "Torus(dim=3, period=10.0)"),
        (f"{HERE}:Squared", "manifold", "Squared(dim=2, size=10.0)"),
        (f"{HERE}:line", "manifold", "Euclidean(dim=1, size=10.0)"),
        ("dog", "regularizer", "DifferenceOfGaussians()"),
        ("gaussian(length=2.0)", "regularizer", "Gaussian(length=2.0)"),
        ("dog + 0.1*uniform", "regularizer", "DifferenceOfGaussians() + 0.1 * Uniform()"),
        ("(dog + uniform)", "regularizer", "DifferenceOfGaussians() + Uniform()"),
        ("dog.normalized()", "regularizer", "DifferenceOfGaussians().normalized()"),
        (f"{HERE}:ripple", "regularizer", "Ripple()"),
        ("moduli.regularizers:Diffusion", "regularizer", "Diffusion()"),
        ("cubic", "schedule", "CubicSchedule(begin=0, end=1000)"),
        ("one-shot(at=5)", "schedule", "OneShotSchedule(at=5)"),
        ("dense", "method", "'dense'"),
        ("torus-diffusion@a-priori", "method", "'torus-diffusion@a-priori'"),
        ("torus(dim=6)-dog", "method", "'torus(dim=6)-dog'"),
        ("torus:dog + uniform", "method", "'torus:dog + uniform'"),
        ("ring@a-priori", "method", "'ring@a-priori'"),
    ],
)
def test_what_a_text_names_is_found_by_what_it_is(target, kind, shown):
    found, thing = find_subject(target)
    assert (found, repr(thing)) == (kind, shown)


@pytest.mark.parametrize(
    ("target", "kind", "thing"),
    [
        ("ring", "mask family", MASK_FAMILIES.get("ring")),
        (f"{HERE}:half_empty", "mask family", half_empty),
        (f"{HERE}:ramp", "schedule", ramp),
        (f"{HERE}:pruned", "sparsifier", pruned),
        ("moduli.models:Sparsifier", "sparsifier", Sparsifier),
    ],
)
def test_functions_are_told_apart_by_their_parameters(target, kind, thing):
    assert find_subject(target) == (kind, thing)


def test_arguments_reach_things_of_every_kind():
    assert find_subject("torus", {"dim": 1}) == ("manifold", Torus(1))
    assert find_subject("torus(dim=3)", {"dim": 1, "period": 2.0}) == ("manifold", Torus(1, 2.0))
    assert find_subject("ripple", {"frequency": 3.0})[1] == Ripple(frequency=3.0)
    assert find_subject("moduli.models:LinearSchedule", {"begin": 0, "end": 9})[1] == LinearSchedule(0, 9)
    assert find_subject("cubic", {"end": 9}) == ("schedule", CubicSchedule(0, 9))
    family = find_subject("small-world", {"rewiring": 0.5})[1]
    assert family.keywords == {"rewiring": 0.5}
    assert find_subject(f"{HERE}:mixed", {"share": 0.1})[1].keywords == {"share": 0.1}
    assert find_subject(f"{HERE}:pruned", {"sparsity": 0.5})[1].keywords == {"sparsity": 0.5}
    steepness = find_subject(f"{HERE}:steep", {"power": 3.0})[1]
    assert float(steepness.profile(torch.tensor(2.0))) == 8


@pytest.mark.parametrize(
    ("target", "arguments", "message"),
    [
        ("tours", [], "did you mean 'torus'"),
        ("dgo", [], "did you mean 'dog'"),
        ("smal-world", [], "did you mean 'small-world'"),
        ("cubci", [], "did you mean 'cubic'.*One can check a manifold such as torus"),
        ("dens", [], "did you mean 'dense'"),
        ("torus-difusion", [], "did you mean 'diffusion'"),
        ("regualr@a-priori", [], "did you mean 'regular'"),
        ("0.5*dgo + uniform", [], "did you mean 'dog'"),
        ("dog - uniform", [], "Only \\+ and \\* compose"),
        ("", [], "cannot be read"),
        ("torus", ["dimm=3"], "did you mean 'dim'"),
        ("ripple", ["frequncy=3"], "did you mean 'frequency'"),
        ("ring", ["rewiring=0.1"], "ring has no parameter 'rewiring'"),
        ("cubic", ["ende=3"], "did you mean 'end'"),
        ("cubic", ["end=0"], "must end after it begins"),
        ("moduli.models:LinearSchedule", [], "needs other arguments: missing a required argument: 'begin'"),
        ("torus-dog", ["dim=3"], "takes no further arguments"),
        ("dog + uniform", ["amplitude=3"], "takes no further arguments"),
        (f"{HERE}:line", ["dim=3"], "does not take dim"),
        (f"{HERE}:pruned", ["sparsty=3"], "did you mean 'sparsity'"),
        (f"{HERE}:number", [], "gives an object of type int; one can check a manifold"),
        (f"{HERE}:three", [], "gives an object of type int; one can check a manifold"),
        (f"{HERE}:unclear", [], r"gives a function unclear\(time\); one can check .* a function of step"),
        (f"{HERE}:unsaid", [], "does not say what it returns, so it is not called; annotate it"),
        (f"{HERE}:failing", [], "could not be made: ZeroDivisionError: by design"),
        ("torch.nn:Linear", [], "gives the class Linear; one can check"),
        (f"{HERE}:nothing", [], "could not be imported: AttributeError"),
        ("no_such_module:Thing", [], "could not be imported: ModuleNotFoundError"),
        ("torus", ["dim"], "name=value, got 'dim'"),
    ],
)
def test_mistakes_are_named(target, arguments, message):
    with pytest.raises(ModuliError, match=message):
        check_command(target, arguments)


def test_options_without_a_use_are_refused():
    for target, kind in (
        ("torus", "manifold"),
        ("ring", "mask family"),
        ("cubic", "schedule"),
        ("torus-dog", "method"),
        (f"{HERE}:pruned", "sparsifier"),
    ):
        with pytest.raises(InvalidParameter, match=f"is a {kind}; --on is for regularizers"):
            check_command(target, on="sphere")
    for target in ("cubic", "torus-dog"):
        with pytest.raises(InvalidParameter, match="leave --cases out"):
            check_command(target, cases=3)
    with pytest.raises(ModuliError, match="did you mean 'torus'"):
        check_command("dog", on="tours")


def test_a_regularizer_is_checked_where_on_says():
    report = check_command(f"{HERE}:sinking", on="sphere(radius=0.5)", cases=4)
    assert report.passed
    assert not check_command(f"{HERE}:sinking", on="euclidean", cases=24).passed


@pytest.mark.parametrize(
    ("target", "arguments", "passed"),
    [
        ("circle", ["--cases", "50"], True),
        (f"{HERE}:Squared", ["--kwargs", "dim=1", "--cases", "200"], False),
        ("dog + 0.1*uniform", ["--on", "torus", "--cases", "4"], True),
        ("small-world(rewiring=0.2)", ["--cases", "5"], True),
        (f"{HERE}:half_empty", ["--cases", "5"], False),
        ("cubic", [], True),
        (f"{HERE}:Endless", [], False),
        ("regular@a-priori", [], True),
        (f"{HERE}:pruned", ["--cases", "1"], True),
        (f"{HERE}:pruned_to_a_schedule_that_falls", ["--cases", "1"], False),
    ],
)
def test_the_command_reports_on_every_kind_in_one_format(capsys, target, arguments, passed):
    with nullcontext() if passed else pytest.raises(SystemExit, match="1"):
        main(["check", target, *arguments, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] == passed
    assert list(report)[1:] == ["passed", "clauses"]
    for clause in report["clauses"]:
        assert clause.keys() == {"number", "name", "statement", "verdict", "cases", "detail"}
    verdicts = [clause["verdict"] for clause in report["clauses"]]
    assert ("failed" in verdicts) != passed


def test_a_mistake_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check", "tours"])
    assert stop.value.code == 2
    assert "did you mean 'torus'" in capsys.readouterr().err
    with pytest.raises(UnknownSubject):
        find_subject("tours")


def test_a_report_on_a_method_names_the_part_that_is_broken(monkeypatch):
    monkeypatch.setattr(Diffusion, "profile", lambda self, distance: 3 - distance)
    report = check_command("torus-diffusion")
    assert not report.passed
    verdicts = {result.clause.name: result.verdict for result in report.results}
    assert (verdicts["manifold"], verdicts["regularizer"]) == ("passed", "failed")
    assert "breaks clause 2, values" in str(report)
    assert str(report).endswith("Not a method, as it stands.")


def test_nothing_is_left_in_the_user_s_folder(tmp_path):
    (tmp_path / "mine.py").write_text("from moduli.manifolds import Euclidean\nclass Line(Euclidean): pass\n")
    code = "from moduli.tasks.cli import main\nimport sys\nsys.path.insert(0, '.')\n"
    for arguments in (["mine:Line", "--cases", "50"], ["ring", "--cases", "3"]):
        code += f"main({['check', *arguments]})\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]
