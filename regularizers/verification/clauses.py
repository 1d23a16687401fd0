"""Is it a regularizer? The clauses that it must satisfy, each with its check."""

import contextlib
import json
from itertools import product

import torch
from torch import Tensor

from moduli.errors import ModuliError, RegistrationError
from moduli.manifolds import Manifold
from moduli.manifolds.verification.generators import watched_generators
from moduli.regularizers.errors import (
    BrokenRegularizer,
    ChangedInPlace,
    InvalidCoefficients,
    ShapeMismatch,
    UndefinedCoefficients,
)
from moduli.regularizers.parsing import make_regularizer
from moduli.regularizers.regularizer import Regularizer
from moduli.regularizers.verification.cases import Case, random_weight
from moduli.regularizers.verification.embeddings import reaches_far
from moduli.regularizers.verification.search import Search
from moduli.verification import Clauses, NotApplicable, Violation, what_was_raised

CLAUSES: Clauses[Search] = Clauses(
    "regularizer", BrokenRegularizer, ("A regularizer.", "Not a regularizer, as it stands.")
)
"""What a regularizer must do."""

# How far distances may be off, as a share of their mean; formulas may lose half of the digits.
ERROR = 1e-6
BOTH = (torch.float64, torch.float32)
# Elsewhere points that are moved or rounded may leave the part of the manifold where isometries are exact.
DISTINCT_FAMILIES = ("random", "near", "axis", "neighbours")


@CLAUSES.clause("form", "coefficients have a row for each target, and the points' dtype and device")
def check_form(search: Search) -> int:
    """Check shape, dtype and device, for no neuron, one and several, and between two populations."""
    tried = 0
    for manifold, dtype, (targets, sources) in product(
        search.manifolds, BOTH, ((0, None), (1, None), (2, None), (7, None), (5, 3), (1, 4), (0, 3))
    ):
        points = manifold.random_point(targets + (sources or 0), _generator(targets)).to(dtype)
        ends = (points[:targets], None if sources is None else points[targets:])
        weights: list[Tensor | None] = [None]
        if search.regularizer.depends_on_weight:
            if targets == 0 or sources is not None:
                continue
            gates = [random_weight(targets, dtype, seed) for seed in range(4)]
            weights = [gates[0], torch.cat(gates)]  # an RNN's, and an LSTM's
        for weight in weights:
            try:
                result = search.regularizer(manifold, *ends, weight)
            except (UndefinedCoefficients, InvalidCoefficients, ChangedInPlace):
                continue
            except ShapeMismatch as error:
                raise Violation(str(error)) from None
            expected = (targets, targets if sources is None else sources)
            form = (tuple(result.shape), result.dtype, result.device)
            if form != (expected, dtype, points.device):
                raise Violation(
                    f"The neurons need coefficients {expected} {dtype} on {points.device}, got "
                    f"{form[0]} {form[1]} on {form[2]}."
                )
            tried += 1
    return tried


@CLAUSES.clause("values", "coefficients are finite and not negative, wherever distances lie")
def check_values(search: Search) -> int:
    """Check distances that are zero, tiny, equal, huge, and on the cut locus."""

    def check(case: Case) -> None:
        try:
            coefficients = case.value(case.call())
        except UndefinedCoefficients:
            raise
        except InvalidCoefficients:
            raise case.violation("", [f"{case.call()}.min()"]) from None
        if not ((coefficients >= 0) & coefficients.isfinite()).all():
            raise case.violation("", [f"{case.call()}.min()", f"{case.call()}.max()"])

    try:
        tried = search.find(check, dtypes=BOTH, share=1.0)
    except NotApplicable:
        raise Violation("It could not be evaluated anywhere.") from None
    unbounded = [each for each in search.manifolds if reaches_far(each)]
    if unbounded:
        with contextlib.suppress(NotApplicable):  # few cases, and all of them undefined
            tried += search.find(check, manifolds=unbounded, families=("far",), dtypes=BOTH, share=1 / 3)
    return tried


@CLAUSES.clause("determinism", "equal neurons have equal coefficients, and no global generator moves")
def check_determinism(search: Search) -> int:
    """Check that nothing is drawn from a global generator, and nothing remembered."""

    def check(case: Case) -> None:
        with watched_generators() as moved:
            first = case.value(case.call())
            if moved():
                raise case.violation(f"{' and '.join(moved())} moved.", [f"{case.call()}.sum()"])
            torch.rand(1)
            second = case.value(case.call())
        if not torch.equal(first, second):
            raise case.violation("Two calls differ.", [f"({case.call()} - {case.call()}).abs().max()"])

    return search.find(check, share=1 / 3)


@CLAUSES.clause("points", "neither points nor weights are changed")
def check_points(search: Search) -> int:
    """Check that what a regularizer is given stays as it is."""

    def check(case: Case) -> None:
        formula = f"({case.call()}.sum(), points - before)[1].abs().max()"
        before = {"before = points.clone()": {"before": case.points.clone()}}
        weight = None if case.weight is None else case.weight.clone()
        try:
            case.value(case.call())
        except ChangedInPlace as error:
            if error.what != "distance":
                raise case.violation(str(error), [f"{case.call()}.sum()"]) from None
        if not torch.equal(case.points, before["before = points.clone()"]["before"]):
            raise case.violation("The points have changed.", [formula], before)
        if weight is not None and not torch.equal(weight, case.value("weight")):
            raise case.violation("The weight has changed.", [f"{case.call()}.sum()"])

    return search.find(check)


@CLAUSES.clause("distances", "distances, which all terms share, are not changed")
def check_distances(search: Search) -> int:
    """Check that a term harms no other one."""

    def check(case: Case) -> None:
        geometry = case.geometry()
        before = geometry.distance.clone()
        try:
            search.regularizer.evaluate(geometry)
        except ChangedInPlace as error:
            if error.what == "distance":
                raise case.violation(str(error), [f"{case.call()}.sum()"]) from None
        if not torch.equal(geometry.distance, before):
            weight = "" if case.weight is None else ", weight=weight"
            statement = f"geometry = Geometry(manifold, points{weight})"
            change = "geometry.distance - manifold.pairwise(points)"
            formula = f"(regularizer.evaluate(geometry), {change})[1].abs().max()"
            definitions = {statement: {"geometry": case.geometry()}}
            raise case.violation("The distances have changed.", [formula], definitions)

    return search.find(check)


@CLAUSES.clause("equivariance", "coefficients follow neurons that change places")
def check_equivariance(search: Search) -> int:
    """Check that permuting the neurons permutes rows and columns."""
    if not search.regularizer.is_equivariant:
        raise NotApplicable("It declares is_equivariant = False.")

    def check(case: Case) -> None:
        order = torch.randperm(len(case.points), generator=_generator(case.seed)).roll(1)
        definitions = {f"order = torch.tensor({order.tolist()})": {"order": order}}
        case.require_equal(
            case.call("regularizer", "points[order]", weight="weight[order][:, order]"),
            "C[order][:, order]",
            case.tolerance(ERROR),
            definitions,
        )

    return search.find(check)


@CLAUSES.clause("isometries", "an isometry of the manifold changes nothing")
def check_isometries(search: Search) -> int:
    """Check that coefficients depend on distances, and not on coordinates."""
    manifolds = [each for each in search.manifolds if each.random_isometry(_generator(0)) is not None]
    if not manifolds:
        raise NotApplicable(f"{search.manifolds[0]!r} declares no isometries.")

    def check(case: Case) -> None:
        move = case.manifold.random_isometry(_generator(case.seed))
        assert move is not None
        moved, distance = case.manifold.project(move(case.points)), case.geometry().distance
        error = (case.manifold.pairwise(moved) - distance).abs().max()
        if not error <= ERROR * case.geometry().mean(distance):
            return  # not an isometry there, as numbers go: the manifold's own clauses are about that
        call = f"manifold.random_isometry(torch.Generator().manual_seed({case.seed}))"
        case.require_equal(
            case.call("regularizer", "moved"),
            "C",
            case.tolerance(ERROR),
            {f"moved = manifold.project({call}(points))": {"moved": moved}},
        )

    return search.find(check, manifolds=manifolds, families=DISTINCT_FAMILIES)


@CLAUSES.clause("populations", "between two populations a coefficient is what it is within one")
def check_populations(search: Search) -> int:
    """Check that a rectangular call gives the corresponding part of a square one."""
    if not search.regularizer.is_local:
        raise NotApplicable("It declares is_local = False.")

    def check(case: Case) -> None:
        k = len(case.points) // 2
        case.require_equal(
            case.call("regularizer", f"points[:{k}]", f"points[{k}:]", weight=f"weight[:{k}, {k}:]"),
            f"C[:{k}, {k}:]",
            case.tolerance(ERROR)[:k, k:],
        )

    return search.find(check)


@CLAUSES.clause("scale", "lengths are the manifold's, and relative() makes its scale irrelevant")
def check_scale(search: Search) -> int:
    """Check that a manifold scaled and scaled back changes nothing, nor any scale a relative expression."""

    def check(case: Case) -> None:
        case.require_equal(
            case.call(manifold="Scaled(Scaled(manifold, 4.0), 0.25)"),
            "C",
            case.tolerance(ERROR),
        )
        case.require_equal(
            case.call("regularizer.relative()", manifold="Scaled(manifold, 3.0)"),
            case.call("regularizer.relative()"),
            case.tolerance(ERROR, search.regularizer.relative()),
        )

    return search.find(check)


@CLAUSES.clause("gradients", "gradients are finite, where points are learned")
def check_gradients(search: Search) -> int:
    """Check gradients with respect to the points, of coincident neurons as well."""
    manifolds = [each for each in search.manifolds if _is_differentiable(each)]
    if not manifolds:
        raise NotApplicable(f"Distances of {search.manifolds[0]!r} have no gradient.")

    def check(case: Case) -> None:
        distance = case.points.clone().requires_grad_()
        (of_distance,) = torch.autograd.grad(case.manifold.pairwise(distance).sum(), distance)
        if not of_distance.isfinite().all():
            return
        gradient = coefficient_gradient(search.regularizer, case.manifold, case.points, case.weight)
        if not gradient.isfinite().all():
            weight = "" if case.weight is None else ", weight"
            raise case.violation(
                "",
                [f"coefficient_gradient(regularizer, manifold, points{weight}).abs().sum()"],
                {
                    "from moduli.regularizers.testing import coefficient_gradient": {
                        "coefficient_gradient": coefficient_gradient
                    }
                },
            )

    return search.find(check, manifolds=manifolds, dtypes=BOTH)


@CLAUSES.clause("precision", "lower precision agrees with double to its own precision, or is refused")
def check_precision(search: Search) -> int:
    """Check float32, float16 and bfloat16 against float64, with as many neurons as overflow a half's sum."""
    tried, n = 0, 40
    for manifold in search.manifolds:
        drawn = f"manifold.random_point({n}, torch.Generator().manual_seed(0))"
        points = manifold.project(manifold.random_point(n, _generator(0)).double())
        case = Case(search.regularizer, manifold, points, 0, f"manifold.project({drawn}.double())")
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            low = case.call("regularizer", f"points.to({dtype})", weight=f"weight.to({dtype})")
            epsilon = torch.finfo(dtype).eps
            try:
                manifold.pairwise(points.to(dtype))
                tolerance = case.tolerance(8 * epsilon) + 16 * epsilon * case.coefficients.max()
            except (RuntimeError, ModuliError):  # not every manifold exists in half precision
                continue
            try:
                case.require_equal(low, "C", tolerance)
            except ModuliError:
                continue
            except Violation:
                raise
            except Exception as error:  # what is examined may fail in any way
                raise case.violation(what_was_raised(error), [f"{low}.sum()"]) from error
            tried += 1
    return tried


@CLAUSES.clause("rebuilding", "repr and spec rebuild it")
def check_rebuilding(search: Search) -> int:
    """Check that text and JSON make an equal regularizer."""
    try:
        spec = search.regularizer.spec
    except RegistrationError as error:
        raise NotApplicable(str(error)) from None
    text = repr(search.regularizer)
    for what, source in ((f"make_regularizer({text!r})", text), ("make_regularizer(spec)", _as_json(spec))):
        twin = make_regularizer(source)
        if twin != search.regularizer or hash(twin) != hash(search.regularizer):
            raise Violation(f"{what} gives {twin!r}, with the spec {twin.spec}, instead of {spec}.")
    return 2


@CLAUSES.clause("permuted", "permuted() deals out the same coefficients, and leaves self-connections alone")
def check_permuted(search: Search) -> int:
    """Check the control: the multiset of coefficients and the diagonal stay."""

    def check(case: Case) -> None:
        for permuted in ("regularizer.permuted(1)", "regularizer.permuted_in_pairs(1)"):
            for part in (".diagonal()", ".flatten().sort().values"):
                case.require_equal(case.call(permuted) + part, f"C{part}")

    return search.find(check)


@CLAUSES.clause("normalized", "normalized() has a mean coefficient of 1 and the same proportions")
def check_normalized(search: Search) -> int:
    """Check that normalizing divides by the mean."""

    def check(case: Case) -> None:
        normalized = f"{case.call('regularizer.normalized()')} * Geometry(manifold, points).mean(C)"
        case.require_equal(normalized, "C", 1e-9 * case.coefficients.max())

    return search.find(check)


@CLAUSES.clause("algebra", "sums, products, multiples and bounds act on each coefficient")
def check_algebra(search: Search) -> int:
    """Check operators and methods against the coefficients themselves."""

    def check(case: Case) -> None:
        middle = float(case.coefficients.max() / 2)
        size = max(1.0, middle**2, float(case.geometry().distance.max()) ** 2)
        for expression, expected in (
            ("(regularizer + regularizer)", "2 * C"),
            ("(Diffusion() + regularizer)", "manifold.pairwise(points) ** 2 + C"),
            ("(regularizer + 0.5)", "C + 0.5"),
            ("(regularizer * regularizer)", "C ** 2"),
            ("(3 * regularizer)", "3 * C"),
            (f"regularizer.clamped(0.0, {middle!r})", f"C.clamp(0.0, {middle!r})"),
            (f"regularizer.threshold({middle!r})", f"C * (C >= {middle!r})"),
            ("regularizer.with_diagonal(0)", "C - C.diagonal().diag()"),
        ):
            case.require_equal(case.call(expression), expected, 1e-8 * size)

    return search.find(check, share=1 / 3)


def coefficient_gradient(
    regularizer: Regularizer, manifold: Manifold, points: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Return the gradient of the sum of all coefficients with respect to the points.

    Parameters
    ----------
    regularizer : Regularizer
        What gives the coefficients.
    manifold : Manifold
        The space.
    points : Tensor
        The neurons, of shape ``(n, *point_shape)``.
    weight : Tensor, optional
        For terms that depend on it.

    Returns
    -------
    Tensor
        Shape and dtype of the points; zero if the coefficients do not depend on them.
    """
    points = points.detach().clone().requires_grad_()
    with torch.enable_grad():
        total = regularizer(manifold, points, weight=weight).sum()
    if not total.requires_grad:
        return torch.zeros_like(points)
    (gradient,) = torch.autograd.grad(total, points, allow_unused=True, materialize_grads=True)
    return gradient


def _is_differentiable(manifold: Manifold) -> bool:
    points = manifold.random_point(2, _generator(0)).requires_grad_()
    return manifold.pairwise(points).requires_grad


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _as_json(spec: dict[str, object]) -> dict[str, object]:
    plain: dict[str, object] = json.loads(json.dumps(spec))
    return plain
