"""Clauses M1-M4 and M6: every built-in is a checked metric space, and equals geomstats' where it has one."""

import copy
import functools
import json
import math
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import (
    SPD,
    Circle,
    Cylinder,
    Euclidean,
    Graph,
    Grassmannian,
    Hyperbolic,
    InvalidParameter,
    InvalidPoints,
    KleinBottle,
    MobiusBand,
    NotDifferentiable,
    Product,
    ProjectivePlane,
    ProjectiveSpace,
    Rotations,
    Scaled,
    Sphere,
    Torus,
    from_geomstats,
    make,
)
from moduli.manifolds.testing import manifold_checks
from tests.conftest import seeded

SMOOTH = [
    Circle(),
    Sphere(),
    Sphere(3, radius=10.0),
    Torus(),
    Torus(6),
    KleinBottle(),
    Euclidean(),
    Hyperbolic(2),
    Hyperbolic(3, size=2.0),
    Rotations(3),
    ProjectivePlane(),
    ProjectiveSpace(3),
    Grassmannian(4, 2),
    Grassmannian(3, 2),
    SPD(3),
    SPD(1),
    MobiusBand(),
    Cylinder(height=2.0),
    Product(Circle(), Torus(2), Rotations(3), weights=(1, 2, 3)),
    Scaled(SPD(2), 2.0),
    Product(Product(Circle(), Euclidean(1)), Scaled(Hyperbolic(2), 0.5)),
]
ALL = [*SMOOTH, Graph(4, [(0, 1, 1.0), (1, 2, 0.5), (2, 3, 1), (3, 0, 1)])]
CHECKED = [*ALL[:8], Rotations(3), ProjectivePlane(), Grassmannian(4, 2), SPD(3), MobiusBand(), Cylinder()]
CHECKED += ALL[-4:]


class TestClauses:
    """One test a clause and built-in."""

    for number, manifold in enumerate(CHECKED):
        name = f"test_{number}_{type(manifold).__name__}"

        def _test(self, check):
            check()

        locals()[name] = manifold_checks(manifold)(_test)
    del number, manifold, name, _test


@pytest.mark.parametrize("manifold", ALL, ids=repr)
def test_spec_pickle_copy_rebuild_the_manifold(manifold):
    spec = json.loads(json.dumps(manifold.spec))
    rebuilt = make(spec["name"], **spec["kwargs"])
    for twin in (rebuilt, pickle.loads(pickle.dumps(manifold)), copy.deepcopy(manifold)):
        assert twin == manifold
        assert hash(twin) == hash(manifold)
        x = manifold.random_point(5, seeded())
        assert torch.equal(twin.pairwise(x), manifold.pairwise(x))
    assert spec == rebuilt.spec


@pytest.mark.parametrize("manifold", SMOOTH, ids=repr)
def test_repr_evaluates_back(manifold):
    assert eval(repr(manifold)) == manifold


@pytest.mark.parametrize("manifold", ALL, ids=repr)
@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("gradient", [False, True])
def test_no_point_and_one_point(manifold, n, gradient):
    x = manifold.random_point(n, seeded()).requires_grad_(gradient and not isinstance(manifold, Graph))
    assert manifold.pairwise(x).shape == (n, n)
    assert torch.equal(manifold.pairwise(x), torch.zeros(n, n))
    assert manifold.pairwise(x, manifold.random_point(0)).shape == (n, 0)
    assert manifold.pairwise(x[:0], manifold.random_point(3, seeded())).shape == (0, 3)


@pytest.mark.parametrize("manifold", SMOOTH, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pairwise_gradients_are_finite_at_coincident_and_cut_points(manifold, dtype):
    x = manifold.project(manifold.random_point(6, seeded()).to(dtype))
    cut = manifold.cut_points(x[:2])
    points = torch.cat([x, x[:2], cut.reshape(-1, *manifold.point_shape)]).requires_grad_()
    matrix = manifold.pairwise(points)
    (gradient,) = torch.autograd.grad(matrix.sum(), points)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.zeros(len(points), dtype=dtype))


@pytest.mark.parametrize("manifold", SMOOTH, ids=repr)
def test_the_gradient_is_the_slope(manifold):
    """Along a small step within the manifold, the distance changes as the gradient says."""
    x, y = manifold.project(manifold.random_point(2, seeded(3)).double())
    step = 1e-6 * torch.randn(manifold.point_shape, generator=seeded(4), dtype=torch.float64)
    ahead, behind = manifold.project(x + step), manifold.project(x - step)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(manifold.distance(x, y), x)
    slope = float(manifold.distance(ahead, y) - manifold.distance(behind, y))
    assert slope == pytest.approx(float((gradient * (ahead - behind)).sum()), abs=2e-10)


@given(st.sampled_from([m for m in SMOOTH if not isinstance(m, Euclidean)]), st.integers(0, 2**31))
def test_projected_points_are_points_and_stay_where_they_are(manifold, seed):
    moved = manifold.random_point(4, seeded(seed)).double()
    moved = moved + 0.3 * torch.randn(moved.shape, generator=seeded(seed), dtype=torch.float64)
    once = manifold.project(moved)
    assert manifold.contains(once).all()
    assert torch.allclose(manifold.project(once), once, atol=1e-12)


@functools.cache
def spaces():
    """Return built-ins, geomstats' own spaces, and how many pairs geomstats takes in good time."""
    from geomstats.geometry.grassmannian import Grassmannian as TheirGrassmannian
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.poincare_ball import PoincareBall
    from geomstats.geometry.spd_matrices import SPDMatrices
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    return {
        "circle": (Circle(radius=1.0), Hypersphere(1), 40),
        "sphere": (Sphere(2, radius=1.0), Hypersphere(2), 40),
        "sphere 3": (Sphere(3, radius=1.0), Hypersphere(3), 40),
        "hyperbolic": (Hyperbolic(2), PoincareBall(2), 40),
        "hyperbolic 3": (Hyperbolic(3), PoincareBall(3), 40),
        "rotations": (Rotations(3), SpecialOrthogonal(3), 3),
        "grassmannian": (Grassmannian(4, 2), TheirGrassmannian(4, 2), 3),
        "grassmannian 5": (Grassmannian(5, 3), TheirGrassmannian(5, 3), 3),
        "spd": (SPD(3), SPDMatrices(3), 40),
    }


NAMES = [
    "circle", "sphere", "sphere 3", "hyperbolic", "hyperbolic 3", "rotations", "grassmannian",
    "grassmannian 5", "spd",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**31))
def test_closed_forms_equal_geomstats(name, seed):
    ours, space, n = spaces()[name]
    theirs = from_geomstats(space)
    x, y = ours.project(ours.random_point(2 * n, seeded(seed)).double()).tensor_split(2)
    assert theirs.contains(x).all()
    expected = theirs.distance(x, y)
    assert torch.allclose(ours.distance(x, y), expected, rtol=0, atol=1e-10)
    # In float32 the points themselves are rounded: geomstats gets the rounded ones.
    x, y = x.float(), y.float()
    expected = theirs.distance(ours.project(x.double()), ours.project(y.double())).float()
    assert torch.allclose(ours.distance(x, y), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("quotient", "image"),
    [
        (Torus(2, (3.0, 5.0)), lambda x, y, i, j: (x + 3 * i, y + 5 * j)),
        (KleinBottle(4.0), lambda x, y, i, j: (x + 4 * i, (-1) ** i * y + 4 * j)),
        (MobiusBand(4.0, 3.0), lambda x, y, i, j: (x + 4 * i, y if i % 2 == 0 else 3 - y)),
        (Cylinder(4.0, 3.0), lambda x, y, i, j: (x + 4 * i, y)),
    ],
    ids=lambda value: repr(value) if isinstance(value, (Torus, KleinBottle, MobiusBand, Cylinder)) else "",
)
@given(seed=st.integers(0, 2**31))
def test_flat_quotients_equal_the_least_distance_over_many_deck_transformations(quotient, image, seed):
    (x, y), (a, b) = quotient.random_point(2, seeded(seed)).double().tolist()
    images = [image(a, b, i, j) for i in range(-3, 4) for j in range(-3, 4)]
    expected = min(math.hypot(x - u, y - v) for u, v in images)
    here, there = (torch.tensor(each, dtype=torch.float64) for each in ((x, y), (a, b)))
    assert float(quotient.distance(here, there)) == pytest.approx(expected, abs=1e-12)
    far = torch.tensor(image(a, b, 3, -2), dtype=torch.float64)
    assert float(quotient.distance(here, far)) == pytest.approx(expected, abs=1e-12)
    assert torch.allclose(quotient.project(far), there, atol=1e-12)


@pytest.mark.parametrize("manifold", [Torus(), KleinBottle(), MobiusBand(), Cylinder()], ids=repr)
def test_a_coordinate_just_below_zero_is_projected_to_the_same_point(manifold):
    x = torch.tensor([-1e-20, 3.0], dtype=torch.float64)
    assert manifold.distance(x, manifold.project(x)) < 1e-12


@pytest.mark.parametrize("digits", range(1, 16))
def test_small_distances_keep_their_digits(digits):
    """Formulas by arccos or arccosh lose them all below 1e-8."""
    gap = 10.0**-digits
    double = {"dtype": torch.float64}
    circle = torch.tensor([math.cos(gap), math.sin(gap)], **double)
    assert float(Circle(1.0).distance(torch.tensor([1.0, 0.0], **double), circle)) == pytest.approx(
        gap, rel=1e-9, abs=1e-16
    )
    ball = torch.tensor([math.tanh(gap / 2), 0.0], **double)
    assert float(Hyperbolic(2).distance(torch.zeros(2, **double), ball)) == pytest.approx(gap, rel=1e-9)
    turn = torch.eye(3, **double)
    turn[0, 0] = turn[1, 1] = math.cos(gap)
    turn[1, 0], turn[0, 1] = math.sin(gap), -math.sin(gap)
    assert float(Rotations(3).distance(torch.eye(3, **double), turn)) == pytest.approx(gap, rel=1e-9)
    half_turn = turn @ torch.diag(torch.tensor([-1.0, -1, 1], **double))
    assert math.pi - float(Rotations(3).distance(torch.eye(3, **double), half_turn)) == pytest.approx(
        gap, rel=1e-9, abs=1e-15
    )


def test_product_points_are_the_factors_points_one_after_another():
    product = Product(Circle(1.0), Rotations(3), weights=(2.0, 1.0))
    x = product.random_point(3, seeded())
    angle, turn = product.split(x)
    assert angle.shape == (3, 2)
    assert turn.shape == (3, 3, 3)
    assert torch.equal(product.join([angle, turn]), x)
    expected = (
        (2 * Circle(1.0).pairwise(angle)).square() + Rotations(3).pairwise(turn).square()
    ).sqrt()  # fmt: skip
    assert torch.allclose(product.pairwise(x), expected, atol=1e-5)
    moved = product.retract(x, 0.1 * torch.ones_like(x))
    assert product.contains(moved).all()


def test_a_weighted_product_is_a_product_of_scaled_factors():
    x = Product(Circle(), Torus(2)).random_point(5, seeded())
    weighted = Product(Circle(), Torus(2), weights=(2.0, 0.5))
    scaled = Product(Scaled(Circle(), 2.0), Scaled(Torus(2), 0.5))
    assert torch.equal(weighted.pairwise(x), scaled.pairwise(x))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Product(), "at least one manifold"),
        (lambda: Product(Circle, Torus()), "Product needs manifolds, got <class"),
        (lambda: Product(Circle(), weights=(1.0, 2.0)), "1 manifolds needs as many weights, got 2"),
        (lambda: Product(Circle(), weights=(-1.0,)), "each weight must be a positive"),
        (lambda: Scaled(Circle(), 0.0), "factor must be a positive finite number, got 0.0"),
        (lambda: Scaled("circle", 1.0), "Scaled needs manifolds, got 'circle'"),
        (lambda: Rotations(4), "n must be 3, got 4; from_geomstats"),
        (lambda: Grassmannian(3, 3), "k must be less than n=3, got 3"),
        (lambda: Grassmannian(3, 0), "k must be a positive integer, got 0"),
        (lambda: SPD(0), "n must be a positive integer, got 0"),
        (lambda: MobiusBand(height=-1.0), "height must be a positive"),
        (lambda: Hyperbolic(0), "dim must be a positive integer"),
    ],
)
def test_bad_parameters(build, message):
    with pytest.raises(InvalidParameter, match=message):
        build()


@pytest.mark.parametrize("manifold", ALL, ids=repr)
def test_points_off_the_manifold_are_refused(manifold):
    bad = torch.full((1, *manifold.point_shape), -77.5)
    if not isinstance(manifold, (Torus, KleinBottle, Euclidean)):
        with pytest.raises(InvalidPoints, match="point 0"):
            manifold.pairwise(bad)
    with pytest.raises(InvalidPoints, match="must have shape"):
        manifold.pairwise(bad[0])
    with pytest.raises(InvalidPoints, match="finite"):
        manifold.pairwise(bad * math.nan)


def test_a_graph_says_that_it_has_no_gradient():
    graph = ALL[-1]
    with pytest.raises(NotDifferentiable, match="no gradient; keep its points fixed"):
        graph.pairwise(graph.random_point(3, seeded()).requires_grad_())
