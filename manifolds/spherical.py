"""Spheres in extrinsic coordinates: points are unit vectors, lengths are scaled by the radius."""

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.manifold import Manifold
from moduli.manifolds.parameters import require_dimension, require_positive
from moduli.manifolds.registry import register


@register("sphere")
class Sphere(Manifold):
    """The round sphere of dimension ``dim`` and the given radius; points are unit vectors.

    Distance: ``2 R atan2(|x - y|, |x + y|)``, which equals ``R arccos⟨x, y⟩`` but keeps its accuracy
    and its gradient at coincident and antipodal points (Kahan, "How futile are mindless assessments
    of roundoff", 2006, section 12).

    Parameters
    ----------
    dim : int
        Dimension; points have ``dim + 1`` coordinates.
    radius : float
        Radius R, in units of length; 5 in the paper (10 for its 3-sphere).

    Examples
    --------
    >>> pole, equator = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
    >>> Sphere(2, radius=2.0).distance(pole, equator)
    tensor(3.1416)
    """

    def __init__(self, dim: int = 2, radius: float = 5.0) -> None:
        self.dim = require_dimension("Sphere", dim)
        self.radius = require_positive("Sphere", "radius", radius)
        self.point_shape = (self.dim + 1,)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the length of the great-circle arc."""
        chord, cochord = vector_norm(x - y, dim=-1), vector_norm(x + y, dim=-1)
        return 2 * self.radius * torch.atan2(chord, cochord)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw unit vectors uniformly, as normalised Gaussian vectors."""
        device = None if generator is None else generator.device
        return self.project(torch.randn(n, self.dim + 1, generator=generator, device=device))

    def project(self, x: Tensor) -> Tensor:
        """Return the unit vector along ``x``; the first basis vector for zero."""
        length = vector_norm(x, dim=-1, keepdim=True)
        first = torch.zeros_like(x)
        first[..., 0] = 1
        return torch.where(length > 0, x / torch.where(length > 0, length, 1), first)


@register("circle")
class Circle(Sphere):
    """The circle of the given radius; points are unit vectors of the plane.

    Distance: ``R`` times the angle between the vectors, as on `Sphere`.

    Parameters
    ----------
    radius : float
        Radius R, in units of length; 5 in the paper.

    Examples
    --------
    >>> Circle(radius=1.0).distance(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]))
    tensor(3.1416)
    """

    def __init__(self, radius: float = 5.0) -> None:
        super().__init__(dim=1, radius=radius)
