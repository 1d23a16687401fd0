"""What every test shares: one thread each, since the tests themselves run side by side."""

import os

import pytest
import torch
from hypothesis import Phase, settings
from torch import Tensor

from moduli.manifolds import (
    Circle,
    Euclidean,
    Hyperbolic,
    KleinBottle,
    MobiusBand,
    Product,
    ProjectivePlane,
    Rotations,
    Scaled,
    Sphere,
    Torus,
)

torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start

# Timed deadlines would make tests fail on a busy machine; derandomised, a run repeats exactly.
settings.register_profile("moduli", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("unshrunk", settings.get_profile("moduli"), phases=[Phase.generate])
settings.load_profile("moduli")

pytest_plugins = ["pytester"]


@pytest.fixture
def unshrunk():
    """What is found is not made simpler, where a test only asks whether it is found."""
    settings.load_profile("unshrunk")
    yield
    settings.load_profile("moduli")


@pytest.fixture(autouse=True)
def weights_repeat():
    """PyTorch's modules draw their weights from the global generator."""
    torch.manual_seed(0)


SPACES = [
    Circle(), Sphere(), Sphere(3, radius=10.0), Torus(), Torus(6), KleinBottle(), MobiusBand(), Euclidean(),
    Hyperbolic(2), ProjectivePlane(), Rotations(3), Product(Circle(), Euclidean(1)), Scaled(Torus(), 2.0),
]  # fmt: skip
"""What the property tests of regularizers and embeddings run over; a new space joins by standing here."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=seeded(seed))
