"""Manifolds whose points are matrices: rotations, subspaces, covariances.

Points and metrics are those of geomstats; its geodesic distances take a matrix logarithm for each
pair in a Python loop, so closed forms stand in for them.
"""

import torch
from torch import Tensor
from torch.linalg import cholesky, qr, solve_triangular, vector_norm

from moduli.errors import InvalidParameter
from moduli.manifolds.manifold import Isometry, Manifold
from moduli.manifolds.registry import register
from moduli.manifolds.spaces.sampling import normal, random_orthogonal
from moduli.requirements import require_dimension

# The smallest eigenvalue of a covariance, relative to the largest: two covariances at this bound
# leave a distance in float64 with four digits.
SMALLEST_EIGENVALUE = 1e-6


def svd(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the singular value decomposition; half precision, which LAPACK lacks, in single."""
    u, values, v = torch.linalg.svd(_at_least_single(x))
    return u.to(x), values.to(x), v.to(x)


def eigh(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and eigenvectors of symmetric matrices; half precision in single."""
    values, vectors = torch.linalg.eigh(_at_least_single(x))
    return values.to(x), vectors.to(x)


def eigvalsh(x: Tensor) -> Tensor:
    """Return the eigenvalues of symmetric matrices; half precision in single."""
    values: Tensor = torch.linalg.eigvalsh(_at_least_single(x))
    return values.to(x)


def _at_least_single(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


@register("rotations")
class Rotations(Manifold):
    """The rotations of space, SO(3), as matrices.

    Distance: the angle φ of the rotation ``xᵀ y``, in radians (``|log(xᵀ y)|_F / √2``). Its axis
    times ``2 sin φ`` is the sum of the cross products of the rows of x and y, and
    ``2 cos φ = tr(xᵀ y) - 1``; the arctangent of the two is accurate at every angle.

    Parameters
    ----------
    n : int
        Size of the matrices; only 3 has this closed form.

    Examples
    --------
    >>> turn = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    >>> Rotations(3).distance(torch.eye(3), turn)
    tensor(1.5708)
    """

    point_shape = (3, 3)
    verification_cases = 2**11

    def __init__(self, n: int = 3) -> None:
        if require_dimension("Rotations", n, "n") != 3:
            raise InvalidParameter(
                f"Rotations: n must be 3, got {n!r}; from_geomstats(SpecialOrthogonal(n)) has the others."
            )

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the angle between two rotations."""
        x, y = torch.broadcast_tensors(x, y)  # type: ignore[no-untyped-call]
        sine = vector_norm(torch.linalg.cross(x, y, dim=-1).sum(-2), dim=-1)
        return torch.atan2(sine, (x * y).sum((-2, -1)) - 1)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw rotations uniformly (by Haar's measure)."""
        return self.project(normal(n, 3, 3, generator=generator))

    def project(self, x: Tensor) -> Tensor:
        """Return the rotation nearest to ``x`` in the Frobenius norm (Kabsch's algorithm)."""
        u, _, v = svd(x)
        orientation = torch.ones_like(x[..., 0])
        orientation[..., -1] = torch.linalg.det(_at_least_single(u @ v)).sign().to(x)
        return torch.as_tensor(u * orientation[..., None, :] @ v)

    def retract(self, x: Tensor, tangent: Tensor) -> Tensor:
        """Return ``x exp(a)`` with the skew part ``a`` of ``xᵀ tangent``: the geodesic's end.

        Unlike the projection's singular values, the exponential has a derivative everywhere.
        """
        turn = x.mT @ tangent
        moved: Tensor = x @ torch.linalg.matrix_exp((turn - turn.mT) / 2)
        return moved

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the rotations half a turn away, about each axis."""
        half_turns = x.new_tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        return torch.stack([x * signs for signs in half_turns])

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a multiplication by rotations from both sides."""
        left, right = self.project(normal(2, 3, 3, generator=generator).double())
        return lambda x: left.to(x) @ x @ right.to(x)


@register("grassmannian")
class Grassmannian(Manifold):
    """The subspaces of dimension ``k`` of ``R^n``, as orthogonal projectors of rank k.

    Distance: ``√2 |θ|`` with the k principal angles θ, which is the length of the shortest path of
    projectors in the Frobenius norm. The k largest eigenvalues of ``x - y`` are the sines of the
    angles, and those of ``x + y - 1`` are their cosines, since the two matrices' squares add up to 1
    (Kato, "Perturbation Theory for Linear Operators", section I.4.6); the arctangent of the two
    is accurate at every angle.

    Parameters
    ----------
    n : int
        Dimension of the space.
    k : int
        Dimension of the subspaces, less than n.

    Examples
    --------
    >>> x, y = torch.diag(torch.tensor([1.0, 0.0])), torch.diag(torch.tensor([0.0, 1.0]))
    >>> Grassmannian(2, 1).distance(x, y)
    tensor(2.2214)
    """

    verification_cases = 2**11

    def __init__(self, n: int = 4, k: int = 2) -> None:
        self.n, self.k = require_dimension("Grassmannian", n, "n"), require_dimension("Grassmannian", k, "k")
        if k >= n:
            raise InvalidParameter(f"Grassmannian: k must be less than n={n}, got {k}.")
        self.point_shape = (n, n)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return √2 times the norm of the principal angles."""
        identity = torch.eye(self.n, dtype=x.dtype, device=x.device)
        sines = eigvalsh(x - y)[..., -self.k :].flip(-1)
        cosines = eigvalsh(x + y - identity)[..., -self.k :]
        length: Tensor = vector_norm(torch.atan2(sines, cosines), dim=-1)
        return 2**0.5 * length

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw subspaces uniformly, as those that Gaussian vectors span."""
        frame, _ = qr(normal(n, self.n, self.k, generator=generator))
        return torch.as_tensor(frame @ frame.mT)

    def project(self, x: Tensor) -> Tensor:
        """Return the projector nearest to ``x``: on the eigenvectors of the k largest eigenvalues."""
        _, vectors = eigh((x + x.mT) / 2)
        frame = vectors[..., -self.k :]
        return torch.as_tensor(frame @ frame.mT)

    def cut_points(self, x: Tensor) -> Tensor:
        """Return the subspace with its first direction turned by a right angle."""
        _, vectors = eigh((x + x.mT) / 2)
        turned = torch.cat([vectors[..., :1], vectors[..., self.n - self.k + 1 :]], dim=-1)
        return torch.as_tensor(turned @ turned.mT)[None]

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a rotation or reflection of the whole space."""
        rotation = random_orthogonal(self.n, generator)
        return lambda x: rotation.to(x) @ x @ rotation.to(x).mT


@register("spd")
class SPD(Manifold):
    """The symmetric positive definite ``(n, n)`` matrices, with the affine-invariant metric.

    Distance: ``|log λ|`` with the eigenvalues λ of ``x⁻¹ y`` (Pennec, Fillard, Ayache, "A
    Riemannian framework for tensor computing", 2006), found as those of ``L⁻¹ y L⁻ᵀ`` with the
    Cholesky factor L of x.

    Parameters
    ----------
    n : int
        Size of the matrices.

    Examples
    --------
    >>> SPD(2).distance(torch.eye(2), torch.diag(torch.tensor([2.718282, 1.0])))
    tensor(1.)
    """

    verification_cases = 2**11

    def __init__(self, n: int = 3) -> None:
        self.n = require_dimension("SPD", n, "n")
        self.point_shape = (n, n)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the norm of the logarithms of the generalised eigenvalues."""
        # Rounding is multiplied by both matrices' condition numbers, too much for float32.
        factor = cholesky(x.double())
        half = solve_triangular(factor, y.double(), upper=False)
        whitened = solve_triangular(factor, half.mT, upper=False)
        length: Tensor = vector_norm(eigvalsh(whitened).log(), dim=-1)
        return length.to(x.dtype)

    def random_point(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Draw exponentials of Gaussian symmetric matrices."""
        values, vectors = eigh(_symmetric(normal(n, self.n, self.n, generator=generator)))
        return _symmetric(vectors * values.exp()[..., None, :] @ vectors.mT)

    def project(self, x: Tensor) -> Tensor:
        """Return the symmetric part of ``x``, made positive definite if it is not.

        Then its eigenvalues are raised to a thousandth of the largest absolute one.
        """
        values, vectors = eigh(_symmetric(x))
        top = values.abs().amax(dim=-1, keepdim=True)
        raised = torch.maximum(values, 1e-3 * torch.where(top > 0, top, 1))
        inside = (values[..., 0] > SMALLEST_EIGENVALUE * values[..., -1])[..., None, None]
        return torch.where(inside, _symmetric(x), _symmetric(vectors * raised[..., None, :] @ vectors.mT))

    def contains(self, x: Tensor) -> Tensor:
        """Tell whether the matrix is symmetric and positive definite, to a relative 1e-6."""
        asymmetry: Tensor = vector_norm(x - x.mT, dim=(-2, -1))
        values: Tensor = eigvalsh(_symmetric(x.double()))
        definite = values[..., 0] > SMALLEST_EIGENVALUE * values[..., -1]
        size: Tensor = vector_norm(x, dim=(-2, -1))
        return definite & (asymmetry <= 1e-6 * size)

    def random_isometry(self, generator: torch.Generator | None = None) -> Isometry:
        """Return a congruence ``x ↦ a x aᵀ``."""
        scales = torch.exp(normal(self.n, generator=generator) / 2).double()
        a = random_orthogonal(self.n, generator) * scales
        return lambda x: _symmetric(a.to(x) @ x @ a.to(x).mT)


def _symmetric(x: Tensor) -> Tensor:
    return (x + x.mT) / 2
