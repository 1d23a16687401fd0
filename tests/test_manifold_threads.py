"""Clause M12: results and torch's default dtype are as with one thread."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from moduli.manifolds import InvalidDistance, from_geomstats
from moduli.manifolds.spaces.surroundings import DoublePrecision

RACE = """
import random, sys, threading
import numpy as np
import torch
from moduli.manifolds import Sphere, make

sys.setswitchinterval(1e-6)
stop, wrong = threading.Event(), []
torch.manual_seed(5)
expected = [torch.rand(4) for _ in range(200)]

def watch():
    torch.manual_seed(5)
    drawn = []
    while not stop.is_set():
        if torch.get_default_dtype() != torch.float32 or torch.ones(1).dtype != torch.float32:
            wrong.append("dtype")
            return
        if len(drawn) < 200:
            drawn.append(torch.rand(4))
    if not all(torch.equal(a, b) for a, b in zip(drawn, expected)):
        wrong.append("random numbers")

watcher = threading.Thread(target=watch)
watcher.start()
space = make("geomstats", space="geomstats.geometry.hypersphere:Hypersphere", dim=2)
alone = [space.random_point(5, torch.Generator().manual_seed(seed)) for seed in range(8)]
tables = [space.pairwise(points) for points in alone]

def work(start):
    for seed in [*range(start, 8), *range(start)]:
        points = space.random_point(5, torch.Generator().manual_seed(seed))
        if not torch.equal(points, alone[seed]) or not torch.equal(space.pairwise(points), tables[seed]):
            wrong.append(f"points of seed {seed}")

workers = [threading.Thread(target=work, args=(start,)) for start in range(0, 8, 2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
stop.set()
watcher.join()
assert torch.get_default_dtype() == torch.float32
print(sorted(set(wrong)))
"""

# What this library did once: another thread sees the default dtype of the call.
FAULT = """
import contextlib
import moduli.manifolds.spaces.geomstats as ours

@contextlib.contextmanager
def surroundings(seed=None, proper=ours.surroundings):
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with proper(seed):
        yield
    torch.set_default_dtype(before)

ours.surroundings = surroundings
"""


@pytest.mark.parametrize(("backend", "fault"), [("numpy", False), ("pytorch", False), ("pytorch", True)])
def test_other_threads_notice_nothing(backend, fault):
    code = RACE.replace("sys.setswitch", FAULT + "sys.setswitch") if fault else RACE
    environment = {**os.environ, "GEOMSTATS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    if fault:
        assert "dtype" in done.stdout or done.returncode, "the planted race went unnoticed"
    else:
        assert done.stdout == "[]\n", done.stderr


def test_numbers_without_a_dtype_are_doubles_in_the_mode_alone():
    with DoublePrecision():
        assert torch.equal(torch.tensor(0.1), torch.tensor(0.1, dtype=torch.float64))
        assert torch.zeros(2).dtype == torch.eye(2).dtype == torch.rand(2).dtype == torch.float64
        assert torch.tensor([1, 2]).dtype == torch.int64
        assert (torch.tensor([1, 2]) / 3).tolist() == [1 / 3, 2 / 3]
        assert torch.tensor([1]).sqrt().dtype == torch.linspace(0, 1, 3).dtype == torch.float64
        assert torch.tensor(1j).dtype == torch.complex128
        assert torch.ones(1, dtype=torch.float32).add(1).dtype == torch.float32
    assert torch.tensor(0.1).dtype == torch.float32


def spaces():
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.poincare_ball import PoincareBall
    from geomstats.geometry.product_manifold import ProductManifold
    from geomstats.geometry.spd_matrices import SPDAffineMetric, SPDMatrices
    from geomstats.geometry.special_euclidean import SpecialEuclidean
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    scaled = SPDMatrices(2, equip=False)
    scaled.equip_with_metric(SPDAffineMetric)
    return [
        Hypersphere(2), Hypersphere(3), PoincareBall(2), SpecialOrthogonal(3), SpecialEuclidean(2), scaled,
        ProductManifold([Hypersphere(2), PoincareBall(2)]),
    ]  # fmt: skip


def test_copies_of_geomstats_spaces_are_equal_and_others_are_not():
    manifolds = [from_geomstats(space) for space in spaces()]
    for manifold in manifolds:
        points = manifold.random_point(3, torch.Generator().manual_seed(0))
        for again in (copy.deepcopy(manifold), copy.copy(manifold), pickle.loads(pickle.dumps(manifold))):
            assert again == manifold
            assert hash(again) == hash(manifold)
            assert torch.equal(again.pairwise(points), manifold.pairwise(points))
    for i, manifold in enumerate(manifolds):
        assert [other == manifold for other in manifolds] == [i == j for j in range(len(manifolds))]


def test_a_complex_distance_is_refused_not_cut():
    from geomstats.geometry.special_euclidean import SpecialEuclidean

    manifold = from_geomstats(SpecialEuclidean(2))
    half_turn = torch.tensor([[-1.0, 0, 0], [0, -1, 1], [0, 0, 1]], dtype=torch.float64)
    with pytest.raises(InvalidDistance, match=r"is the complex number .*j, since its formula fails"):
        manifold.distance(torch.eye(3, dtype=torch.float64), half_turn)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
    assert float(manifold.distance(torch.eye(3, dtype=torch.float64), quarter)) == pytest.approx(
        np.pi / 2**0.5
    )
