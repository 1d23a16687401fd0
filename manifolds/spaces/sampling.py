"""Random tensors on the device of their generator."""

import torch
from torch import Tensor


def uniform(n: int, dim: int, generator: torch.Generator | None) -> Tensor:
    """Return an ``(n, dim)`` tensor of numbers uniform in [0, 1)."""
    return torch.rand(n, dim, generator=generator, device=_device(generator))


def normal(*shape: int, generator: torch.Generator | None) -> Tensor:
    """Return a tensor of standard normal numbers."""
    return torch.randn(*shape, generator=generator, device=_device(generator))


def random_signs(n: int, generator: torch.Generator | None) -> Tensor:
    """Return n numbers, each 1 or -1."""
    return 2.0 * torch.randint(2, (n,), generator=generator, device=_device(generator)) - 1


def random_orthogonal(n: int, generator: torch.Generator | None) -> Tensor:
    """Return an orthogonal ``(n, n)`` matrix in float64, so that it is one in every dtype.

    The orthogonal factor of a Gaussian matrix is uniform once the other factor's diagonal is made
    positive (Mezzadri, "How to generate random matrices from the classical compact groups", 2007).
    """
    q, r = torch.linalg.qr(normal(n, n, generator=generator).double())
    return torch.as_tensor(q * r.diagonal().sign())


def _device(generator: torch.Generator | None) -> torch.device | None:
    return None if generator is None else generator.device
