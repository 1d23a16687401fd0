"""Spheres and projective spaces: points are unit vectors, lengths are scaled by the radius."""

import torch
from torch import Tensor
from torch.linalg import vector_norm

from moduli.manifolds.manifold import Isometry
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.closed_form import ClosedForm
from moduli.manifolds.spaces.norms import root, squared_chord, squared_cochord
from moduli.manifolds.spaces.quotient import DoubleQuotient
from moduli.manifolds.spaces.sampling import normal, random_orthogonal
from moduli.requirements import require_dimension, require_positive

# Up to this inner product an arccosine, and the quotient by the sine, lose one digit at most.
STEEP = 0.99


@register("sphere")
class Sphere(ClosedForm):
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
        chord, cochord = root(squared_chord(x, y)), root(squared_cochord(x, y))
        return torch.atan2(chord, cochord) * (2 * self.radius)

    def prepared(self, x: Tensor) -> Tensor:
        """Return points, and beside them the unit vectors along them, from which rounding moved them."""
        return torch.cat([x, self.project(x)], dim=1)

    def strip(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the arccosines of inner products; where they are steep, what ``distance`` returns."""
        (x, unit), (y, other_unit) = x.tensor_split(2, dim=1), y.tensor_split(2, dim=1)
        inner = unit @ other_unit.mT
        i, j = _near_the_ends(inner)
        lengths = inner.arccos_().mul_(self.radius)
        lengths[i, j] = self.distance(x[i], y[j])
        return lengths

    def pull(self, x: Tensor, y: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients: ``-R (y - ⟨x, y⟩ x) / sin θ`` with respect to x, a tangent."""
        (x, unit), (y, other_unit) = x.tensor_split(2, dim=1), y.tensor_split(2, dim=1)
        inner = unit @ other_unit.mT
        i, j = _near_the_ends(inner)
        near, far = (points.detach().requires_grad_() for points in (x[i], y[j]))
        with torch.enable_grad():
            total = (self.distance(near, far) * upstream[i, j]).sum()
        slopes = torch.autograd.grad(total, (near, far))
        upstream.div_((1 - inner.square_()).sqrt_().mul_(-1 / self.radius))
        upstream[i, j] = 0
        one = _tangent(unit, upstream @ other_unit).index_add_(0, i, slopes[0])
        other = _tangent(other_unit, upstream.mT @ unit).index_add_(0, j, slopes[1])
        return one, other

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw unit vectors uniformly, as normalised Gaussian vectors."""
        return self.project(normal(n, self.dim + 1, generator=generator))

    def project(self, x: Tensor) -> Tensor:
        """Return the unit vector along ``x``; the first basis vector for zero."""
        length = vector_norm(x, dim=-1, keepdim=True)
        first = torch.zeros_like(x)
        first[..., 0] = 1
        return torch.where(length > 0, x / torch.where(length > 0, length, 1), first)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the antipode."""
        return -x[None]

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a rotation or reflection."""
        rotation = random_orthogonal(self.dim + 1, generator)
        return lambda x: x @ rotation.to(x).mT


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


@register("projective")
class ProjectiveSpace(DoubleQuotient):
    """The real projective space of dimension ``dim``: the sphere with antipodes identified.

    Points are unit vectors, and ``x`` and ``-x`` represent the same one. Distance:
    ``min(d(x, y), d(x, -y))`` with the distance d of the sphere of the given radius.

    Parameters
    ----------
    dim : int
        Dimension; points have ``dim + 1`` coordinates.
    radius : float
        Radius of the sphere that covers it, in units of length; distances reach ``π R / 2``.

    Examples
    --------
    >>> x, y = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([-1.0, 0.0, 0.0])
    >>> ProjectiveSpace(2).distance(x, y)
    tensor(0.)
    """

    cover: Sphere

    def __init__(self, dim: int = 2, radius: float = 5.0) -> None:
        self.cover = Sphere(dim, radius)
        self.dim, self.radius = self.cover.dim, self.cover.radius
        self.point_shape = self.cover.point_shape

    def deck(self, x: Tensor) -> Tensor:
        """Return the antipode."""
        return -x

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw points uniformly."""
        return self.project(self.cover.random_point(n, generator))

    def project(self, x: Tensor) -> Tensor:
        """Return the unit vector along ``x`` whose first coordinate other than zero is positive."""
        unit = self.cover.project(x)
        first = (unit != 0).to(torch.uint8).argmax(dim=-1, keepdim=True)
        return unit * unit.gather(-1, first).sign()

    def cut_points(self, x: Tensor) -> Tensor:
        """Return a point at right angles to ``x``."""
        axis = torch.zeros_like(x).scatter(-1, x.abs().argmin(dim=-1, keepdim=True), 1.0)
        return self.cover.project(axis - (axis * x).sum(-1, keepdim=True) * x)[None]

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a rotation or reflection of the sphere."""
        return self.cover.random_isometry(generator)


@register("projective_plane")
class ProjectivePlane(ProjectiveSpace):
    """The real projective plane; points are unit vectors of space, up to sign.

    Distance: as on `ProjectiveSpace`.

    Parameters
    ----------
    radius : float
        Radius of the sphere that covers it, in units of length.

    Examples
    --------
    >>> ProjectivePlane().point_shape
    (3,)
    """

    def __init__(self, radius: float = 5.0) -> None:
        super().__init__(dim=2, radius=radius)


def _near_the_ends(inner: Tensor) -> tuple[Tensor, ...]:
    """Return the places of inner products at which the arccosine is steep."""
    return (inner.abs() > STEEP).nonzero(as_tuple=True)


def _tangent(x: Tensor, direction: Tensor) -> Tensor:
    """Return the part of directions that is at right angles to unit vectors."""
    return direction - (direction * x).sum(-1, keepdim=True) * x
