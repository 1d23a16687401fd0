"""Clauses M8 and M9: each check catches the fault planted for it, and raises no false alarm."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.linalg import vector_norm

from moduli.manifolds import (
    Circle,
    Euclidean,
    Hyperbolic,
    InvalidParameter,
    Manifold,
    MetricAxiomError,
    Sphere,
    Torus,
    check_manifold,
    verify,
)
from moduli.manifolds.testing import CLAUSES, strategies
from moduli.tasks.checks import check_command
from tests.conftest import seeded
from tests.metric_spaces import BROKEN

TORUS, SPHERE = Torus(2), Sphere(2)


def on_torus(distance):
    """Return a torus whose distance d is replaced by a function of (d, x, y)."""

    class Broken(Torus):
        def distance(self, x, y):
            return distance(TORUS.distance(x, y), x, y)

    return Broken(2)


def on_sphere(distance):
    class Broken(Sphere):
        def distance(self, x, y):
            return distance(SPHERE.distance(x, y), x, y)

    return Broken(2)


def with_points(random_point, **attributes):
    namespace = {"random_point": random_point, **attributes}
    return type("Broken", (Euclidean,), namespace)(2)


def in_slab(x, width):
    return (x[..., 0] - 5).abs() < width


class Biased(Euclidean):
    """Declares an isometry that is none."""

    def random_isometry(self, generator=None):
        return lambda x: 1.01 * x


class RaisesFarAway(Euclidean):
    def distance(self, x, y):
        if (vector_norm(x - y, dim=-1) > 13).any():
            raise ZeroDivisionError("too far")
        return super().distance(x, y)


class PairwiseDiffers(Euclidean):
    def pairwise(self, x, y=None):
        return super().pairwise(x, y) + 1e-3


class PairwiseAsymmetric(Euclidean):
    def pairwise(self, x, y=None):
        matrix = super().pairwise(x, y)
        return matrix if y is not None else matrix + 1e-12 * torch.ones_like(matrix).triu(1)


FAULTS = {
    # Thin regions: a bump one thousandth wide in distance, slabs, a disc, a sliver of asymmetry.
    "bump": ("triangle", on_torus(lambda d, x, y: torch.where((d - 1.7).abs() < 5e-4, 3 * d, d))),
    "slab": ("triangle", on_torus(
        lambda d, x, y: torch.where(in_slab(x, 0.01) & in_slab(y, 0.01), 3 * d, d))),
    "disc": ("triangle", on_torus(
        lambda d, x, y: d * (1 - 0.9 * ((vector_norm(x - 3, dim=-1) < 0.05)
                                        ^ (vector_norm(y - 3, dim=-1) < 0.05))))),
    "asymmetric sliver": ("symmetry", on_torus(lambda d, x, y: d * (1 + 0.1 * in_slab(x, 0.01)))),
    "zero when near": ("separation", on_torus(lambda d, x, y: torch.where(d < 1e-3, 0, d))),
    "nan at the antipode": ("finiteness", on_sphere(
        lambda d, x, y: torch.where((x + y).abs().amax(-1) < 1e-7, torch.nan, d))),
    "infinite at a cut point": ("finiteness", on_torus(
        lambda d, x, y: torch.where(d > 50**0.5 - 1e-9, torch.inf, d))),
    # Whole-space faults.
    "squared": ("triangle", on_torus(lambda d, x, y: d * d)),
    "cosine": ("triangle", on_sphere(lambda d, x, y: 1 - torch.cos(d / 5))),
    "asymmetric": ("symmetry", on_torus(lambda d, x, y: d * (1 + 0.1 * (x[..., 0] > y[..., 0])))),
    "negative": ("non-negativity", on_torus(lambda d, x, y: -d)),
    "one percent at zero": ("identity", on_sphere(lambda d, x, y: (d * d + 1e-4).sqrt())),
    "clamped arccos": ("identity", on_sphere(
        lambda d, x, y: 5 * torch.arccos((x * y).sum(-1).clamp(-1 + 1e-7, 1 - 1e-7)))),
    "ignores a coordinate": ("separation", on_torus(
        lambda d, x, y: Torus(1).distance(x[..., :1], y[..., :1]))),
    "raises": ("finiteness", RaisesFarAway()),
    "no gradient at zero": ("gradients", type("Broken", (Euclidean,), {
        "distance": lambda self, x, y: (x - y).square().sum(-1).sqrt()})()),
    "no gradient at the antipode": ("gradients", on_sphere(
        lambda d, x, y: 5 * torch.arccos((x * y).sum(-1).clamp(-1, 1)))),
    "isometry": ("isometries", Biased()),
    # Structure.
    "keeps a dimension": ("shape", on_torus(lambda d, x, y: d[..., None])),
    "sums": ("shape", on_torus(lambda d, x, y: d.sum())),
    "no broadcasting": ("shape", on_torus(
        lambda d, x, y: torch.cdist(x.reshape(-1, 2), y.reshape(-1, 2)).diagonal().reshape(x.shape[:-1]))),
    "returns a float": ("shape", on_torus(lambda d, x, y: 1.0)),
    "float64 leak": ("dtype", on_torus(lambda d, x, y: d.double())),
    "float32 always": ("dtype", on_torus(lambda d, x, y: d.float())),
    "float64 points": ("dtype", with_points(
        lambda self, n, generator=None: torch.rand(n, 2, generator=generator, dtype=torch.float64))),
    "ignores its generator": ("seed", with_points(lambda self, n, generator=None: torch.rand(n, 2))),
    "moves the global generator": ("seed", with_points(
        lambda self, n, generator=None: torch.rand(n, 2, generator=generator) + 0 * torch.rand(1))),
    "moves numpy's generator": ("seed", with_points(
        lambda self, n, generator=None: torch.rand(n, 2, generator=generator) + 0 * np.random.rand())),
    "moves Python's generator": ("seed", with_points(
        lambda self, n, generator=None: torch.rand(n, 2, generator=generator) + 0 * random.random())),
    "one point too many": ("points", with_points(
        lambda self, n, generator=None: torch.rand(n + 1, 2, generator=generator))),
    "no batch of one": ("points", with_points(
        lambda self, n, generator=None: torch.rand(n, 2, generator=generator).squeeze(0))),
    "points off the manifold": ("points", type("Broken", (Sphere,), {
        "random_point": lambda self, n, generator=None: torch.rand(n, 3, generator=generator)})()),
    "nan points": ("points", with_points(lambda self, n, generator=None: torch.full((n, 2), torch.nan))),
    "no point_shape": ("points", with_points(Euclidean.random_point, point_shape=property(lambda self: [2]),
                                             __init__=lambda self, dim: None)),
    "pairwise differs": ("broadcasting", PairwiseDiffers()),
    "pairwise asymmetric": ("broadcasting", PairwiseAsymmetric()),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_caught_by_its_clause(fault):
    clause, manifold = FAULTS[fault]
    report = check_manifold(manifold)
    assert not report.passed
    errors = {result.clause.name: result.error for result in report.results if result.verdict == "failed"}
    assert f"breaks clause {CLAUSES[clause].number}, {clause}" in str(errors[clause])
    assert isinstance(errors[clause], MetricAxiomError)


def test_every_clause_has_a_planted_fault():
    assert {clause for clause, _ in [*FAULTS.values(), *BROKEN.values()]} == set(CLAUSES)


def test_clauses_are_numbered_in_order():
    assert [clause.number for clause in CLAUSES.values()] == list(range(1, 17))


class OwnCylinder(Manifold):
    point_shape = (2,)

    def __init__(self, height: float = 1.0):
        self.height = height

    def distance(self, x, y):
        turn = (x[..., 0] - y[..., 0]).remainder(2 * torch.pi)
        arc = torch.minimum(turn, 2 * torch.pi - turn)
        return torch.stack([arc, x[..., 1] - y[..., 1]], -1).norm(dim=-1)

    def random_point(self, n, generator=None):
        return torch.rand(n, 2, generator=generator) * torch.tensor([2 * torch.pi, self.height])


class Tree(Manifold):
    """The infinite binary tree, cut at depth 6, its nodes numbered as in a heap: no gradient."""

    point_shape = (1,)

    def distance(self, x, y):
        dtype = x.dtype
        x, y = torch.broadcast_tensors(x[..., 0].detach().long() + 1, y[..., 0].detach().long() + 1)
        steps = torch.zeros(x.shape, dtype=torch.long)
        for _ in range(14):
            steps = steps + (x != y)
            x, y = torch.where(x > y, x // 2, x), torch.where(y > x, y // 2, y)
        return steps.to(dtype)

    def random_point(self, n, generator=None):
        return torch.randint(127, (n, 1), generator=generator).to(torch.get_default_dtype())


class BareSphere(Manifold):
    """A sphere that does not say how to project onto it."""

    point_shape = (3,)

    def distance(self, x, y):
        return 2 * torch.atan2(vector_norm(x - y, dim=-1), vector_norm(x + y, dim=-1))

    def random_point(self, n, generator=None):
        return torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)


class Fisher(Manifold):
    """Probability vectors, with the distance of their square roots; does not say how to project."""

    point_shape = (4,)

    def distance(self, x, y):
        return vector_norm(x.sqrt() - y.sqrt(), dim=-1)

    def random_point(self, n, generator=None):
        weights = -(1 - torch.rand(n, 4, generator=generator)).log() + 1e-3
        return weights / weights.sum(-1, keepdim=True)


@pytest.mark.parametrize(
    "manifold", [OwnCylinder(), OwnCylinder(2.0), Tree(), BareSphere(), Fisher()], ids=repr
)
def test_plugins_of_three_members_raise_no_false_alarm(manifold):
    report = check_manifold(manifold)
    assert report.passed, str(report)


def test_a_space_without_gradient_says_so():
    (gradients,) = [r for r in check_manifold(Tree()).results if r.clause.name == "gradients"]
    assert gradients.verdict == "not applicable"
    assert "have no gradient" in gradients.detail


def test_the_error_shows_simple_points_the_numbers_and_three_lines_that_reproduce_them():
    with pytest.raises(MetricAxiomError) as caught:
        verify(SquaredLine())
    found = caught.value.counterexample
    assert caught.value.clause == "triangle"
    assert all(float(point) == round(float(point)) for point in found.values.values())
    lines = found.reproduction.splitlines()
    assert len(lines) == 3
    done = subprocess.run(
        [sys.executable, "-c", found.reproduction], capture_output=True, text=True, check=True
    )
    printed = [float(word.strip("tensor(,").split(",")[0].rstrip(")")) for word in done.stdout.split()
               if word.startswith("tensor(")]  # fmt: skip
    assert printed == list(found.numbers.values())
    assert max(printed) > sum(sorted(printed)[:2])
    assert found.reproduction in str(caught.value)


class SquaredLine(Euclidean):
    """Its distance is squared."""

    def __init__(self):
        super().__init__(1)

    def distance(self, x, y):
        return (x - y).square().sum(-1)


def test_a_search_repeats_exactly_and_leaves_the_global_state():
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    texts = {str(check_manifold(FAULTS["slab"][1], cases=4000)) for _ in range(2)}
    assert len(texts) == 1
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (str(np.random.get_state()), random.getstate())


def test_more_cases_on_request_find_what_few_do_not():
    hidden = on_torus(lambda d, x, y: d * (1 + 0.1 * (vector_norm(x - 3, dim=-1) < 0.02)))
    assert check_manifold(hidden, cases=32).passed
    with pytest.raises(MetricAxiomError):
        verify(hidden, cases=2**17)
    for wrong in (Torus, "torus"):
        with pytest.raises(InvalidParameter, match=r"such as Torus\(2\); got (the class Torus|'torus')"):
            verify(wrong)
    with pytest.raises(InvalidParameter, match="cases must be a positive integer, got 0"):
        check_manifold(Torus(), cases=0)


class InPlace(Manifold):
    point_shape = (2,)

    def distance(self, x, y):
        x -= y
        return vector_norm(x, dim=-1)

    def random_point(self, n, generator=None):
        return torch.rand(n, 2, generator=generator)


def test_a_distance_that_works_in_place_is_told_what_to_write():
    with pytest.raises(
        MetricAxiomError, match=r"shape: .*\n.*in place cannot broadcast.*write x - y, not x -= y"
    ):
        verify(InPlace())


def test_after_a_wrong_shape_nothing_else_is_run():
    verdicts = {r.clause.name: r.verdict for r in check_manifold(FAULTS["sums"][1]).results}
    assert verdicts["shape"] == "failed"
    assert verdicts["triangle"] == "not run"


def test_expected_failures_must_name_a_clause_and_must_fail():
    squared = SquaredLine()
    assert check_manifold(squared, expected_failures={"triangle": "squared"}).passed
    report = check_manifold(Torus(), expected_failures={"triangle": "it is not"})
    assert not report.passed
    assert "unexpected pass" in str(report)
    with pytest.raises(InvalidParameter, match=r"called 'triangel'; did you mean 'triangle'\?"):
        check_manifold(Torus(), expected_failures={"triangel": "typo"})


def test_the_report_and_the_command_line_are_readable():
    text = str(check_command("torus", ["dim=1", "period=2.5"], cases=100))
    assert text.startswith("Torus(dim=1, period=2.5)")
    assert "  10  triangle        passed" in text
    assert text.endswith("A metric space.")
    broken = check_command(f"{__name__}:SquaredLine")
    assert not broken.passed
    assert "Reproduce it with" in str(broken)
    assert str(broken).endswith("Not a metric space, as it stands.")
    with pytest.raises(InvalidParameter, match="name=value, got 'dim'"):
        check_command("torus", ["dim"])


PYTEST_FILE = """
from moduli.manifolds import Torus
from moduli.manifolds.testing import manifold_checks
from tests.test_manifold_verification import SquaredLine, Tree

@manifold_checks(Torus(2), cases=64)
def test_torus(check): check()

@manifold_checks(SquaredLine(), cases=64)
def test_squared(check): check()

@manifold_checks(SquaredLine(), cases=64, expected_failures={"triangle": "squared"})
def test_excused(check): check()

@manifold_checks(Torus(2), cases=64, expected_failures={"triangle": "no longer true"})
def test_stale(check): check()

@manifold_checks(Tree(), cases=64)
def test_tree(check): check()
"""


def test_manifold_checks_make_one_pytest_item_a_clause(tmp_path, capsys):
    (tmp_path / "test_generated.py").write_text(PYTEST_FILE)
    pytest.main(["-q", "-rA", "-p", "no:cacheprovider", str(tmp_path)])
    printed = capsys.readouterr().out
    outcomes = [line.split()[:2] for line in printed.splitlines()]
    found = {(verdict, name.partition("::")[2]) for verdict, name in (o for o in outcomes if len(o) == 2)}
    assert ("PASSED", "test_torus[triangle]") in found
    assert ("FAILED", "test_squared[triangle]") in found
    assert ("PASSED", "test_squared[symmetry]") in found
    assert ("XFAIL", "test_excused[triangle]") in found
    assert ("FAILED", "test_stale[triangle]") in found
    failed = {name for verdict, name in found if verdict == "FAILED"}
    assert failed == {"test_squared[triangle]", "test_stale[triangle]"}
    assert "no gradient" in printed


@settings(max_examples=10)
@given(strategies(Hyperbolic(2)).isometries(), strategies(Hyperbolic(2)).embeddings(2, 5))
def test_strategies_isometries(isometry, points):
    assert torch.allclose(Hyperbolic(2).pairwise(isometry(points)), Hyperbolic(2).pairwise(points))


@settings(max_examples=10)
@given(
    strategies(SPHERE).points(),
    strategies(SPHERE).coincident(),
    strategies(SPHERE).nearly_coincident(),
    strategies(SPHERE).antipodal(),
    strategies(SPHERE).near_boundary(),
    strategies(SPHERE).cut_locus(),
    strategies(SPHERE, torch.float32).triples(),
)
def test_strategies_give_points_of_the_manifold(point, same, near, antipodal, boundary, cut, triple):
    assert point.shape == (3,)
    assert torch.equal(*same)
    assert SPHERE.distance(*antipodal) > 0
    for points in (same, near, antipodal, boundary, cut, triple):
        assert all(SPHERE.contains(each) for each in points)
    assert all(each.dtype == torch.float32 for each in triple)


def test_strategies_that_a_manifold_does_not_declare_are_refused():
    with pytest.raises(InvalidParameter, match="declares no cut points"):
        strategies(Euclidean()).cut_locus()
    with pytest.raises(InvalidParameter, match="declares no isometries"):
        strategies(OwnCylinder()).isometries()


LOCAL_MODULE = """
from moduli.manifolds import Euclidean

class Ours(Euclidean):
    numbers = (65_537, 123_456, "constants that hypothesis collects")
"""


def test_the_command_line_leaves_nothing_in_the_user_s_folder(tmp_path):
    (tmp_path / "ours.py").write_text(LOCAL_MODULE)
    command = "import sys; sys.path.insert(0, ''); from moduli.tasks.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-B", "-c", command, "check", "ours:Ours"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith("A metric space."), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ours.py"]


def test_a_circle_is_verified_and_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    verify(Circle())
    assert list(tmp_path.iterdir()) == []
    assert torch.equal(Circle().random_point(2, seeded()), Circle().random_point(2, seeded()))
