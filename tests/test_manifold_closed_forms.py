"""Clauses M2 and M3 for matrices in closed form: they and their gradients are those of `distance`."""

import pytest
import torch

from moduli.manifolds import Circle, Euclidean, Hyperbolic, Manifold, Sphere, Torus
from moduli.manifolds.spaces import closed_form
from tests.conftest import seeded

SPACES = [
    Circle(),
    Sphere(),
    Sphere(4, radius=0.5),
    Torus(),
    Torus(3, (1.0, 2.0, 3.0)),
    Hyperbolic(2),
    Hyperbolic(3),
    Euclidean(),
    Euclidean(20),
]
everywhere = pytest.mark.parametrize("manifold", SPACES, ids=repr)
both = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
EXACT = {torch.float64: 1e-14, torch.float32: 1e-6}


def places(manifold, dtype, n=60):
    """Return random points, some that coincide, nearly coincide, and lie at the cut locus."""
    x = manifold.project(manifold.random_point(n, seeded()).double())
    near = manifold.project(x[:4] + 1e-6 * torch.randn(x[:4].shape, generator=seeded(1), dtype=x.dtype))
    return torch.cat([x, x[:4], near, manifold.cut_points(x[:3]).flatten(0, 1)]).to(dtype)


def gradients(matrix, points, seed=0):
    """Return the gradients of a weighted sum of a matrix's entries."""
    weights = torch.randn(matrix.shape, generator=seeded(seed), dtype=matrix.dtype)
    return torch.autograd.grad((matrix * weights).sum(), points)


@everywhere
@both
@pytest.mark.parametrize("entries", [64, 2**17])
def test_matrices_and_gradients_are_those_of_the_distance(manifold, dtype, entries, monkeypatch):
    monkeypatch.setattr(closed_form, "ENTRIES", entries)
    x, y = places(manifold, dtype).requires_grad_(), places(manifold, dtype, 30).flip(0).requires_grad_()
    for points in ((x,), (x, y)):
        matrix, expected = manifold.pairwise(*points), Manifold.pairwise(manifold, *points)
        size = float(expected.detach().max())
        assert (matrix - expected).abs().max() <= EXACT[dtype] * size
        slopes = zip(gradients(matrix, points), gradients(expected, points), strict=True)
        assert all((a - b).abs().max() <= 30 * EXACT[dtype] * b.abs().max() for a, b in slopes)
    matrix = manifold.pairwise(x)
    assert torch.equal(matrix, matrix.T)
    assert not matrix.diagonal().any()


@everywhere
@both
def test_near_points_keep_their_digits(manifold, dtype):
    """A Gram matrix alone loses half of them."""
    x = places(manifold, dtype)
    matrix, expected = manifold.pairwise(x), manifold.distance(x[:, None], x[None])
    near = (expected > 0) & (expected < 0.04 * expected.max())
    assert near.sum() > 8
    assert ((matrix - expected).abs() <= 4 * torch.finfo(dtype).eps * expected)[near].all()


@everywhere
def test_second_derivatives_and_gradients_of_one_argument(manifold):
    x = manifold.project(manifold.random_point(5, seeded()).double()).requires_grad_()
    y = manifold.project(manifold.random_point(3, seeded(1)).double())
    for call in (lambda z: manifold.pairwise(z), lambda z: manifold.pairwise(z, y)):
        assert torch.autograd.gradgradcheck(call, (x,))
    fixed = x.detach()
    (slope,) = gradients(manifold.pairwise(fixed, y.requires_grad_()), (y,))
    (expected,) = gradients(Manifold.pairwise(manifold, fixed, y), (y,))
    assert torch.allclose(slope, expected)


# PyTorch scripts its own forward derivatives when they are first used.
@everywhere
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transforms_forward_derivatives_and_batched_gradients(manifold):
    x = manifold.project(manifold.random_point(4, seeded()).double())
    jacobian = torch.autograd.functional.jacobian(manifold.pairwise, x)
    assert torch.allclose(torch.func.jacrev(manifold.pairwise)(x), jacobian)
    assert torch.allclose(torch.autograd.functional.jacobian(manifold.pairwise, x, vectorize=True), jacobian)
    way = torch.randn(x.shape, generator=seeded(), dtype=x.dtype)
    with torch.autograd.forward_ad.dual_level():
        moving = torch.autograd.forward_ad.make_dual(x, way)
        slope = torch.autograd.forward_ad.unpack_dual(manifold.pairwise(moving)).tangent
    assert torch.allclose(slope, (jacobian * way).flatten(2).sum(-1))


def test_a_subclass_s_own_distance_decides():
    class Squared(Torus):
        def distance(self, x, y):
            return super().distance(x, y) ** 2

    x = places(Torus(), torch.float64)
    assert torch.equal(Squared().pairwise(x), Manifold.pairwise(Squared(), x))
    assert torch.allclose(Squared().pairwise(x), Torus().pairwise(x) ** 2)


def test_an_axis_with_two_shortest_ways_has_no_slope():
    x = torch.tensor([[0.0, 1.0], [5.0, 2.0]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(Torus().pairwise(x)[0, 1], x)
    assert not slope[:, 0].any()
    assert slope[:, 1].all()


def test_a_matrix_changed_in_place_keeps_its_gradient():
    x = places(Torus(), torch.float64).requires_grad_()
    (expected,) = torch.autograd.grad((2 * Torus().pairwise(x)).sum(), x)
    (slope,) = torch.autograd.grad(Torus().pairwise(x).mul_(2).sum(), x)
    assert torch.equal(slope, expected)
