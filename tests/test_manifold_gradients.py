"""Clauses M2 and M3: torch.func, lists without pairs, the meta device, half precision; plain arguments."""

import math

import numpy as np
import pytest
import torch

from moduli.manifolds import (
    Circle,
    Euclidean,
    Hyperbolic,
    InvalidParameter,
    InvalidPoints,
    from_distances,
    from_geomstats,
    verify,
)
from tests.conftest import SPACES, seeded

everywhere = pytest.mark.parametrize("manifold", SPACES, ids=repr)


@everywhere
def test_function_transforms_agree_with_backward(manifold):
    x = manifold.random_point(4, seeded()).double().requires_grad_()
    manifold.pairwise(x).square().sum().backward()
    gradient = torch.func.grad(lambda x: manifold.pairwise(x).square().sum())(x.detach())
    assert torch.allclose(gradient, x.grad)
    jacobian = torch.func.jacrev(manifold.pairwise)(x.detach())
    assert jacobian.shape == (4, 4, *x.shape)
    expected = torch.autograd.functional.jacobian(manifold.pairwise, x.detach())
    assert torch.allclose(jacobian, expected)


@everywhere
@pytest.mark.parametrize("n", [0, 1])
def test_without_pairs_the_gradient_is_zero(manifold, n):
    x = manifold.random_point(n, seeded()).requires_grad_()
    manifold.pairwise(x).sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))
    others = manifold.random_point(3, seeded(1)).requires_grad_()
    manifold.pairwise(x[:0], others).sum().backward()
    assert torch.equal(others.grad, torch.zeros_like(others))


@pytest.mark.parametrize("manifold", [*SPACES, from_distances([[0, 1], [1, 0]])], ids=repr)
def test_the_meta_device_gives_shapes(manifold):
    x = manifold.random_point(5, seeded()).to("meta")
    matrix = manifold.pairwise(x)
    assert (matrix.shape, matrix.device.type, matrix.dtype) == ((5, 5), "meta", torch.float32)
    assert manifold.pairwise(x, x[:2]).shape == (5, 2)


def test_geomstats_says_that_it_needs_values():
    from geomstats.geometry.hypersphere import Hypersphere

    with pytest.raises(InvalidPoints, match="geomstats needs the values of points"):
        from_geomstats(Hypersphere(2)).pairwise(torch.empty(3, 3, device="meta"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 5.0, 50.0])
def test_hyperbolic_space_in_half_precision(dtype, size):
    space = Hyperbolic(3, size=size)
    x = space.project(space.random_point(200, seeded()).to(dtype))
    assert space.contains(x).all()
    matrix = space.pairwise(x)
    assert matrix.dtype == dtype
    assert torch.allclose(matrix.double(), space.pairwise(x.double()), rtol=2 * torch.finfo(dtype).eps)
    x = x.requires_grad_()
    space.pairwise(x).mean().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(("dim", "size"), [(1, 3.0), (2, 0.05), (2, 5.0), (3, 4.0), (5, 2.0)])
def test_hyperbolic_points_by_volume(dim, size):
    space = Hyperbolic(dim, size, density="volume")
    n = 20_000
    radii = 2 * torch.atanh(space.random_point(n, seeded()).double().norm(dim=-1))
    assert float(radii.max()) <= size * (1 + 1e-4)
    grid = np.linspace(0, size, 20_001)
    volume = np.cumsum(np.sinh(grid) ** (dim - 1))
    shares = np.interp(radii.numpy(), grid, volume / volume[-1])
    # Kolmogorov and Smirnov's bound of one in ten thousand.
    assert np.abs(np.sort(shares) - np.arange(n) / n).max() < 2.3 / math.sqrt(n)
    flat = 2 * torch.atanh(Hyperbolic(dim, size).random_point(n, seeded()).double().norm(dim=-1))
    if dim > 1 and size > 1:
        assert float(flat.median()) < float(radii.median())


def test_the_density_of_hyperbolic_points_is_said():
    space = Hyperbolic(2, density="volume")
    assert "density='volume'" in repr(space)
    assert space.spec["kwargs"] == {"dim": 2, "size": 5.0, "density": "volume"}
    verify(space)
    with pytest.raises(InvalidParameter, match="Unknown density 'volumes'; did you mean 'volume'"):
        Hyperbolic(2, density="volumes")


def test_numpy_s_numbers_and_arrays_are_plain_in_a_spec():
    import json

    from moduli.manifolds import Manifold, make

    assert Euclidean(np.int64(3), size=np.float32(2)) == Euclidean(3, size=2.0)
    assert json.dumps(Circle(radius=np.float64(2)).spec) == json.dumps(Circle(radius=2.0).spec)
    assert hash(Circle(radius=2)) == hash(Circle(radius=2.0))
    assert repr(Circle(radius=np.float64(2))) == repr(Circle(radius=2.0))

    class Landmarks(Manifold):
        point_shape = (1,)

        def __init__(self, where, scale=1.0):
            self.where, self.scale = where, scale

        def distance(self, x, y):
            return (x - y).abs()[..., 0] * self.scale

        def random_point(self, n, generator=None):
            return torch.rand(n, 1, generator=generator)

    where = np.arange(6.0).reshape(3, 2)
    given = [Landmarks(kind(where)) for kind in (np.array, torch.tensor, np.ndarray.tolist)]
    for manifold in given:
        assert manifold == given[0]
        assert hash(manifold) == hash(given[0])
        assert repr(manifold) == repr(given[0])
        assert json.loads(json.dumps(manifold.spec["kwargs"])) == {"where": where.tolist(), "scale": 1.0}
        assert manifold != Landmarks(where + 1)
        assert manifold != Landmarks(where[:2])
    assert Landmarks(where, scale=torch.tensor(2.0)).spec["kwargs"]["scale"] == 2.0
    before = Landmarks(where)
    where[0, 0] = 9
    assert before == given[2]
    assert "<array of shape (50, 3)>" in repr(Landmarks(np.zeros((50, 3))))
    assert make("euclidean", dim=np.int64(2)) == Euclidean(2)
