"""Differences between methods over seeds, tested: corrected for their number, for equivalence as well."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from scipy.stats import rankdata, wilcoxon

from moduli.requirements import require_package
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.configuration.settings import TestFamily
from moduli.tasks.experiments.runs.stages import Stage

ROUNDING = 1e-12
"""Differences that vary by less, relative to the scores, vary by rounding alone."""

LEVEL = 0.05
"""Corrected p values below it count."""

SMALLEST_EFFECT = 1e-3
"""Effects below it would need millions of seeds."""

LARGEST_EFFECT = 3.0
"""Larger effects count as this one, which needs four seeds: statsmodels finds no number for 8 and more."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The difference of one method from the control, over seeds.

    Parameters
    ----------
    method : str
        The method.
    sparsity : float
        Its sparsity.
    stage : {"trained", "ticket"}
        Whose scores.
    pairs : int
        Seeds in which neither network is void.
    void : int
        Seeds that are left out, since a network of the pair learned nothing.
    difference : float or None
        Mean of the method's score less the control's. With fewer than two pairs it is None, as is all that
        rests on it.
    half_width : float or None
        Half of the 95% interval of Student's t, not corrected.
    effect : float or None
        Cohen's d of paired differences: their mean over their standard deviation (Cohen, "Statistical Power
        Analysis for the Behavioral Sciences", 1988); None where they do not vary.
    p : float or None
        Of a paired t test, two-sided. Where the differences do not vary it is the limit of the test: 1 where
        there is no difference, or else 0.
    corrected_p : float or None
        The same, corrected by Holm's method ("A simple sequentially rejective multiple test procedure",
        1979) for all tests of the family.
    equivalence_p : float or None
        Of two one-sided paired t tests, the larger p, that the difference is beyond the margin (Schuirmann,
        1987); None without a margin.
    corrected_equivalence_p : float or None
        The same, corrected together with the others.
    rank_p : float or None
        Of Wilcoxon's signed-rank test over all seeds, in which a void network is worse than any other, and
        two void ones are alike; None where no seed is void.
    rank_sum : float or None
        What that test rests on: the ranks of differences above 0 less those below. Not in files of earlier
        versions.
    seeds_needed : int or None
        How many seeds find a difference of this effect with probability 0.8 at a level of 0.05; None where
        the effect is zero or nearly so. It rests on an estimated effect, and is as uncertain as that.
    """

    method: str
    sparsity: float
    stage: Stage
    pairs: int
    void: int
    difference: float | None
    half_width: float | None
    effect: float | None
    p: float | None
    equivalence_p: float | None
    rank_p: float | None
    seeds_needed: int | None
    corrected_p: float | None = None
    corrected_equivalence_p: float | None = None
    rank_sum: float | None = None

    @property
    def verdict(self) -> str:
        """What the corrected tests say at a level of 0.05.

        Where seeds are left out, the others alone settle nothing: a difference counts if the ranks of all
        seeds say the same, and methods are not equivalent.
        """
        if self.difference is None:
            return "no test: too few seeds learned"
        differs = self.corrected_p is not None and self.corrected_p < LEVEL
        within = self.corrected_equivalence_p is not None and self.corrected_equivalence_p < LEVEL
        if self.void:
            within = False
            agree = self.rank_sum is None or self.rank_sum * self.difference > 0
            differs = differs and agree and self.rank_p is not None and self.rank_p < LEVEL
        if differs:
            return ("better" if self.difference < 0 else "worse") + (", within the margin" if within else "")
        return "equivalent" if within else "not settled"


def contrast(
    method: str,
    sparsity: float,
    stage: Stage,
    scores: Sequence[float],
    control: Sequence[float],
    void: Sequence[bool],
    control_void: Sequence[bool],
    margin: float | None = None,
) -> Contrast | None:
    """Compare a method's scores with the control's, seed by seed.

    Parameters
    ----------
    method, sparsity, stage
        What is compared.
    scores, control : sequence of float
        A score for each seed.
    void, control_void : sequence of bool
        Whether the method's network, and the control's, learned nothing; one whose score is not finite is
        void in any case.
    margin : float, optional
        Differences smaller than it do not matter; no test of equivalence without one.

    Returns
    -------
    Contrast or None
        Not corrected yet; None for a single seed.

    Raises
    ------
    MissingDependency
        If statsmodels is not installed.

    Examples
    --------
    >>> learned = [False] * 3
    >>> found = contrast("a", 0.9, "trained", [1.0, 2.0, 3.0], [2.0, 2.5, 4.0], learned, learned, margin=2.0)
    >>> round(found.difference, 2), round(found.p, 3), round(found.equivalence_p, 3), found.seeds_needed
    (-0.83, 0.038, 0.01, 4)
    """
    if len(scores) < 2:
        return None
    own_void, other_void = (
        [empty or not math.isfinite(value) for value, empty in zip(values, flags, strict=True)]
        for values, flags in ((scores, void), (control, control_void))
    )
    either = [one or two for one, two in zip(own_void, other_void, strict=True)]
    kept = [(own, other) for own, other, empty in zip(scores, control, either, strict=True) if not empty]
    differences = [own - other for own, other in kept]
    found = Contrast(
        method=method,
        sparsity=sparsity,
        stage=stage,
        pairs=len(differences),
        void=sum(either),
        difference=None,
        half_width=None,
        effect=None,
        p=None,
        equivalence_p=None,
        rank_p=None,
        seeds_needed=None,
    )
    if any(either):
        rank_p, rank_sum = _ranks(differences, own_void, other_void)
        found = dataclasses.replace(found, rank_p=rank_p, rank_sum=rank_sum)
    if len(differences) < 2:
        return found
    estimate = Estimate.of(differences)
    spread, rounding = stdev(differences), ROUNDING * max(abs(score) for pair in kept for score in pair)
    if spread <= rounding:
        alike = None if margin is None else float(abs(estimate.mean) >= margin)
        tests: dict[str, Any] = {"p": float(abs(estimate.mean) <= rounding), "equivalence_p": alike}
    else:
        effect = estimate.mean / spread
        tests = {
            "effect": effect,
            "p": _paired_p(differences),
            "equivalence_p": None if margin is None else _equivalence_p(differences, margin),
            "seeds_needed": _seeds_needed(effect),
        }
    return dataclasses.replace(found, difference=estimate.mean, half_width=estimate.half_width, **tests)


def corrected(contrasts: Sequence[Contrast], family: TestFamily = "table") -> list[Contrast]:
    """Return contrasts with p values corrected by Holm's method, differences and equivalences together.

    Parameters
    ----------
    contrasts : sequence of Contrast
        All of a table.
    family : {"table", "stage"}
        Which are corrected together.

    Raises
    ------
    MissingDependency
        If statsmodels is not installed.

    Examples
    --------
    >>> pair = ([1.0, 2.0, 3.5], [2.0, 2.5, 4.0])
    >>> learned = [False] * 3
    >>> found = [contrast(name, 0.9, "trained", *pair, learned, learned) for name in ("a", "b")]
    >>> round(corrected(found)[0].corrected_p / found[0].p, 6)
    2.0
    """
    result = list(contrasts)
    names = {"p": "corrected_p", "equivalence_p": "corrected_equivalence_p"}
    for stage in sorted({each.stage for each in contrasts}) if family == "stage" else [None]:
        tests = [
            (index, raw)
            for index, each in enumerate(contrasts)
            for raw in names
            if stage in (None, each.stage) and getattr(each, raw) is not None
        ]
        if not tests:
            continue
        values = [getattr(contrasts[index], raw) for index, raw in tests]
        _, adjusted, *_ = _statsmodels("multitest").multipletests(values, method="holm")
        for (index, raw), value in zip(tests, adjusted, strict=True):
            changes: dict[str, Any] = {names[raw]: float(value)}
            result[index] = dataclasses.replace(result[index], **changes)
    return result


def _statsmodels(module: str) -> Any:
    return require_package(f"statsmodels.stats.{module}", "Tests over seeds", "tasks")


def _paired_p(differences: Sequence[float]) -> float:
    _, p, _ = _statsmodels("weightstats").DescrStatsW(differences).ttest_mean(0)
    return float(p)


def _equivalence_p(differences: Sequence[float], margin: float) -> float:
    return float(_statsmodels("weightstats").DescrStatsW(differences).ttost_mean(-margin, margin)[0])


def _ranks(
    differences: Sequence[float], void: Sequence[bool], control_void: Sequence[bool]
) -> tuple[float | None, float]:
    """Return Wilcoxon's p and sum; a void network is worse than any other, and two void ones are alike."""
    largest = 1 + max(map(abs, differences), default=0.0)
    signed = [largest * (one - two) for one, two in zip(void, control_void, strict=True) if one != two]
    changed = [*filter(None, differences), *signed]
    if not changed:
        return None, 0.0
    ranks = rankdata([abs(each) for each in changed])
    total = sum(math.copysign(rank, each) for rank, each in zip(ranks, changed, strict=True))
    return float(wilcoxon([*differences, *signed]).pvalue), total


def _seeds_needed(effect: float) -> int | None:
    size = min(abs(effect), LARGEST_EFFECT)
    if size < SMALLEST_EFFECT:
        return None
    power = _statsmodels("power").TTestPower()
    return math.ceil(float(power.solve_power(effect_size=size, alpha=LEVEL, power=0.8)))
