"""Verification of masks, schedules and sparsifiers: built-ins pass, planted faults are caught."""

from functools import partial

import pytest
import scipy.stats
import torch
from torch import nn

from moduli.errors import InvalidParameter
from moduli.models import (
    BrokenMasks,
    BrokenSchedule,
    BrokenSparsifier,
    CubicSchedule,
    LinearSchedule,
    OneShotSchedule,
    Regrowth,
    Sparsifier,
    mask_families,
    random_mask,
    ring_mask,
    small_world_mask,
    verify_masks,
    verify_schedule,
    verify_sparsifier,
)
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.models.testing import (
    MASK_CLAUSES,
    SCHEDULE_CLAUSES,
    SPARSIFIER_CLAUSES,
    check_masks,
    check_sparsifier,
    mask_checks,
    schedule_checks,
    sparsifier_checks,
)
from moduli.models.verification.ranks import chance_of_smaller
from moduli.models.verification.subjects import Named


@pytest.mark.parametrize("name", ["random", "ring", "small-world", "regular", "cliques"])
def test_built_in_families_are_mask_families(name):
    assert name in mask_families()
    assert check_masks(MASK_FAMILIES.get(name), cases=20).passed


def of_random(change):
    return lambda n, *, sparsity, seed: change(random_mask(n, n, sparsity=sparsity, seed=seed))


def moves_the_generator(n, *, sparsity, seed):
    torch.rand(1)
    return random_mask(n, n, sparsity=sparsity, seed=seed)


def draws_globally(n, *, sparsity, seed):
    return random_mask(n, n, sparsity=sparsity, seed=int(torch.randint(2**20, ())))


def off_by_a_few(mask):
    living = mask.nonzero()
    mask[living[:3].unbind(1)] = False
    return mask


def without_an_input(n, *, sparsity, seed):
    mask = random_mask(n, n, sparsity=sparsity, seed=seed)
    if n > 30:
        mask[0] = False
    return mask


MASK_FAULTS = [
    ("form", of_random(lambda mask: mask.float()), ()),
    ("form", of_random(lambda mask: mask[1:]), ()),
    ("form", of_random(lambda mask: mask.tolist()), ()),
    ("count", of_random(off_by_a_few), ()),
    ("determinism", moves_the_generator, ()),
    ("determinism", draws_globally, ()),
    ("seed", lambda n, *, sparsity, seed: random_mask(n, n, sparsity=sparsity, seed=0), ()),
    ("seed", of_random(lambda mask: mask), ("deterministic",)),
    ("reached", without_an_input, ()),
    *[
        (claim, of_random(lambda mask: mask), (claim,))
        for claim in ("symmetric", "regular", "self-connected")
    ],
    (
        "nested",
        lambda n, *, sparsity, seed: random_mask(n, n, sparsity=sparsity, seed=seed + int(100 * sparsity)),
        ("nested",),
    ),
]


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(("clause", "make", "claims"), MASK_FAULTS)
def test_a_clause_of_masks_catches_its_planted_fault(clause, make, claims):
    report = check_masks(make, claims=claims, cases=12)
    verdicts = {result.clause.name: result.verdict for result in report.results}
    assert verdicts[clause] == "failed", report
    with pytest.raises(BrokenMasks):
        verify_masks(make, claims=claims, cases=12)


def test_every_clause_of_masks_has_a_planted_fault():
    assert {clause for clause, _, _ in MASK_FAULTS} == set(MASK_CLAUSES)


def test_a_counterexample_is_small_and_its_lines_run():
    with pytest.raises(BrokenMasks, match="breaks clause 2, count") as caught:
        verify_masks(off_by_one_row)
    assert caught.value.counterexample.values["n"] <= 3
    names = {}
    exec(caught.value.counterexample.reproduction, names)
    assert not names["mask"][0].any()


def off_by_one_row(n, *, sparsity, seed):
    mask = random_mask(n, n, sparsity=sparsity, seed=seed)
    mask[0] = False
    return mask


def off_by_rows(n, *, sparsity, seed, rows=0):
    mask = random_mask(n, n, sparsity=sparsity, seed=seed)
    mask[:rows] = False
    return mask


def test_a_family_with_arguments_keeps_its_claims_and_is_made_again():
    verify_masks(off_by_rows, cases=10)
    with pytest.raises(BrokenMasks, match=r"off_by_rows\(rows=2\) breaks clause 2, count") as caught:
        verify_masks(partial(off_by_rows, rows=2))
    names = {}
    exec(caught.value.counterexample.reproduction, names)
    assert not names["mask"][:2].any()
    report = check_masks(partial(small_world_mask, rewiring=0.5), cases=5)
    assert {result.clause.name: result.verdict for result in report.results}["symmetric"] == "passed"


def test_an_unknown_claim_gets_a_suggestion():
    with pytest.raises(InvalidParameter, match="did you mean 'symmetric'"):
        verify_masks(ring_mask, claims=("symetric",))


@pytest.mark.parametrize("schedule", [CubicSchedule(10, 7000), LinearSchedule(0, 3), OneShotSchedule(50_000)])
def test_built_in_schedules_are_schedules(schedule):
    verify_schedule(schedule)


class Slow:
    """Says that it ends before it does."""

    end = 100

    def __call__(self, step):
        return min(1.0, step / 200)


calls = []

SCHEDULE_FAULTS = [
    ("fractions", lambda step: min(1.01, step / 100)),
    ("fractions", lambda step: float("nan") if step == 777 else min(1.0, step / 1000)),
    ("fractions", lambda step: "all"),
    ("determinism", lambda step: min(1.0, float(torch.rand(())))),
    ("determinism", lambda step: calls.append(step) or min(1.0, len(calls) / 1e6)),
    ("monotone", lambda step: 0.5 if step == 777 else min(1.0, step / 1000)),
    ("reaches", lambda step: min(0.99, step / 100)),
    ("reaches", Slow()),
]


@pytest.mark.parametrize(("clause", "schedule"), SCHEDULE_FAULTS)
def test_a_clause_of_schedules_catches_its_planted_fault(clause, schedule):
    with pytest.raises(BrokenSchedule) as caught:
        verify_schedule(schedule)
    assert caught.value.clause == clause


def test_every_clause_of_schedules_has_a_planted_fault():
    assert {clause for clause, _ in SCHEDULE_FAULTS} == set(SCHEDULE_CLAUSES)


@pytest.mark.parametrize(
    "options",
    [
        {"regularizer": "dog", "manifold": "torus", "schedule": CubicSchedule(0, 7000)},
        {"regularizer": "diffusion", "manifold": "sphere", "scope": "global"},
        {"scope": "erk"},
        {"scope": "recurrent", "granularity": 2},
        {"scope": "recurrent", "regularizer": "dog", "manifold": "torus", "regrowth": Regrowth(end=500)},
        {"regularizer": "dog", "manifold": "torus", "score": "magnitude/coefficient"},
    ],
)
def test_built_in_options_make_sparsifiers(options):
    report = check_sparsifier(lambda model: Sparsifier(model, sparsity=0.8, **options), cases=4)
    assert report.passed, report


class WrongMasks(Sparsifier):
    def step(self):
        super().step()
        for name in self.masks:
            self.masks[name] = self.masks[name][1:]


class TooMany(Sparsifier):
    def step(self):
        super().step()
        for name, mask in self.masks.items():
            mask[0] = False
            self.model.get_parameter(name).data[0] = 0


class Reviving(Sparsifier):
    def step(self):
        super().step()
        if self.steps_taken > 1:
            for mask in self.masks.values():
                mask[0] = True


class Leaking(Sparsifier):
    def step(self):
        super().step()
        for name, mask in self.masks.items():
            self.model.get_parameter(name).data[~mask] = 1e-9


class Unmasked(Sparsifier):
    def penalty(self):
        for name in self.masks:
            weight = self.model.get_parameter(name)
            for hooks in (weight._backward_hooks, weight._post_accumulate_grad_hooks):
                (hooks or {}).clear()
        return super().penalty()


class DisagreeingGates(Sparsifier):
    def penalty(self):
        weights = [self.model.get_parameter(name) for name in self.coefficients]
        rising = [(torch.arange(len(each))[:, None] * each.abs()).mean() for each in weights]
        return super().penalty() + sum(rising)


class Writing(Sparsifier):
    def step(self):
        super().step()
        with torch.no_grad():
            for name in self.masks:
                self.model.get_parameter(name).mul_(2)


class Silent(Sparsifier):
    def step(self):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            super().step()


class Charging(Sparsifier):
    """Charges all weights alike, whatever the coefficients."""

    def penalty(self):
        return sum(self.model.get_parameter(name).abs().mean() for name in self.coefficients)


class OtherTicket(Sparsifier):
    def ticket(self, seed, **options):
        model, ticket = super().ticket(seed, **options)
        for name, mask in ticket.masks.items():
            ticket.masks[name] = mask.roll(1, 0)
        return model, ticket


class Forgetful(Sparsifier):
    def load_state_dict(self, state):
        self.steps_taken = int(state["steps_taken"])


class Moving(Sparsifier):
    def step(self):
        torch.rand(1)
        super().step()


def reviving_score(weight, coefficients):
    return torch.full_like(weight, float("nan"))


def of(kind, **options):
    options = {"sparsity": 0.8, "regularizer": "dog", "manifold": "torus"} | options
    return lambda model: kind(model, **options)


SPARSIFIER_FAULTS = [
    ("form", of(WrongMasks)),
    ("form", of(Sparsifier, score=reviving_score)),
    ("schedule", of(Sparsifier, schedule=lambda step: min(0.99, step / 10))),
    ("zeros", of(TooMany)),
    ("sparser", of(Reviving)),
    ("dead", of(Leaking)),
    ("gradients", of(Unmasked)),
    ("living", of(Writing)),
    ("gates", of(DisagreeingGates)),
    ("collapse", lambda model: Silent(shrunk(model), sparsity=0.8, scope="global")),
    ("geometry", of(Charging)),
    ("ticket", of(OtherTicket)),
    ("state", of(Forgetful)),
    ("determinism", of(Moving)),
]


def shrunk(model):
    """Return a model one of whose matrices is so small that a global cut takes all of it."""
    with torch.no_grad():
        next(model.parameters()).mul_(1e-6)
    return model


@pytest.mark.usefixtures("unshrunk")
@pytest.mark.parametrize(("clause", "make"), SPARSIFIER_FAULTS)
def test_a_clause_of_sparsifiers_catches_its_planted_fault(clause, make):
    report = check_sparsifier(make, cases=4)
    verdicts = {result.clause.name: result.verdict for result in report.results}
    assert verdicts[clause] == "failed", report
    with pytest.raises(BrokenSparsifier):
        verify_sparsifier(make, cases=2)


def test_every_clause_of_sparsifiers_has_a_planted_fault():
    assert {clause for clause, _ in SPARSIFIER_FAULTS} == set(SPARSIFIER_CLAUSES)


@pytest.mark.parametrize("levels", [2, 10, 10**6])
@pytest.mark.parametrize("shift", [-0.1, 0.0, 0.1, 0.5])
def test_the_rank_test_is_scipy_s(levels, shift):
    first, second = torch.randn(300), torch.randn(500) + shift
    first, second = ((levels * each.double()).round() / levels for each in (first, second))
    expected = scipy.stats.mannwhitneyu(first, second, alternative="less", method="asymptotic").pvalue
    assert chance_of_smaller(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_very_network_can_be_given():
    verify_sparsifier(of(Sparsifier), model=lambda: nn.GRU(3, 20), cases=1)
    with pytest.raises(BrokenSparsifier, match="not for any of the models"):
        verify_sparsifier(of(Sparsifier), model=lambda: nn.Embedding(3, 20), cases=1)


def test_global_generators_stay_where_they_are():
    before = torch.get_rng_state()
    verify_sparsifier(of(Sparsifier), cases=2)
    verify_masks(ring_mask, cases=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_name_is_shown_instead_of_an_address():
    assert repr(Named(ring_mask)) == "ring_mask"
    assert repr(Named(CubicSchedule(0, 5))) == "CubicSchedule(begin=0, end=5)"


@mask_checks(ring_mask, cases=5)
def test_masks_as_tests(check):
    check()


@schedule_checks(CubicSchedule(0, 1000))
def test_a_schedule_as_tests(check):
    check()


@sparsifier_checks(of(Sparsifier), cases=2)
def test_a_sparsifier_as_tests(check):
    check()
