"""Clauses R1-R6, R10, R11, V1 and V2: each check catches the faults planted for it, and no false alarm."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from moduli.manifolds import Circle, Euclidean, Graph, Hyperbolic, InvalidParameter, Sphere, Torus
from moduli.regularizers import (
    BrokenRegularizer,
    ChangedInPlace,
    Communicability,
    DifferenceOfGaussians,
    Diffusion,
    Gaussian,
    Inhibitor,
    Regularizer,
    Ripple,
    UndefinedCoefficients,
    Uniform,
    check_regularizer,
    register_regularizer,
    verify_regularizer,
)
from moduli.regularizers.testing import CLAUSES, Search, check_values, strategies
from tests.conftest import seeded

INHIBITORS = [Uniform(), Diffusion(), DifferenceOfGaussians(), Gaussian(), Ripple(), Inhibitor(torch.tanh)]
COMPOSED = [
    Communicability(),
    0.5 * DifferenceOfGaussians() + 0.1 * Uniform(),
    Diffusion() * Communicability(),
    Diffusion().permuted(seed=3),
    Diffusion().permuted_in_pairs(seed=3),
    DifferenceOfGaussians().normalized(),
    Ripple().with_diagonal(0.5),
    Ripple().clamped(0.5, 20.0),
    Diffusion().threshold(1.0),
    DifferenceOfGaussians().relative(),
    Diffusion().threshold(1.0).relative().normalized(),
]
SQUARE = Graph(4, [(0, 1, 1.0), (1, 2, 0.5), (2, 3, 1), (3, 0, 1)])


@pytest.mark.parametrize("regularizer", INHIBITORS, ids=repr)
def test_every_built_in_passes(regularizer):
    report = check_regularizer(regularizer)
    assert report.passed, str(report)


@pytest.mark.parametrize("regularizer", COMPOSED, ids=repr)
def test_what_is_composed_of_built_ins_passes(regularizer):
    report = check_regularizer(regularizer, cases=12)
    assert report.passed, str(report)


def verdicts(*arguments):
    report = check_regularizer(*arguments, cases=6)
    return {result.clause.name: result.verdict for result in report.results}


def test_a_clause_applies_where_the_class_and_the_manifold_say_so():
    assert set(verdicts(Diffusion()).values()) == {"passed"}
    for regularizer, silent in (
        (Diffusion().permuted(), {"equivariance", "populations"}),
        (2 * Diffusion().permuted() + 1, {"equivariance", "populations"}),
        (Diffusion().normalized(), {"populations"}),
        (Communicability(), {"populations"}),
        (Inhibitor(torch.tanh), {"rebuilding"}),
    ):
        found = verdicts(regularizer, Torus(2))
        assert {name for name, verdict in found.items() if verdict == "not applicable"} == silent
    found = verdicts(Diffusion(), SQUARE)
    assert {name for name, verdict in found.items() if verdict != "passed"} == {"isometries", "gradients"}


class Planted(Regularizer):
    """A regularizer whose coefficients are a function of the geometry."""

    def __init__(self, function):
        self.function = function

    def coefficients(self, geometry):
        return self.function(geometry)

    def __repr__(self):
        return "Planted()"


@dataclass(frozen=True)
class ReadsWeight(Regularizer):
    """Writes into the weight."""

    depends_on_weight = True

    def coefficients(self, geometry):
        geometry.weight.mul_(2)
        return geometry.distance + 1


@register_regularizer("forgetful")
@dataclass(frozen=True)
class Forgetful(Inhibitor):
    """Has a repr that leaves out a parameter."""

    length: float = 1.0

    def profile(self, distance):
        return distance / self.length

    def __repr__(self):
        return "Forgetful()"


@register_regularizer("lossy")
@dataclass(frozen=True)
class Lossy(Forgetful):
    """Has a spec that leaves out a parameter."""

    @property
    def spec(self):
        return {"name": "lossy", "kwargs": {}}

    def __repr__(self):
        return f"Lossy(length={self.length!r})"


class PermutesRows(Planted):
    def permuted(self, seed=0):
        return Planted(lambda geometry: self.function(geometry).roll(1, 0))


class DoublesNormalized(Planted):
    def normalized(self):
        return 2 * super().normalized()


class AddsTwice(Planted):
    def __add__(self, other):
        return super().__add__(other) + other


class MultipliesWrongly(Planted):
    def __mul__(self, other):
        return super().__mul__(other) + 1e-3

    __rmul__ = __mul__


def written(change):
    def function(geometry):
        change(geometry)
        return geometry.distance + 1

    return Planted(function)


def fill(tensor):
    tensor.numpy().fill(0.25)


FAULTS = {
    "another shape": ("form", Planted(lambda g: g.distance[:, :1])),
    "a flat list": ("form", Planted(lambda g: g.distance.flatten())),
    "sources and targets exchanged": ("form", Planted(lambda g: g.distance.T.contiguous())),
    "float64 leaks": ("form", Planted(lambda g: g.distance.double())),
    "float32 always": ("form", Planted(lambda g: g.distance.float())),
    "a number": ("form", Planted(lambda g: 1.0)),
    "a part leaks float64": ("form", Diffusion() + 2 * Planted(lambda g: g.distance.double())),
    "negative beyond a distance": ("values", Inhibitor(lambda d: (20 - d).clamp(max=1))),
    "negative near 3": ("values", Inhibitor(lambda d: torch.where((d - 3).abs() < 0.01, -1.0, d))),
    "nan at zero": ("values", Inhibitor(lambda d: d.sin() / d)),
    "nan between distinct neurons at zero": ("values", Planted(
        lambda g: (g.distance / g.distance).fill_diagonal_(0))),
    "infinite far away": ("values", Inhibitor(torch.exp)),
    "negative within a sum": ("values", Uniform() + Inhibitor(lambda d: 5 - d)),
    "undefined everywhere": ("values", (0 * Uniform()).normalized()),
    "random": ("determinism", Inhibitor(torch.rand_like)),
    "moves torch's generator": ("determinism", Inhibitor(lambda d: d + 0 * torch.rand(()))),
    "moves numpy's generator": ("determinism", Inhibitor(lambda d: d + 0 * np.random.rand())),
    "moves Python's generator": ("determinism", Inhibitor(lambda d: d + 0 * random.random())),
    "remembers": ("determinism", (lambda seen: Inhibitor(lambda d: seen.append(1) or d + len(seen)))([])),
    "writes into points": ("points", written(lambda g: g.targets.mul_(0.5))),
    "writes into points' memory": ("points", written(lambda g: fill(g.targets))),
    "writes into the weight": ("points", ReadsWeight()),
    "writes into distances": ("distances", written(lambda g: g.distance.mul_(2))),
    "writes into distances' memory": ("distances", written(lambda g: fill(g.distance))),
    "reads an index": ("equivariance", Planted(
        lambda g: g.distance + torch.arange(len(g.targets)).to(g.distance))),
    "the first neuron is special": ("equivariance", Planted(
        lambda g: g.distance * (1 + (torch.arange(len(g.distance)) == 0).to(g.distance))[:, None])),
    "reads coordinates": ("isometries", Planted(lambda g: g.distance + g.targets.flatten(1)[:, :1].abs())),
    "reads a mean": ("populations", Planted(lambda g: g.distance / (1 + g.distance.mean()))),
    "treats populations otherwise": ("populations", Planted(lambda g: g.distance * (2 - g.is_recurrent))),
    "measures by itself": ("scale", Planted(lambda g: g.manifold.pairwise(g.targets, g.sources))),
    "reads a parameter of the manifold": ("scale", Planted(
        lambda g: g.distance / vars(g.manifold).get("factor", 1.0))),
    "no gradient at zero": ("gradients", Inhibitor(lambda d: d.sqrt())),
    "overflows in half precision": ("precision", Inhibitor(lambda d: d / (1 + 1e5 * d))),
    "raises in half precision": ("precision", Inhibitor(
        lambda d: d if d.dtype in (torch.float32, torch.float64) else d[0, 0, 0])),
    "wrong repr": ("rebuilding", Forgetful(2.0)),
    "wrong spec": ("rebuilding", Lossy(2.0)),
    "permutes the diagonal": ("permuted", PermutesRows(lambda g: g.distance)),
    "normalized to 2": ("normalized", DoublesNormalized(lambda g: g.distance)),
    "adds twice": ("algebra", AddsTwice(lambda g: g.distance)),
    "multiplies wrongly": ("algebra", MultipliesWrongly(lambda g: g.distance)),
}  # fmt: skip


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_caught_by_its_clause(fault):
    clause, regularizer = FAULTS[fault]
    with pytest.raises(BrokenRegularizer, match=f"breaks clause {CLAUSES[clause].number}, {clause}:"):
        CLAUSES[clause].check(Search(regularizer))


def test_every_clause_has_a_planted_fault():
    assert {clause for clause, _ in FAULTS.values()} == set(CLAUSES)


def test_a_function_that_works_in_place_harms_no_other_term():
    in_place = Inhibitor(lambda d: d.mul_(2))
    verify_regularizer(in_place, cases=12)
    verify_regularizer(Diffusion() + in_place, cases=12)


def test_a_regularizer_that_writes_into_what_others_read_is_named():
    points = Torus().random_point(4, seeded())
    for what in ("distance", "targets"):
        planted = written(lambda geometry, what=what: getattr(geometry, what).mul_(2))
        with pytest.raises(ChangedInPlace, match=rf"Planted\(\) wrote into geometry\.{what}") as caught:
            (Uniform() + planted.relative())(Torus(), points.clone())
        assert caught.value.what == what


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_normalizes_many_neurons_and_has_communicability(dtype):
    points = Torus().random_point(64, seeded())
    for regularizer in (
        DifferenceOfGaussians().normalized(),
        Diffusion().with_diagonal(1.0),
        Communicability(),
    ):
        weight = torch.randn(64, 64, generator=seeded())
        exact = regularizer(Torus(), points, weight=weight)
        low = regularizer(Torus(), points.to(dtype), weight=weight.to(dtype))
        assert low.dtype == dtype
        assert torch.allclose(low.float().mean(), exact.mean(), rtol=0.1)


def test_what_is_undefined_for_one_neuron_says_so():
    for regularizer in (Diffusion().normalized(), Diffusion().relative()):
        with pytest.raises(UndefinedCoefficients):
            regularizer(Torus(), Torus().random_point(1, seeded()))


def test_the_error_shows_few_neurons_the_numbers_and_three_lines_that_reproduce_them(capsys):
    with pytest.raises(BrokenRegularizer) as caught:
        verify_regularizer(SteepAtZero(), Euclidean(1))
    found = caught.value.counterexample
    assert caught.value.clause == "populations"
    assert len(found.values["points"]) == 2
    lines = found.reproduction.splitlines()
    assert len(lines) == 3
    exec(found.reproduction, {})
    words = capsys.readouterr().out.split()
    printed = [float(word.split(",")[0].strip("tensor()")) for word in words if "tensor" in word]
    assert printed == pytest.approx(list(found.numbers.values()), rel=1e-3)
    assert found.reproduction in str(caught.value)


@dataclass(frozen=True)
class SteepAtZero(Regularizer):
    """Treats two populations otherwise."""

    def coefficients(self, geometry):
        return geometry.distance + (not geometry.is_recurrent)


@pytest.mark.usefixtures("unshrunk")
def test_more_cases_find_what_few_do_not():
    hidden = Inhibitor(lambda d: torch.where((d - 3.3).abs() < 1e-2, -1.0, d))
    check_values(Search(hidden, Euclidean(2), cases=2))
    with pytest.raises(BrokenRegularizer, match="values"):
        check_values(Search(hidden, Euclidean(2), cases=400))


def test_wrong_arguments_are_refused():
    for wrong in (Diffusion, "diffusion"):
        with pytest.raises(InvalidParameter, match=r"such as Diffusion\(\); got (the class Diff|'diff)"):
            verify_regularizer(wrong)
    with pytest.raises(InvalidParameter, match=r"such as Torus\(2\); got 'torus'"):
        verify_regularizer(Diffusion(), "torus")
    with pytest.raises(InvalidParameter, match="cases must be a positive integer, got 0"):
        verify_regularizer(Diffusion(), cases=0)


def test_a_verification_repeats_exactly_and_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    state = torch.get_rng_state()
    planted = FAULTS["reads coordinates"][1]
    texts = {str(check_regularizer(planted, Torus(2), cases=8)) for _ in range(2)}
    assert len(texts) == 1
    assert torch.equal(state, torch.get_rng_state())
    assert list(tmp_path.iterdir()) == []


PYTEST_FILE = """
from moduli.manifolds import Torus
from moduli.regularizers import Diffusion, Inhibitor
from moduli.regularizers.testing import regularizer_checks

@regularizer_checks(Diffusion().permuted(), Torus(2), cases=4)
def test_permuted(check): check()

@regularizer_checks(Inhibitor(lambda d: 1 - d), Torus(2), cases=4)
def test_negative(check): check()

@regularizer_checks(Inhibitor(lambda d: 1 - d), Torus(2), cases=4, expected_failures={"values": "negative"})
def test_excused(check): check()
"""


@pytest.mark.usefixtures("unshrunk")
def test_regularizer_checks_make_one_pytest_item_a_clause(pytester):
    pytester.makepyfile(test_generated_regularizer=PYTEST_FILE)
    done = pytester.runpytest_inprocess("-q", "-rA", "-p", "no:cacheprovider")
    outcomes = [line.split()[:2] for line in done.outlines]
    found = {(verdict, name.partition("::")[2]) for verdict, name in (o for o in outcomes if len(o) == 2)}
    assert ("PASSED", "test_permuted[isometries]") in found
    assert ("FAILED", "test_negative[values]") in found
    assert ("XFAIL", "test_excused[values]") in found
    assert any("is_equivariant = False" in line for line in done.outlines)


@settings(max_examples=20)
@given(strategies(Sphere()).expressions(), strategies(Sphere()).embeddings(2, 6))
def test_strategies_draw_expressions_and_neurons(regularizer, points):
    coefficients = regularizer(Sphere(), points)
    assert coefficients.shape == (len(points), len(points))
    assert torch.equal(coefficients, coefficients.T)


def test_a_given_manifold_is_where_a_regularizer_is_examined():
    verify_regularizer(Inhibitor(torch.exp), Circle(), cases=12)


def test_a_map_that_is_not_an_isometry_at_the_rim_is_held_against_nobody():
    verify_regularizer(DifferenceOfGaussians(), Hyperbolic(2))
