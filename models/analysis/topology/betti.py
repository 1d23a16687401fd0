"""The Betti numbers of the built-in manifolds, over the field with ``prime`` elements.

Unless a function names another source, they are those of Hatcher, "Algebraic Topology", chapter 2.
"""

from functools import reduce, singledispatch
from math import comb

from moduli.manifolds import (
    SPD,
    Cylinder,
    Euclidean,
    Grassmannian,
    Hyperbolic,
    KleinBottle,
    Manifold,
    MobiusBand,
    Product,
    ProjectiveSpace,
    Rotations,
    Scaled,
    Sphere,
    Torus,
)
from moduli.models.analysis.topology.errors import UnknownTopology

Betti = tuple[int, ...]


@singledispatch
def betti_numbers(manifold: Manifold, prime: int = 2) -> Betti:
    """Return how many holes of each dimension a manifold has: its Betti numbers.

    Parameters
    ----------
    manifold : Manifold
        A built-in manifold, or one of a class of your own whose numbers are registered with
        ``@betti_numbers.register``.
    prime : int
        Coefficients are taken from the field with this many elements; a space with torsion, such as
        the Klein bottle, has other numbers over 2 than over odd primes.

    Returns
    -------
    tuple of int
        The numbers in dimensions 0, 1, …; those that are left out are 0.

    Raises
    ------
    UnknownTopology
        If the numbers of this class are not known.

    Examples
    --------
    >>> betti_numbers(Torus(2))
    (1, 2, 1)
    >>> betti_numbers(KleinBottle(), 2), betti_numbers(KleinBottle(), 3)
    ((1, 2, 1), (1, 1))
    >>> betti_numbers(Product(Sphere(2), Sphere(1)))
    (1, 1, 1, 1)
    """
    raise UnknownTopology(
        f"The Betti numbers of {manifold!r} are not known; write a function of (manifold, prime) that "
        "returns them and decorate it with @betti_numbers.register."
    )


@betti_numbers.register(Euclidean)
@betti_numbers.register(Hyperbolic)
@betti_numbers.register(SPD)
def _contractible(manifold: Manifold, prime: int = 2) -> Betti:
    return (1,)


@betti_numbers.register(Cylinder)
@betti_numbers.register(MobiusBand)
def _band(manifold: Manifold, prime: int = 2) -> Betti:
    return betti_numbers(Sphere(1), prime)


@betti_numbers.register
def _sphere(manifold: Sphere, prime: int = 2) -> Betti:
    return (1, *[0] * (manifold.dim - 1), 1)


@betti_numbers.register
def _torus(manifold: Torus, prime: int = 2) -> Betti:
    return tuple(comb(manifold.dim, k) for k in range(manifold.dim + 1))


@betti_numbers.register
def _klein(manifold: KleinBottle, prime: int = 2) -> Betti:
    return (1, 2, 1) if prime == 2 else (1, 1)


@betti_numbers.register
def _projective(manifold: ProjectiveSpace, prime: int = 2) -> Betti:
    if prime == 2:
        return (1,) * (manifold.dim + 1)
    return (1, *[0] * (manifold.dim - 1), 1) if manifold.dim % 2 else (1,)


@betti_numbers.register
def _rotations(manifold: Rotations, prime: int = 2) -> Betti:
    """SO(3) is the projective space of dimension 3."""
    return betti_numbers(ProjectiveSpace(3), prime)


@betti_numbers.register
def _grassmannian(manifold: Grassmannian, prime: int = 2) -> Betti:
    """Over 2 one for each Schubert cell (Milnor and Stasheff, "Characteristic Classes", section 6).

    Over odd primes as over the rationals (Casian and Kodama, "On the cohomology of real Grassmann
    manifolds", arXiv 1309.5520), since all torsion has order 2.
    """
    n, k = manifold.n, manifold.k
    if prime == 2:
        return _gaussian_binomial(n, k, 1)
    if n % 2 == 0 and k % 2 == 1:
        return _multiply(_sphere(Sphere(n - 1)), _gaussian_binomial(n // 2 - 1, k // 2, 4))
    return _gaussian_binomial(n // 2, k // 2, 4)


@betti_numbers.register
def _scaled(manifold: Scaled, prime: int = 2) -> Betti:
    return betti_numbers(manifold.manifold, prime)


@betti_numbers.register
def _product(manifold: Product, prime: int = 2) -> Betti:
    """Over a field, Künneth's formula multiplies the polynomials ``Σ b_k t^k``."""
    return reduce(_multiply, [betti_numbers(factor, prime) for factor in manifold.factors])


def _multiply(first: Betti, second: Betti) -> Betti:
    product = [0] * (len(first) + len(second) - 1)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            product[i + j] += a * b
    return tuple(product)


def _gaussian_binomial(n: int, k: int, step: int) -> Betti:
    """Return the coefficients of the Gaussian binomial in ``t^step``, by Pascal's rule."""
    if k in (0, n):
        return (1,)
    left = _gaussian_binomial(n - 1, k - 1, step)
    right = (*[0] * (step * k), *_gaussian_binomial(n - 1, k, step))
    longest = max(len(left), len(right))
    pad = [(*numbers, *[0] * (longest - len(numbers))) for numbers in (left, right)]
    return tuple(a + b for a, b in zip(*pad, strict=True))
