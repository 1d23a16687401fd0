"""Clauses R1-R6: coefficients, their algebra, and the controls."""

import contextlib
import copy
import json
import math
import operator
import pickle
from dataclasses import FrozenInstanceError, dataclass, fields

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import (
    Euclidean,
    InvalidParameter,
    InvalidPoints,
    RegistrationError,
    Sphere,
    Torus,
    UnknownParameter,
)
from moduli.regularizers import (
    Communicability,
    DifferenceOfGaussians,
    Diffusion,
    Gaussian,
    Inhibitor,
    InvalidCoefficients,
    InvalidExpression,
    MissingWeight,
    Regularizer,
    Ripple,
    ShapeMismatch,
    Uniform,
    make_regularizer,
    register_regularizer,
    registered_regularizers,
)
from tests.conftest import SPACES, seeded

INHIBITORS = [Uniform, Diffusion, Gaussian, Ripple, DifferenceOfGaussians]

manifolds = st.sampled_from(SPACES)
seeds = st.integers(0, 1000)
positive = st.floats(0.1, 9)
inhibitors = st.one_of(
    st.builds(Uniform),
    st.builds(Diffusion, st.floats(0.1, 10)),
    st.builds(Gaussian, st.floats(0.5, 10), st.floats(0.5, 100)),
    st.builds(Ripple, st.floats(0.1, 5), st.floats(0.5, 100)),
    st.builds(DifferenceOfGaussians, st.floats(0.1, 1), st.floats(1.5, 5), st.floats(0.5, 100)),
)


def compositions(children: st.SearchStrategy[Regularizer]) -> st.SearchStrategy[Regularizer]:
    return st.one_of(
        st.builds(lambda a, b: a + b, children, children),
        st.builds(lambda a, b: a * b, children, children),
        st.builds(lambda factor, a: factor * a, st.floats(0, 10), children),
        st.builds(lambda a, low, width: a.clamped(low, low + width), children, positive, positive),
        st.builds(lambda a, value: a.threshold(value), children, positive),
    )


def wrapped(children: st.SearchStrategy[Regularizer]) -> st.SearchStrategy[Regularizer]:
    return st.one_of(
        compositions(children),
        st.builds(lambda a: a.relative(), children),
        st.builds(lambda a: a.clamped(low=0.1).normalized(), children),
        st.builds(lambda a, share: a.with_diagonal(share), children, st.floats(0, 2)),
    )


regularizers = st.recursive(inhibitors, compositions, max_leaves=4)
# These need two neurons, and know nothing of the neurons' order.
geometric = st.recursive(inhibitors, wrapped, max_leaves=4)


def points(manifold, n, seed=0):
    return manifold.project(manifold.random_point(n, seeded(seed)).double())


ISOMETRIC = [space for space in SPACES if space.random_isometry(seeded()) is not None]


@given(manifolds, regularizers, st.integers(0, 20), st.sampled_from([torch.float32, torch.float64]))
def test_coefficients_are_finite_non_negative_and_keep_the_dtype(manifold, regularizer, n, dtype):
    embedding = manifold.random_point(n, seeded()).to(dtype)
    coefficients = regularizer(manifold, embedding)
    assert coefficients.shape == (n, n)
    assert coefficients.dtype == dtype
    assert coefficients.isfinite().all()
    assert (coefficients >= 0).all()


def check_equivariance(manifold, regularizer, n, seed):
    embedding = points(manifold, n)
    order = torch.randperm(n, generator=seeded(seed))
    expected = regularizer(manifold, embedding)[order][:, order]
    assert torch.allclose(regularizer(manifold, embedding[order]), expected, rtol=1e-9, atol=1e-9)


def check_isometry(manifold, regularizer, n, seed):
    embedding = points(manifold, n)
    moved = manifold.project(manifold.random_isometry(seeded(seed))(embedding))
    before, after = regularizer(manifold, embedding), regularizer(manifold, moved)
    assert torch.allclose(after, before, rtol=1e-6, atol=1e-6)


@given(manifolds, geometric, st.integers(2, 20), seeds)
def test_permuting_neurons_permutes_rows_and_columns(manifold, regularizer, n, seed):
    check_equivariance(manifold, regularizer, n, seed)


@given(st.sampled_from(ISOMETRIC), geometric, st.integers(2, 12), seeds)
def test_an_isometry_changes_nothing(manifold, regularizer, n, seed):
    check_isometry(manifold, regularizer, n, seed)


def check_size_does_not_matter(regularizer, factor, n):
    embedding = points(Sphere(), n)
    small, large = (regularizer(Sphere(radius=radius), embedding) for radius in (5.0, 5.0 * factor))
    assert torch.allclose(small, large, rtol=1e-6, atol=1e-6)


@given(geometric, st.floats(0.1, 10), st.integers(2, 12))
def test_relative_lengths_do_not_depend_on_the_manifold_s_size(regularizer, factor, n):
    check_size_does_not_matter(regularizer.relative(), factor, n)


def check_operators(manifold, a, b, factor, plus=operator.add):
    embedding = points(manifold, 6)
    left, right = a(manifold, embedding), b(manifold, embedding)
    assert torch.allclose(plus(a, b)(manifold, embedding), left + right)
    assert torch.allclose((a * b)(manifold, embedding), left * right)
    assert torch.allclose((factor * a)(manifold, embedding), factor * left)
    assert torch.allclose((a + factor)(manifold, embedding), left + factor)
    assert torch.equal(a.clamped(1.0, 2.0)(manifold, embedding), left.clamp(1.0, 2.0))
    assert torch.equal(a.threshold(1.0)(manifold, embedding), left * (left >= 1.0))


@given(manifolds, geometric, geometric, st.floats(0, 5))
def test_operators_act_elementwise(manifold, a, b, factor):
    check_operators(manifold, a, b, factor)


@dataclass(frozen=True)
class OrderCounts(Regularizer):
    """Plants the fault of reading a neuron's number."""

    def coefficients(self, geometry):
        return geometry.distance + torch.arange(len(geometry.targets)).to(geometry.distance)


@dataclass(frozen=True)
class CoordinatesCount(Regularizer):
    """Plants the fault of reading coordinates instead of distances."""

    def coefficients(self, geometry):
        return geometry.distance + geometry.targets.flatten(1)[:, :1].abs()


@pytest.mark.parametrize("manifold", SPACES, ids=repr)
def test_the_checks_catch_planted_faults(manifold):
    with pytest.raises(AssertionError):
        check_equivariance(manifold, OrderCounts(), 8, 1)
    with pytest.raises(AssertionError):
        check_permutation(manifold, Diffusion(), lambda original, seed: original.roll(seed, 0), 8, 1)
    with pytest.raises(AssertionError):
        check_normalization(manifold, lambda regularizer: 2 * regularizer.normalized(), Diffusion(), 8)
    with pytest.raises(AssertionError):
        check_operators(manifold, Diffusion(), Ripple(), 2.0, plus=lambda a, b: a + 2 * b)


@pytest.mark.parametrize("manifold", ISOMETRIC, ids=repr)
def test_the_check_of_isometries_catches_coordinates(manifold):
    with pytest.raises(AssertionError):
        check_isometry(manifold, CoordinatesCount(), 8, 1)


def test_the_check_of_size_catches_absolute_lengths():
    with pytest.raises(AssertionError):
        check_size_does_not_matter(Diffusion(), 2.0, 8)


@dataclass(frozen=True)
class WrongForm(Inhibitor):
    """Plants coefficients of another shape, dtype or type."""

    change: str

    def profile(self, distance):
        return {"shape": distance[:, :1], "dtype": distance.float(), "type": 1.0}[self.change]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("shape", r"\(5, 1\) torch.float64.*need \(5, 5\) torch.float64"),
        ("dtype", r"\(5, 5\) torch.float32.*need \(5, 5\) torch.float64"),
        ("type", "must give a tensor, got float"),
    ],
)
def test_a_term_of_the_wrong_form_is_named_within_an_expression(change, message):
    with pytest.raises(ShapeMismatch, match=rf"WrongForm\(change='{change}'\).*{message}"):
        (Uniform() + 0.5 * WrongForm(change))(Torus(), points(Torus(), 5))


@given(geometric, st.integers(0, 5))
def test_expressions_are_values_that_repr_text_and_json_rebuild(regularizer, seed):
    for expression in (regularizer, regularizer.permuted(seed), 2 * regularizer.permuted(seed) + 1):
        spec = json.loads(json.dumps(expression.spec))
        for twin in (
            eval(repr(expression)),
            make_regularizer(repr(expression)),
            make_regularizer(spec),
            pickle.loads(pickle.dumps(expression)),
        ):
            assert twin == expression
            assert hash(twin) == hash(expression)
    assert regularizer.permuted(seed) != regularizer.permuted(seed + 1)


def test_expressions_cannot_be_changed():
    for expression in (Diffusion(), Diffusion() + Uniform(), Diffusion().permuted()):
        with pytest.raises(FrozenInstanceError):
            setattr(expression, fields(expression)[0].name, 2)


def test_parameters_become_plain_floats():
    assert repr(Diffusion(np.float64(2))) == "Diffusion(length=2.0)"


def test_sum_of_a_list_and_numpy_scalars_compose():
    assert sum([Diffusion(), Uniform()]) == Diffusion() + Uniform()
    assert np.float64(0.5) * Diffusion() == 0.5 * Diffusion() == Diffusion() * np.float32(0.5)


@pytest.mark.parametrize("foreign", ["text", None, [1.0], True, object()])
def test_foreign_operands_raise_at_once(foreign):
    for operation in (
        lambda: Diffusion() + foreign,
        lambda: foreign * Diffusion(),
        lambda: Diffusion() * foreign,
    ):
        with pytest.raises(TypeError):
            operation()


@pytest.mark.parametrize("factor", [-1.0, math.inf, math.nan])
def test_factors_are_non_negative_and_finite(factor):
    with pytest.raises(InvalidParameter, match="non-negative finite number"):
        factor * Diffusion()


def test_the_paper_s_constants():
    inhibitor = DifferenceOfGaussians()
    d = torch.linspace(0, 30, 300_001, dtype=torch.float64)
    formula = torch.exp(-d.square() / 5) - torch.exp(-4 * d.square())
    assert inhibitor.preferred_distance == pytest.approx(0.888, abs=5e-4)
    assert float(formula.max()) == pytest.approx(0.811, abs=5e-4)
    assert torch.allclose(inhibitor.profile(d), 100 * (formula.max() - formula), atol=1e-6)
    assert float(inhibitor.profile(d).min()) == pytest.approx(0, abs=1e-6)
    assert torch.allclose(Diffusion().profile(d), d.square())
    assert torch.allclose(Gaussian().profile(d), 100 * torch.exp(-d.square() / 3))
    assert torch.allclose(Ripple().profile(d), 50 + 50 * torch.cos(2 * d))


def test_a_mistyped_parameter_is_named_and_another_suggested():
    @dataclass(frozen=True)
    class Reach(Inhibitor):
        reach: float

        def profile(self, distance):
            return distance * self.reach

    for call, message in [
        (lambda: Gaussian(len=2), "Gaussian has no parameter 'len'; did you mean 'length'"),
        (lambda: Reach(raech=2), "Reach has no parameter 'raech'; did you mean 'reach'"),
        (lambda: Reach(1.0, 2.0), "too many positional arguments"),
        (lambda: Uniform(1.0), "too many positional arguments"),
    ]:
        with pytest.raises(UnknownParameter, match=message):
            call()
    expression = (0.5 * Reach(2.0) + Uniform()).permuted(1).clamped(0, 3)
    assert copy.deepcopy(expression) == expression
    public = (0.5 * Gaussian(2.0) + Uniform()).permuted(1)
    assert pickle.loads(pickle.dumps(public)) == public


def test_terms_share_one_distance_matrix():
    class Counting(Torus):
        calls = 0

        def pairwise(self, x, y=None):
            Counting.calls += 1
            return super().pairwise(x, y)

    regularizer = Diffusion() + DifferenceOfGaussians().relative() * Uniform() + 0.5 * Ripple().permuted()
    regularizer.normalized()(Counting(), Torus().random_point(5, seeded()))
    assert Counting.calls == 1


def check_permutation(manifold, regularizer, permute, n, seed):
    original = regularizer(manifold, points(manifold, n))
    permuted = permute(original, seed)
    off_diagonal = ~torch.eye(n, dtype=torch.bool)
    assert torch.equal(permuted.diagonal(), original.diagonal())
    assert torch.equal(permuted[off_diagonal].sort().values, original[off_diagonal].sort().values)


def check_normalization(manifold, normalize, regularizer, n):
    coefficients = normalize(regularizer)(manifold, points(manifold, n))
    assert float(coefficients[~torch.eye(n, dtype=torch.bool)].mean()) == pytest.approx(1)


@given(manifolds, geometric, st.integers(2, 12), seeds)
def test_permuted_keeps_the_diagonal_and_the_multiset_of_the_others(manifold, regularizer, n, seed):
    def permute(original, seed):
        permuted = regularizer.permuted(seed)(manifold, points(manifold, n))
        assert torch.equal(permuted, regularizer.permuted(seed)(manifold, points(manifold, n)))
        return permuted

    check_permutation(manifold, regularizer, permute, n, seed)


@given(manifolds, geometric, st.integers(2, 12), seeds)
def test_permuted_in_pairs_keeps_what_permuted_keeps_and_symmetry(manifold, regularizer, n, seed):
    def permute(original, seed):
        return regularizer.permuted_in_pairs(seed)(manifold, points(manifold, n))

    check_permutation(manifold, regularizer, permute, n, seed)
    permuted = permute(None, seed)
    assert torch.equal(permuted, permuted.T)


def test_permuted_in_pairs_moves_opposite_coefficients_together():
    embedding = Torus().random_point(6, seeded())
    asymmetric = Diffusion().permuted(seed=1)
    before, after = (r(Torus(), embedding) for r in (asymmetric, asymmetric.permuted_in_pairs(seed=2)))
    pairs = [
        {(float(c[i, j]), float(c[j, i])) for i in range(6) for j in range(6) if i != j}
        for c in (before, after)
    ]
    assert pairs[0] == pairs[1]
    assert not torch.equal(before, after)


@pytest.mark.parametrize("control", [Diffusion().permuted(0), Diffusion().permuted_in_pairs(0)], ids=repr)
def test_permuted_really_moves_coefficients(control):
    embedding = Torus().random_point(50, seeded())
    original, permuted = (r(Torus(), embedding) for r in (Diffusion(), control))
    correlation = torch.corrcoef(torch.stack([original.flatten(), permuted.flatten()]))[0, 1]
    assert abs(correlation) < 0.1


@given(manifolds, geometric, st.integers(2, 12))
def test_normalized_has_mean_one_off_the_diagonal(manifold, regularizer, n):
    check_normalization(manifold, Regularizer.normalized, regularizer.clamped(low=0.1), n)


@given(manifolds, geometric, st.integers(2, 12), st.floats(0, 2))
def test_a_diagonal_of_its_own_leaves_all_other_coefficients(manifold, regularizer, n, share):
    embedding = points(manifold, n)
    original, changed = (
        regularizer(manifold, embedding),
        regularizer.with_diagonal(share)(manifold, embedding),
    )
    elsewhere = ~torch.eye(n, dtype=torch.bool)
    assert torch.equal(original[elsewhere], changed[elsewhere])
    assert torch.allclose(changed.diagonal(), share * original[elsewhere].mean(), rtol=1e-4)
    targets, sources = points(manifold, n), points(manifold, n, seed=1)
    between = regularizer(manifold, targets, sources)
    assert torch.equal(between, regularizer.with_diagonal(share)(manifold, targets, sources))


def test_two_populations():
    targets, sources = Torus().random_point(4, seeded(0)), Torus().random_point(6, seeded(1))
    coefficients = Diffusion()(Torus(), targets, sources)
    assert coefficients.shape == (4, 6)
    assert torch.allclose(coefficients, Torus().distance(targets[:, None], sources[None]).square())
    assert Diffusion().normalized()(Torus(), targets, sources).mean() == pytest.approx(1)
    permuted = Diffusion().permuted()(Torus(), targets, sources)
    assert torch.equal(permuted.flatten().sort().values, coefficients.flatten().sort().values)
    assert torch.equal(permuted, Diffusion().permuted_in_pairs()(Torus(), targets, sources))


@pytest.mark.parametrize(
    ("function", "value"), [(lambda d: d - 3, "-3"), (lambda d: d / 0 * d, "nan"), (lambda d: 1 / d, "inf")]
)
def test_bad_coefficients_name_inhibitor_value_and_distance(function, value):
    with pytest.raises(
        InvalidCoefficients, match=rf"Inhibitor\(.*\) gives the coefficient {value} at distance 0"
    ):
        (Uniform() + Inhibitor(function))(Torus(), Torus().random_point(5, seeded()))


def test_errors_of_embeddings_and_parameters():
    with pytest.raises(InvalidPoints, match=r"shape \(n, 2\), got \(5, 3\)"):
        Diffusion()(Torus(), torch.zeros(5, 3))
    with pytest.raises(InvalidPoints, match="finite"):
        Diffusion()(Torus(), torch.full((5, 2), math.nan))
    with pytest.raises(InvalidCoefficients, match="cannot be normalised"):
        Diffusion().normalized()(Torus(), torch.zeros(3, 2))
    with pytest.raises(InvalidParameter, match="inner < outer"):
        DifferenceOfGaussians(inner=3.0)
    with pytest.raises(InvalidPoints, match=r"do not lie on Sphere.*point 2 is"):
        Communicability()(Sphere(), torch.eye(3).index_put((torch.tensor([2]),), torch.ones(3)))
    with pytest.raises(InvalidCoefficients, match="relative to their mean, which is 0 over 3 neurons"):
        Diffusion().relative()(Torus(), torch.zeros(3, 2))
    with pytest.raises(InvalidParameter, match=r"0 <= low <= high, got low=2 and high=1"):
        Diffusion().clamped(2, 1)
    with pytest.raises(
        InvalidParameter, match="value of threshold must be a non-negative finite number, got -1"
    ):
        Diffusion().threshold(-1)
    with pytest.raises(
        InvalidParameter, match="share of with_diagonal must be a non-negative finite number, got -1"
    ):
        Diffusion().with_diagonal(-1)
    for made in (Diffusion().threshold, Diffusion().with_diagonal, Diffusion().clamped):
        for other in ("a", None, True, math.nan):
            with pytest.raises(InvalidParameter, match=r"must be a non-negative finite number, got"):
                made(other)
    with pytest.raises(InvalidParameter, match=r"seed must be an integer of at most 64 bits, got 0\.5"):
        Diffusion().permuted(0.5)
    with pytest.raises(InvalidParameter, match="length must be a positive"):
        Diffusion(0)


def test_two_populations_are_relative_to_their_mean_distance():
    targets, sources = points(Torus(), 4, 0), points(Torus(), 6, 1)
    distance = Torus().pairwise(targets, sources)
    expected = (distance / distance.mean()).square()
    assert torch.allclose(Diffusion().relative()(Torus(), targets, sources), expected)


def random_weight(n):
    return torch.randn(n, n, generator=seeded(), dtype=torch.float64)


def test_communicability_sums_the_walks_between_neurons():
    """Against the series of walks of every length, in place of the matrix exponential."""
    weight = random_weight(6)
    scale = weight.abs().sum(0).rsqrt()  # what each neuron sends: a weight is [target, source]
    walk = scale[:, None] * weight.abs() * scale
    expected = sum(torch.linalg.matrix_power(walk, k) / float(math.factorial(k)) for k in range(30))
    expected.fill_diagonal_(0)
    assert torch.allclose(Communicability()(Euclidean(), points(Euclidean(), 6), weight=weight), expected)


def test_communicability_of_pruned_weights_gates_and_its_gradient():
    embedding, weight = points(Euclidean(), 6), random_weight(6)
    weight[:, 2] = 0
    gates = torch.cat([weight, weight]).requires_grad_()
    coefficients = Communicability()(Euclidean(), embedding, weight=gates)
    assert torch.allclose(coefficients, Communicability()(Euclidean(), embedding, weight=weight))
    assert (coefficients[:, 2] == 0).all()
    (gradient,) = torch.autograd.grad(coefficients.sum(), gates)
    assert gradient.isfinite().all()
    assert (gradient != 0).any()


def test_terms_that_depend_on_the_weight_compose_and_ask_for_it():
    regularizer = (Diffusion() * Communicability() + 1).normalized()
    embedding, weight = points(Torus(), 5), random_weight(5)
    assert regularizer.depends_on_weight
    assert not (Diffusion() + 1).depends_on_weight
    assert regularizer(Torus(), embedding, weight=weight).shape == (5, 5)
    with pytest.raises(MissingWeight, match=r"Communicability\(\) depends on the weight"):
        regularizer(Torus(), embedding)
    with pytest.raises(ShapeMismatch, match=r"\(4, 4\).*\(5, 5\)"):
        regularizer(Torus(), embedding, weight=torch.ones(4, 4).double())
    with pytest.raises(ShapeMismatch, match=r"float32.*float64"):
        regularizer(Torus(), embedding, weight=torch.ones(5, 5))
    with pytest.raises(ShapeMismatch, match="needs a recurrent weight"):
        regularizer(Torus(), embedding, embedding, weight=weight)


@register_regularizer("tent")
@dataclass(frozen=True)
class Tent(Inhibitor):
    """A user's inhibitor."""

    length: float = 2.0

    def profile(self, distance):
        return (1 - distance / self.length).relu()


def test_a_registered_inhibitor_is_known_to_text_and_json():
    expression = make_regularizer("2*tent(length=3.0) + tent.permuted(4)")
    assert expression == 2 * Tent(3.0) + Tent().permuted(4)
    assert make_regularizer(json.loads(json.dumps(expression.spec))) == expression


def test_registration_errors():
    class Plain(Inhibitor):
        pass

    with pytest.raises(RegistrationError, match=r"'dog' is taken by moduli.*override=True"):
        register_regularizer("dog")(Tent)
    with pytest.raises(RegistrationError, match="identifier, got 'my dog'"):
        register_regularizer("my dog")
    with pytest.raises(RegistrationError, match="Plain must be a frozen dataclass"):
        register_regularizer("plain")(Plain)
    with pytest.raises(RegistrationError, match=r"Inhibitor\(.*tanh\) has no name"):
        (Diffusion() + Inhibitor(torch.tanh)).spec  # noqa: B018
    assert register_regularizer("tent")(Tent) is Tent
    assert registered_regularizers()["dog"] is DifferenceOfGaussians


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5*dog + 0.1*uniform", 0.5 * DifferenceOfGaussians() + 0.1 * Uniform()),
        ("gaussian(length=2.0)", Gaussian(2.0)),
        ("(dog + 1).permuted(3)", (DifferenceOfGaussians() + 1).permuted(3)),
        (" diffusion\n * ripple(3) ", Diffusion() * Ripple(3.0)),
        ("dog.relative().clamped(high=2.0)", DifferenceOfGaussians().relative().clamped(high=2.0)),
        ("2*3*communicability", 6 * Communicability()),
    ],
)
def test_text_becomes_a_regularizer(text, expected):
    assert make_regularizer(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("0.5*dgo + uniform", "No regularizer is called 'dgo'; did you mean 'dog'", "dgo"),
        ("dog.permutd(0)", "No method is called 'permutd'; did you mean 'permuted'", "permutd"),
        ("dog + gaussian(lenght=2)", "no parameter 'lenght'; did you mean 'length'", "lenght"),
        ("dog + gaussian(length=-1)", "length must be a positive", "gaussian(length=-1)"),
        ("dog + gaussian(length=dog)", "must be a number", "dog"),
        ("dog.permuted(seed=0, seed=1)", "given twice", "dog.permuted(seed=0, seed=1)"),
        ("uniform + dog.threshold()", "missing a required argument: 'value'", "dog.threshold()"),
        ("uniform + dog/2", r"Only \+ and \* compose", "dog/2"),
        ("dog + -1*dog", "cannot be negative", "-1"),
        ("1e999*dog", "non-negative finite number", "1e999*dog"),
        ("dog.permuted", r"A method is called: write \.permuted\(\)", "dog.permuted"),
        ("uniform + __import__('os')", "No regularizer is called '__import__'", "__import__"),
        ("dog.__class__()", "No method is called '__class__'", "__class__"),
        ("dog + [1]", "Only names of regularizers", "[1]"),
        ("0.5", r"write 0\.5 \* uniform", "0.5"),
        ("dog + ) + dog", "unmatched", ")"),
        ("é + dog.x()", "No regularizer is called 'é'", "é"),
    ],
)
def test_a_wrong_word_is_pointed_at(text, message, marked):
    with pytest.raises(InvalidExpression, match=message) as error:
        make_regularizer(text)
    _, shown, carets = str(error.value).split("\n")
    start = carets.index("^")
    assert shown[start : carets.rindex("^") + 1] == marked


pieces = st.sampled_from([*"dog(). +*0,=[]'-\n\\\x00é", "uniform", "permuted", "seed", "lambda:"])


@given(st.lists(pieces, max_size=12).map("".join))
def test_any_text_gives_a_regularizer_or_a_typed_error(text):
    with contextlib.suppress(InvalidExpression):
        assert isinstance(make_regularizer(text), Regularizer)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"name": "dgo", "kwargs": {}}, "did you mean 'dog'"),
        ({"name": "dog", "kwargs": {"iner": 1.0}}, "spec of 'dog' does not fit.*iner"),
        ({"name": "dog"}, "holds 'name' and 'kwargs'"),
        (
            {"name": "sum", "kwargs": {"terms": [3]}},
            r"spec of 'sum' does not fit: Sum: terms must .*got \(3,\)",
        ),
        ({"name": "sum", "kwargs": {"terms": 3}}, "spec of 'sum' does not fit"),
        (3, "text or a spec, got int"),
    ],
)
def test_wrong_specs(spec, message):
    with pytest.raises(InvalidExpression, match=message):
        make_regularizer(spec)


@pytest.mark.parametrize("wrong", [torch.rand(3, 2), "torus", None, Torus])
def test_what_is_not_a_manifold_is_refused_with_the_order_of_arguments(wrong):
    with pytest.raises(
        InvalidParameter, match=r"called as regularizer\(manifold, points\).* got \w+ as the man"
    ):
        Diffusion()(wrong, Torus())
