"""Clause M5: any geomstats space, torch in and out, whatever the backend and the order of imports."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from moduli.manifolds import (
    GeomstatsManifold,
    InvalidParameter,
    InvalidPoints,
    NotDifferentiable,
    Sphere,
    from_geomstats,
    make,
    verify,
)
from tests.conftest import seeded


def sphere(dim: int = 2):
    from geomstats.geometry.hypersphere import Hypersphere

    return from_geomstats(Hypersphere(dim))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tensors_go_in_and_come_out(dtype):
    manifold, ours = sphere(), Sphere(2, radius=1.0)
    x, y = ours.random_point(12, seeded()).to(dtype).split(6)
    distances = manifold.distance(x, y)
    assert distances.dtype == dtype
    assert torch.allclose(distances, ours.distance(x, y), atol=1e-6)
    assert manifold.distance(x[:, None], y[None]).shape == (6, 6)
    assert manifold.distance(x[0], y[0]).shape == ()
    assert manifold.distance(x[:0], y[0]).shape == (0,)
    matrix = manifold.pairwise(x)
    assert torch.equal(matrix, matrix.T)
    assert torch.equal(matrix.diagonal(), torch.zeros(6, dtype=dtype))


@pytest.mark.parametrize("n", [0, 1, 2])
def test_random_points_are_seeded_and_leave_every_global_generator(n):
    manifold = sphere()
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    first, again = (manifold.random_point(n, seeded(5)) for _ in range(2))
    assert first.shape == (n, 3)
    assert first.dtype == torch.get_default_dtype()
    assert torch.equal(first, again)
    assert n == 0 or not torch.equal(first, manifold.random_point(n, seeded(6)))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (str(np.random.get_state()), random.getstate())


def test_without_a_generator_torch_s_global_one_decides():
    manifold = sphere()
    torch.manual_seed(3)
    first, second = manifold.random_point(4), manifold.random_point(4)
    torch.manual_seed(3)
    assert torch.equal(manifold.random_point(4), first)
    assert not torch.equal(first, second)


def test_a_gradient_through_numpy_is_refused_not_dropped():
    manifold = sphere()
    x = manifold.random_point(3, seeded()).requires_grad_()
    with pytest.raises(NotDifferentiable, match="GEOMSTATS_BACKEND=pytorch"):
        manifold.pairwise(x)
    with torch.no_grad():
        assert manifold.pairwise(x).isfinite().all()


def test_points_off_the_space_are_refused_and_project_puts_them_on():
    manifold = sphere()
    off = torch.tensor([[3.0, 0.0, 4.0]])
    with pytest.raises(InvalidPoints, match="point 0"):
        manifold.pairwise(off)
    assert torch.allclose(manifold.project(off), torch.tensor([[0.6, 0.0, 0.8]]))


def test_a_space_named_by_its_import_string_has_a_spec():
    manifold = make("geomstats", space="geomstats.geometry.poincare_ball:PoincareBall", dim=3)
    spec = manifold.spec
    assert make(spec["name"], **spec["kwargs"]) == manifold
    assert manifold.point_shape == (3,)
    assert eval(repr(manifold)) == manifold


@pytest.mark.parametrize(
    "space",
    [
        "geomstats.geometry.poincare_ball:PoincareBall",
        "geomstats.geometry.hyperboloid:Hyperboloid",
        "geomstats.geometry.hypersphere:Hypersphere",
        "geomstats.geometry.euclidean:Euclidean",
    ],
)
def test_geomstats_spaces_are_verified(space):
    verify(GeomstatsManifold(space, dim=2), cases=2000)


def test_rotations_as_vectors_and_matrices_of_two_sizes():
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    for n, point_type, shape in ((3, "vector", (3,)), (3, "matrix", (3, 3)), (4, "matrix", (4, 4))):
        manifold = from_geomstats(SpecialOrthogonal(n, point_type=point_type))
        assert manifold.point_shape == shape
        matrix = manifold.pairwise(manifold.random_point(4, seeded()))
        assert matrix.isfinite().all()
        assert (matrix.fill_diagonal_(1) > 0).all()


def test_products_of_geomstats():
    from geomstats.geometry.euclidean import Euclidean
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.product_manifold import ProductManifold

    manifold = from_geomstats(ProductManifold([Hypersphere(2), Euclidean(2)]))
    points = manifold.random_point(4, seeded())
    assert manifold.pairwise(points).isfinite().all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: from_geomstats(3), "needs a geomstats space, got 3"),
        (lambda: GeomstatsManifold("geomstats.geometry.hypersphere:Hyperspere"), "did you mean 'Hypersph"),
        (lambda: GeomstatsManifold("geomstats.geometry.hypersphere:Hypersphere"), "could not be made: Type"),
        (lambda: GeomstatsManifold(sphere().space, dim=2), "need the name of the space's class"),
        (lambda: from_geomstats(unequipped()), "has no metric with a distance; call"),
    ],
)
def test_what_is_no_space_is_refused(build, message):
    with pytest.raises(InvalidParameter, match=message):
        build()


def unequipped():
    from geomstats.geometry.hypersphere import Hypersphere

    return Hypersphere(2, equip=False)


PROGRAM = """
import torch
{first}
{second}
from geomstats.geometry.hypersphere import Hypersphere
from geomstats.geometry.spd_matrices import SPDMatrices
import geomstats.backend as backend
torch.set_default_dtype(torch.float32)
assert backend.__name__.endswith("{backend}"), backend.__name__
manifold = from_geomstats(Hypersphere(2))
points = manifold.random_point(5, torch.Generator().manual_seed(0))
assert points.dtype == torch.float32
x = torch.cat([points, points[:1]])
assert torch.allclose(manifold.pairwise(x), Sphere(2, radius=1.0).pairwise(x), atol=1e-5)
assert manifold.pairwise(x).dtype == torch.float32
x.requires_grad_()
try:
    manifold.pairwise(x).sum().backward()
    # Two of the points coincide.
    assert x.grad.isfinite().all() and x.grad.abs().sum() > 0 and "{backend}" == "pytorch"
    verify(manifold, cases=200)
except NotDifferentiable:
    assert "{backend}" == "numpy"
spd = from_geomstats(SPDMatrices(2))
points = spd.random_point(5, torch.Generator().manual_seed(0))
assert torch.allclose(spd.pairwise(points), SPD(2).pairwise(points), atol=1e-4)
print("done", end="")
"""


@pytest.mark.parametrize("backend", ["numpy", "pytorch"])
@pytest.mark.parametrize("ours_first", [True, False])
def test_both_backends_in_both_orders_of_import(backend, ours_first):
    lines = [
        "from moduli.manifolds import NotDifferentiable, SPD, Sphere, from_geomstats, verify",
        "import geomstats.geometry.euclidean",
    ]
    first, second = lines if ours_first else reversed(lines)
    environment = {key: value for key, value in os.environ.items() if key != "GEOMSTATS_BACKEND"}
    if backend == "pytorch":
        environment["GEOMSTATS_BACKEND"] = backend
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first, second=second, backend=backend)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.stdout == "done", done.stderr


def test_making_a_space_by_name_keeps_torch_s_default_dtype():
    """geomstats' PyTorch backend sets it to float64 when it is first imported."""
    code = """
import torch
from moduli.manifolds import make
manifold = make("geomstats", space="geomstats.geometry.hypersphere:Hypersphere", dim=2)
assert torch.get_default_dtype() == torch.float32
assert manifold.random_point(2).dtype == torch.float32
"""
    environment = {**os.environ, "GEOMSTATS_BACKEND": "pytorch"}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == 0
