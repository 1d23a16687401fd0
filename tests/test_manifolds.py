"""Clauses M1-M4 for the flat and spherical manifolds."""

import copy
import json
import math
import pickle

import networkx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from moduli.manifolds import (
    Circle,
    Euclidean,
    InvalidDistance,
    InvalidParameter,
    InvalidPoints,
    KleinBottle,
    Manifold,
    Sphere,
    Torus,
    UnknownParameter,
    from_graph,
    make,
    pairwise,
)
from tests.conftest import SPACES, seeded

MANIFOLDS = [Circle(), Sphere(), Sphere(3, radius=10.0), Torus(), Torus(6), KleinBottle(), Euclidean()]
manifolds = st.sampled_from(MANIFOLDS)
seeds = st.integers(0, 2**31)


def points(manifold: Manifold, n: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    return manifold.project(manifold.random_point(n, seeded(seed)).to(dtype))


@given(manifolds, seeds)
def test_metric_axioms(manifold, seed):
    x, y, z = points(manifold, 3, seed)
    xy, yz, xz = manifold.distance(x, y), manifold.distance(y, z), manifold.distance(x, z)
    assert manifold.distance(x, x) == 0
    assert xy > 0
    assert math.isclose(xy, manifold.distance(y, x), rel_tol=1e-12)
    assert xz <= xy + yz + 1e-12


@given(manifolds, seeds)
def test_canonical_representatives_are_the_same_point(manifold, seed):
    x = manifold.random_point(4, seeded(seed)).double() + 0.1
    if isinstance(manifold, Sphere):
        x = manifold.project(x)
    assert manifold.distance(x, manifold.project(x)).max() < 1e-12
    assert manifold.contains(manifold.project(x)).all()


@given(st.floats(0, 10), st.floats(0, 10), st.integers(-3, 3), st.integers(-3, 3))
def test_klein_bottle_equals_the_least_distance_over_many_deck_transformations(x, y, m, n):
    """The two representatives are enough: the plain minimum over a large patch of the cover agrees."""
    bottle, origin = KleinBottle(10.0), torch.tensor([2.0, 3.0], dtype=torch.float64)
    images = [
        (x + 10 * i, (-1) ** i * y + 10 * j) for i in range(-3, 4) for j in range(-3, 4)
    ]  # fmt: skip
    expected = min(math.hypot(a - 2.0, b - 3.0) for a, b in images)
    moved = torch.tensor([x + 10 * m, (-1) ** m * y + 10 * n], dtype=torch.float64)
    assert float(bottle.distance(origin, moved)) == pytest.approx(expected, abs=1e-9)


def test_known_distances():
    assert float(Circle().distance(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))) == pytest.approx(
        5 * math.pi / 2
    )
    assert float(Torus().distance(torch.tensor([1.0, 1.0]), torch.tensor([9.0, 9.0]))) == pytest.approx(
        8**0.5
    )
    # Crossing the Klein bottle's twisted edge reflects the second coordinate.
    assert float(KleinBottle().distance(torch.tensor([0.5, 2.0]), torch.tensor([9.5, 8.0]))) == pytest.approx(
        1
    )


@given(manifolds, st.sampled_from([torch.float32, torch.float64]), st.integers(0, 40), seeds)
def test_pairwise_is_symmetric_with_zero_diagonal_and_keeps_dtype(manifold, dtype, n, seed):
    x = points(manifold, n, seed, dtype)
    matrix = manifold.pairwise(x)
    assert matrix.shape == (n, n)
    assert matrix.dtype == dtype
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.zeros(n, dtype=dtype))
    expected = manifold.distance(x[:, None], x[None])
    assert torch.allclose(matrix, expected, atol=1e-4 if dtype == torch.float32 else 1e-7)


@pytest.mark.parametrize("manifold", [*SPACES, from_graph(networkx.cycle_graph(5))], ids=repr)
def test_a_seed_in_place_of_a_generator_is_refused(manifold):
    for draw in (lambda: manifold.random_point(5, 0), lambda: manifold.random_point(5, seed=0)):
        with pytest.raises(InvalidParameter, match=r"torch\.Generator, got 0; pass generator="):
            draw()
    assert len(manifold.random_point(n=5, generator=seeded())) == 5


def test_a_seed_is_refused_by_manifolds_of_users_as_well():
    class Own(Torus):
        def random_point(self, n, generator=None):
            return 0 * super().random_point(n, generator)

    with pytest.raises(InvalidParameter, match=r"torch\.Generator, got 3"):
        Own().random_point(5, generator=3)


@pytest.mark.parametrize("gradient", [False, True])
def test_pairwise_does_not_depend_on_the_chunk_size(monkeypatch, gradient):
    x = points(Torus(), 37, 0).requires_grad_(gradient)
    y = points(Torus(), 23, 1)
    whole, whole_rectangle = Torus().pairwise(x), Torus().pairwise(x, y)
    monkeypatch.setattr(pairwise, "CHUNK", 200)
    assert torch.equal(Torus().pairwise(x), whole)
    assert torch.equal(Torus().pairwise(x, y), whole_rectangle)
    if gradient:
        chunked = torch.autograd.grad(Torus().pairwise(x).square().sum(), x)[0]
        assert torch.allclose(chunked, torch.autograd.grad(whole.square().sum(), x)[0])


@pytest.mark.parametrize("manifold", MANIFOLDS, ids=repr)
def test_gradients_are_finite_at_coincident_and_antipodal_points(manifold):
    x = points(manifold, 6, 0)
    x[1] = x[0]
    x[2] = -x[0] if isinstance(manifold, Sphere) else manifold.project(x[0] + 5)
    for variable in (x.clone().requires_grad_(), x.float().requires_grad_()):
        (gradient,) = torch.autograd.grad(manifold.pairwise(variable).sum(), variable)
        assert gradient.isfinite().all()


def test_a_distance_without_gradient_at_zero_is_kept_off_the_diagonal():
    class RootOfSquares(Euclidean):
        def distance(self, x, y):
            return (x - y).square().sum(-1).sqrt()

    x = torch.rand(5, 2, generator=seeded(), requires_grad=True)
    (gradient,) = torch.autograd.grad(RootOfSquares().pairwise(x).sum(), x)
    assert gradient.isfinite().all()


@given(manifolds, seeds, st.integers(0, 5))
def test_one_seed_gives_the_same_points_and_leaves_the_global_state(manifold, seed, n):
    before = torch.get_rng_state()
    first, again = (manifold.random_point(n, seeded(seed)) for _ in range(2))
    assert torch.equal(first, again)
    assert first.shape == (n, *manifold.point_shape)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("manifold", [*MANIFOLDS, Torus(2, (1.0, 2.0))], ids=repr)
def test_spec_pickle_copy_and_repr_rebuild_the_manifold(manifold):
    spec = json.loads(json.dumps(manifold.spec))
    rebuilt = make(**spec)
    assert rebuilt == make(spec["name"], **spec["kwargs"])
    copies = [rebuilt, pickle.loads(pickle.dumps(manifold)), copy.deepcopy(manifold), eval(repr(manifold))]
    assert all(twin == manifold and hash(twin) == hash(manifold) for twin in copies)
    assert manifold != Torus(5)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Torus(perod=3), UnknownParameter, "did you mean 'period'"),
        (lambda: Torus(2, 3, 4), UnknownParameter, "too many"),
        (lambda: Torus(2, -1), InvalidParameter, "period must be a positive finite number, got -1"),
        (lambda: Torus(2, (1, 2, 3)), InvalidParameter, "one period or 2, got 3"),
        (lambda: Sphere(0), InvalidParameter, "dim must be a positive integer, got 0"),
        (lambda: Sphere(radius=math.nan), InvalidParameter, "radius"),
    ],
)
def test_bad_parameters(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(4, 3), r"must have shape \(n, 2\), got \(4, 3\)"),
        (torch.zeros(2), r"must have shape \(n, 2\), got \(2,\)"),
        (torch.zeros(4, 2, dtype=torch.int64), "floating-point"),
        (torch.tensor([[0.0, math.nan]]), "finite; point 0"),
        ([[0.0, 0.0]], "expected a tensor"),
    ],
)
def test_bad_points(bad, message):
    with pytest.raises(InvalidPoints, match=message):
        Torus().pairwise(bad)


def test_points_off_the_manifold_and_of_two_dtypes():
    with pytest.raises(InvalidPoints, match="point 1 is"):
        Sphere().pairwise(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]))
    with pytest.raises(InvalidPoints, match="agree in dtype"):
        Torus().pairwise(torch.zeros(2, 2), torch.zeros(2, 2).double())


@pytest.mark.parametrize("wrong", [lambda x, y: x - y, lambda x, y: (x - y).norm(dim=-1).double()])
def test_a_distance_of_the_wrong_shape_or_dtype_is_refused(wrong):
    class Broken(Euclidean):
        def distance(self, x, y):
            return wrong(x, y)

    with pytest.raises(InvalidDistance, match=r"Broken.*must return"):
        Broken().pairwise(torch.rand(4, 2, generator=seeded()))
