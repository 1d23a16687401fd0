"""Train the networks of docs/preregistration.md, and test its hypotheses.

    python benchmarks/which_property.py train --part primary --stage trained
    python benchmarks/which_property.py test --part primary --stage trained
    python benchmarks/which_property.py repeat --part primary

``train`` continues where it stopped and prints no score. ``test`` reads what is finished, writes a table of
networks, the tests and figures to ``results/which-property``, and prints its tables; it refuses to test
anything before all networks of its parts are trained. ``repeat`` trains three networks, drawn at random from
its parts, once more from nothing, and says whether their weights are the same to the bit. Errors of the first
networks stand beside it twice: as stored, and as this version scores the stored weights.
"""

import argparse
import dataclasses
import math
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy
import statsmodels.api as sm
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr, ttest_1samp
from torch import Tensor

from moduli.models import graph_statistics, spectral_radius
from moduli.tasks import preset
from moduli.tasks.experiments.comparisons.contrasts import Contrast, contrast, corrected
from moduli.tasks.experiments.comparisons.estimates import Estimate
from moduli.tasks.experiments.comparisons.summary import void_runs
from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.preparation import fresh_model, fresh_network
from moduli.tasks.experiments.protocol import carry_out
from moduli.tasks.experiments.runs.files import write_csv, write_json
from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.experiments.runs.records import provenance
from moduli.tasks.experiments.runs.run import Run
from moduli.tasks.experiments.runs.stages import Stage
from moduli.tasks.experiments.verification import Verification
from moduli.tasks.task import make_task

MARGIN = 0.3
FIRST_SEED = 200
TORUS, REWIRED, CLIQUES = "torus-diffusion@a-priori", "rewired-torus-diffusion@a-priori", "cliques@a-priori"
SWEEP = {p: f"small-world(rewiring={p})@a-priori" for p in (0.0, 0.03, 0.1, 0.3, 1.0)}
SINGLE = (
    "two-coloured-torus-diffusion@a-priori",
    "one-way-torus-diffusion@a-priori",
    "ring@a-priori",
    "communities(communities=2)@a-priori",
    "communities(communities=5)@a-priori",
    "communities(communities=10)@a-priori",
    "twins(twins=5)@a-priori",
)
PRACTICE = ("narrow", "dense", "random@a-priori")
PARTS: dict[str, tuple[tuple[str, ...], int]] = {
    "primary": ((TORUS, REWIRED, CLIQUES), 20),
    "sweep": (tuple(SWEEP.values()), 10),
    "single": (SINGLE, 10),
    "practice": (PRACTICE, 10),
}
"""The methods of each part of the plan, and its number of seeds."""

WORLD = preset("navigation", "small")
WORLD = replace(
    WORLD,
    task=replace(WORLD.task, initialization="uniform"),
    training=replace(WORLD.training, batch=40),
)
OUTCOMES = {"50 steps": "score", "100 steps": "long"}
STATISTICS = {
    "transitivity": "transitivity",
    "reach": "neurons reached in two steps",
    "gap": "spectral gap of the walk",
    "closed": "closed walks of four steps / 10⁶",
    "radius": "spectral radius at the start",
}


@dataclass(frozen=True)
class Network:
    """What is known of one trained network: who it is, its errors in centimetres, and its mask."""

    method: str
    seed: int
    stage: Stage
    score: float
    long: float
    floor: float
    still: float
    seconds: float
    commit: str
    transitivity: float | None = None
    reach: float | None = None
    gap: float | None = None
    closed: float | None = None
    radius: float | None = None


def run_of(method: str, seed: int, sparsity: float, out: Path) -> Run:
    """Return the run of a method and a seed in the experiment's world."""
    return Run(replace(WORLD, pruning=replace(WORLD.pruning, sparsity=sparsity)), method, seed, out)


def runs_of(parts: Sequence[str], sparsity: float, out: Path) -> list[Run]:
    """Return the runs of the parts, seed by seed."""
    return [
        run_of(method, FIRST_SEED + seed, sparsity, out)
        for part in parts
        for seed in range(PARTS[part][1])
        for method in PARTS[part][0]
    ]


def train(runs: Sequence[Run], stage: Stage) -> None:
    """Train what is not trained yet, on one thread; verify each method first."""
    verification, verified = Verification(), set()
    stages: tuple[Stage, ...] = ("trained",) if stage == "trained" else ("trained", "ticket")
    for run in runs:
        if (run.stage(stage) / "results.json").exists():
            continue
        if run.label not in verified:
            verification.verify(run)
            verified.add(run.label)
        started = time.monotonic()
        carry_out(run, Execution(threads=1), stages)
        print(f"seed {run.seed} {run.label} {stage}: {time.monotonic() - started:.0f} s", flush=True)


def network_of(run: Run, stage: Stage) -> Network | None:
    """Return what is known of a network, or None if it is not trained yet."""
    result = run.open(stage).result()
    if result is None:
        return None
    found = Network(
        method=run.method_name,
        seed=run.seed,
        stage=stage,
        score=result.score,
        long=result.measurements["long walks"]["error"],
        floor=result.references["floor: decoding the true activity"],
        still=result.references["standing still at the start"],
        seconds=result.seconds,
        commit=result.commit or "",
    )
    if not run.method.a_priori:
        return found
    (mask,) = StoredNetwork(run.stage("trained")).masks.values()
    statistics, both = graph_statistics(mask), mask.double()
    model, sparsifier = fresh_network(run, make_task(run.settings, run.seed))
    assert sparsifier is not None
    ((name, first),) = sparsifier.masks.items()
    with torch.no_grad():
        weight = model.get_parameter(name) * first
    return replace(
        found,
        transitivity=statistics.transitivity,
        reach=statistics.two_step_reach,
        gap=statistics.spectral_gap,
        closed=float((both @ both.T).square().sum()) / 1e6,
        radius=spectral_radius(weight),
    )


def compared(
    networks: Sequence[Network], method: str, control: str, outcome: str, margin: float | None
) -> Contrast:
    """Return the contrast of two methods in an outcome, over the seeds that both have."""
    own, other = ({each.seed: each for each in networks if each.method == name} for name in (method, control))
    seeds = sorted(own.keys() & other.keys())
    field = OUTCOMES[outcome]
    still = [own[seed].still for seed in seeds]
    void, control_void = (void_runs([each[seed].score for seed in seeds], still) for each in (own, other))
    found = contrast(
        f"{method} − {control}, {outcome}",
        0.0,
        own[seeds[0]].stage,
        [getattr(own[seed], field) for seed in seeds],
        [getattr(other[seed], field) for seed in seeds],
        void,
        control_void,
        margin,
    )
    assert found is not None
    return found


def primary(networks: Sequence[Network]) -> list[tuple[str, Contrast, bool]]:
    """Return the four hypotheses: what each says, its contrast, and whether it is confirmed."""
    difference = {outcome: compared(networks, TORUS, REWIRED, outcome, None) for outcome in OUTCOMES}
    alike = compared(networks, CLIQUES, TORUS, "50 steps", MARGIN)
    tests = corrected([
        difference["50 steps"],
        difference["100 steps"],
        replace(alike, p=None),  # H3 asks for equivalence alone: one test, not two
        compared(networks, CLIQUES, TORUS, "100 steps", None),
    ])  # fmt: skip
    first, second, third, fourth = tests
    return [
        ("H1: torus better than rewired, 50 steps", first, first.verdict == "better"),
        ("H2: torus better than rewired, 100 steps", second, second.verdict == "better"),
        (
            f"H3: cliques equivalent to torus within {MARGIN} cm, 50 steps",
            third,
            third.verdict == "equivalent",
        ),
        ("H4: cliques worse than torus, 100 steps", fourth, fourth.verdict == "worse"),
    ]


def sweep(networks: Sequence[Network]) -> dict[str, Any]:
    """Return Spearman's correlation of rewiring and error, over seeds."""
    found = {}
    for outcome, field in OUTCOMES.items():
        correlations = []
        for seed in sorted({each.seed for each in networks if each.method in SWEEP.values()}):
            of_seed = {each.method: getattr(each, field) for each in networks if each.seed == seed}
            correlations.append(
                float(spearmanr(list(SWEEP), [of_seed[name] for name in SWEEP.values()]).statistic)
            )
        estimate = Estimate.of(correlations)
        found[outcome] = {
            "mean": estimate.mean,
            "half_width": estimate.half_width,
            "p": float(ttest_1samp(correlations, 0).pvalue),
        }
    return found


def dose_response(networks: Sequence[Network], draws: int = 2000) -> dict[str, dict[str, float]]:
    """Return for each statistic of masks how much of the error, less each seed's mean, it explains."""
    kept = [each for each in networks if each.closed is not None and each.score < each.still]
    seeds, methods = ([getattr(each, name) for each in kept] for name in ("seed", "method"))
    of_seed = {seed: mean(each.score for each in kept if each.seed == seed) for seed in set(seeds)}
    error = numpy.array([each.score - of_seed[each.seed] for each in kept])
    names, place = numpy.unique(methods, return_inverse=True)
    generator = numpy.random.default_rng(0)
    found = {}
    for statistic in STATISTICS:
        values = numpy.array([getattr(each, statistic) for each in kept])
        values = (values - values.mean()) / values.std()
        fit = sm.OLS(error, sm.add_constant(values)).fit(cov_type="cluster", cov_kwds={"groups": place})
        shares = []
        for _ in range(draws):
            drawn = generator.integers(len(names), size=len(names))
            chosen = numpy.concatenate([numpy.flatnonzero(place == each) for each in drawn])
            shares.append(
                numpy.corrcoef(values[chosen], error[chosen])[0, 1] ** 2 if len(set(drawn)) > 1 else 0.0
            )
        low, high = numpy.quantile(shares, [0.025, 0.975])
        found[statistic] = {
            "slope": float(fit.params[1]),
            "standard error": float(fit.bse[1]),
            "p": float(fit.pvalues[1]),
            "explained": float(fit.rsquared),
            "low": float(low),
            "high": float(high),
        }
    return found


def test(parts: Sequence[str], stage: Stage, sparsity: float, out: Path, folder: Path) -> None:
    """Test what the parts ask, where all of their networks are trained; write and print it."""
    networks: list[Network] = []
    for part in parts:
        runs = runs_of([part], sparsity, out)
        found = [network_of(run, stage) for run in runs]
        missing = sum(each is None for each in found)
        if missing:
            raise SystemExit(f"{missing} of the {len(runs)} networks of the part {part} are not trained yet.")
        networks += [each for each in found if each is not None]
    folder.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"sparsity": sparsity, "stage": stage, "margin": MARGIN, "parts": list(parts)}
    report["errors"] = errors(networks)
    if "primary" in parts:
        report["primary"] = hypotheses(primary(networks))
    if "sweep" in parts:
        report["sweep"] = sweep(networks)
    others = [name for part in ("single", "practice") if part in parts for name in PARTS[part][0]]
    if others and "primary" in parts:
        report["contrasts"] = contrasts(networks, others)
    if {"primary", "sweep", "single"} <= set(parts):
        report["dose and response"] = explained(dose_response(networks))
        draw_dose(networks).savefig(folder / f"dose-{stage}.png", dpi=150)
    name = f"{stage}-{100 * sparsity:.4g}"
    write_csv(folder / f"networks-{name}.csv", [dataclasses.asdict(each) for each in networks])
    write_json(folder / f"tests-{name}.json", report | provenance_of())
    draw_errors(networks).savefig(folder / f"errors-{name}.png", dpi=150)


def repeat(parts: Sequence[str], sparsity: float, out: Path, folder: Path) -> None:
    """Train three networks of the parts again in a folder of their own, and compare their weights."""
    names = [(name, seed) for part in parts for name in PARTS[part][0] for seed in range(PARTS[part][1])]
    rows = []
    with tempfile.TemporaryDirectory() as again:
        for name, seed in random.Random(0).sample(names, 3):
            first, second = (run_of(name, FIRST_SEED + seed, sparsity, each) for each in (out, Path(again)))
            carry_out(second, Execution(threads=1), ("trained",))
            before, after = network_of(first, "trained"), network_of(second, "trained")
            assert before is not None
            assert after is not None
            weights, others = (StoredNetwork(run.stage("trained")).weights for run in (first, second))
            equal = weights.keys() == others.keys() and all(
                torch.equal(weight, others[key]) for key, weight in weights.items()
            )
            scored = rescored(first, weights)
            print(
                f"{name} seed {before.seed}: weights equal: {equal}; error {before.score} as stored, "
                f"{scored} of the stored weights, {after.score} again",
                flush=True,
            )
            both = {"first": dataclasses.asdict(before), "again": dataclasses.asdict(after)}
            rows.append(both | {"weights equal": equal, "first, scored by this version": scored})
    write_json(folder / "repeated.json", {"networks": rows} | provenance_of())


def rescored(run: Run, weights: dict[str, Tensor]) -> float:
    """Return the error of stored weights by this version."""
    task = make_task(run.settings, run.seed)
    model = fresh_model(task)
    model.load_state_dict(weights)
    model.eval()
    with torch.no_grad():
        return float(task.score(model))


def errors(networks: Sequence[Network]) -> list[dict[str, Any]]:
    """Print and return each method's mean errors with their intervals, and how many runs are void."""
    print("| mask | seeds | 50 steps | of the way from the floor to standing still | 100 steps | void |")
    print("|---|---:|---:|---:|---:|---:|")
    rows = []
    for method in dict.fromkeys(each.method for each in networks):
        own = [each for each in networks if each.method == method]
        short, long = (Estimate.of([getattr(each, field) for each in own]) for field in OUTCOMES.values())
        share = mean((each.score - each.floor) / (each.still - each.floor) for each in own)
        void = sum(not each.score < each.still for each in own)
        print(f"| {method} | {len(own)} | {short.text(2)} | {share:.1%} | {long.text(2)} | {void} |")
        rows.append({
            "method": method, "seeds": len(own), "50 steps": dataclasses.asdict(short),
            "100 steps": dataclasses.asdict(long), "share": share, "void": void,
        })  # fmt: skip
    return rows


def hypotheses(found: Sequence[tuple[str, Contrast, bool]]) -> list[dict[str, Any]]:
    """Print and return the verdicts on hypotheses."""
    print("\n| hypothesis | difference (cm) | d | p | corrected | verdict |\n|---|---:|---:|---:|---:|---|")
    rows = []
    for text, each, holds in found:
        p, fixed = (
            (each.equivalence_p, each.corrected_equivalence_p)
            if each.p is None
            else (each.p, each.corrected_p)
        )
        verdict = "confirmed" if holds else "not confirmed"
        difference = Estimate(each.difference, each.half_width).text(2, sign=True)
        print(
            f"| {text} | {difference} | {each.effect or math.nan:+.2f} | {p:.2g} | {fixed:.2g} | {verdict} |"
        )
        rows.append({"hypothesis": text, "confirmed": holds} | dataclasses.asdict(each))
    return rows


def contrasts(networks: Sequence[Network], others: Sequence[str]) -> list[dict[str, Any]]:
    """Print and return how other masks differ from the torus and from the torus rewired, as one family."""
    pairs = [
        compared(networks, name, control, outcome, MARGIN if outcome == "50 steps" else None)
        for name in others
        for control in (TORUS, REWIRED)
        for outcome in OUTCOMES
    ]
    print("\n| contrast | difference (cm) | d | corrected p | equivalent, corrected p | verdict |")
    print("|---|---:|---:|---:|---:|---|")
    rows = []
    for each in corrected(pairs):
        difference = Estimate(each.difference, each.half_width).text(2, sign=True)
        alike = "" if each.corrected_equivalence_p is None else f"{each.corrected_equivalence_p:.2g}"
        numbers = f"{difference} | {each.effect or math.nan:+.2f} | {each.corrected_p:.2g}"
        print(f"| {each.method} | {numbers} | {alike} | {each.verdict} |")
        rows.append(dataclasses.asdict(each) | {"verdict": each.verdict})
    return rows


def tested(pairs: Sequence[Contrast]) -> list[dict[str, Any]]:
    """Print and return contrasts, corrected as one family; void runs may leave nothing to test."""
    print("\n| contrast | difference (cm) | d | p | corrected | verdict |\n|---|---:|---:|---:|---:|---|")
    rows = []
    for each in corrected(pairs):
        known = each.difference is not None
        numbers = [
            Estimate(each.difference, each.half_width).text(2, sign=True) if known else "",
            *("" if value is None else f"{value:.2g}" for value in (each.effect, each.p, each.corrected_p)),
        ]
        print(f"| {each.method} | {' | '.join(numbers)} | {each.verdict} |")
        rows.append(dataclasses.asdict(each) | {"verdict": each.verdict})
    return rows


def explained(found: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Print and return how much each statistic explains, most first."""
    print("\n| statistic | cm for a standard deviation | explained | 95% interval | p |")
    print("|---|---:|---:|---:|---:|")
    for name, each in sorted(found.items(), key=lambda item: -item[1]["explained"]):
        slope = f"{each['slope']:+.2f} ± {each['standard error']:.2f}"
        interval = f"{each['low']:.0%} to {each['high']:.0%}"
        print(f"| {STATISTICS[name]} | {slope} | {each['explained']:.0%} | {interval} | {each['p']:.2g} |")
    return found


def draw_errors(networks: Sequence[Network]) -> Figure:
    """Draw every seed's errors, its masks connected by a line, and the means with their intervals."""
    methods = list(dict.fromkeys(each.method for each in networks))
    figure = Figure(figsize=(4.2 + 0.9 * len(methods), 4), layout="constrained")
    for axes, (outcome, field) in zip(figure.subplots(1, 2), OUTCOMES.items(), strict=True):
        for seed in sorted({each.seed for each in networks}):
            of_seed = {each.method: getattr(each, field) for each in networks if each.seed == seed}
            places = [place for place, name in enumerate(methods) if name in of_seed]
            values = [of_seed[methods[place]] for place in places]
            axes.plot(
                places,
                values,
                "o-",
                color="C0",
                alpha=0.25,
                markersize=3,
            )
        for place, name in enumerate(methods):
            found = Estimate.of([getattr(each, field) for each in networks if each.method == name])
            axes.errorbar(
                place, found.mean, found.half_width, fmt="_", color="black", capsize=4, markersize=16
            )
        axes.set_xticks(
            range(len(methods)), [short(name) for name in methods], rotation=20, ha="right", fontsize=8
        )
        axes.set_ylabel("error (cm)", fontsize=8)
        axes.set_title(f"walks of {outcome}", fontsize=9)
        axes.tick_params(axis="y", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_dose(networks: Sequence[Network]) -> Figure:
    """Draw each mask's mean error, less the seeds' means, against each statistic; masks have numbers."""
    kept = [each for each in networks if each.closed is not None and each.score < each.still]
    of_seed = {each.seed: mean(other.score for other in kept if other.seed == each.seed) for each in kept}
    excess = {
        method: Estimate.of([each.score - of_seed[each.seed] for each in kept if each.method == method])
        for method in {each.method for each in kept}
    }
    methods = sorted(excess, key=lambda method: excess[method].mean)
    figure = Figure(figsize=(8.4, 5.6), layout="constrained")
    panels = figure.subplots(2, 3, sharey=True).flatten()
    for axes, (field, name) in zip(panels, STATISTICS.items(), strict=False):
        for number, method in enumerate(methods, 1):
            place = mean(getattr(each, field) for each in kept if each.method == method)
            found = excess[method]
            axes.errorbar(place, found.mean, found.half_width, color="C0", alpha=0.35, capsize=2)
            disc = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "C0", "linewidth": 0.7}
            axes.annotate(str(number), (place, found.mean), ha="center", va="center", fontsize=6.5, bbox=disc)
        axes.set_xlabel(name, fontsize=8)
        axes.tick_params(labelsize=8)
        axes.margins(x=0.08)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in panels[::3]:
        axes.set_ylabel("error, less the seed's mean (cm)", fontsize=8)
    for axes in panels[len(STATISTICS) :]:
        axes.axis("off")
        names = "\n".join(f"{number:2}  {short(method)}" for number, method in enumerate(methods, 1))
        axes.text(0, 1, names, va="top", fontsize=7.5, family="monospace", transform=axes.transAxes)
    return figure


def short(method: str) -> str:
    """Return how figures call a mask."""
    return method.replace("@a-priori", "").replace("-diffusion", "")


def provenance_of() -> dict[str, Any]:
    """Return where and with what the tests were computed, as plain values."""
    values = provenance()
    return values | {"machine": dataclasses.asdict(values["machine"])}


def main() -> None:
    """Train, test, or train some again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("train", "test", "repeat"))
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=["primary"])
    parser.add_argument("--stage", choices=("trained", "ticket"), default="trained")
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--out", type=Path, default=Path("runs/networks"))
    parser.add_argument("--results", type=Path, default=Path("results/which-property"))
    chosen = parser.parse_args()
    if chosen.what == "train":
        train(runs_of(chosen.part, chosen.sparsity, chosen.out), chosen.stage)
    elif chosen.what == "repeat":
        repeat(chosen.part, chosen.sparsity, chosen.out, chosen.results)
    else:
        test(chosen.part, chosen.stage, chosen.sparsity, chosen.out, chosen.results)


if __name__ == "__main__":
    main()
