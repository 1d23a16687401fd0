"""Embeddings: where the neurons are, fixed or learned end to end."""

from importlib import import_module
from typing import Self

import torch
from torch import Tensor, nn

from moduli.manifolds import Manifold
from moduli.models.arguments import as_manifold, require_instance
from moduli.models.errors import InvalidEmbedding
from moduli.regularizers import Gaussian, Geometry
from moduli.requirements import require_dimension, require_seed


class Embedding(nn.Module):
    """One point of a manifold for each neuron, drawn at random, and learned if asked for.

    Calling the module returns the points. Learned points are a parameter, ``points``, for any
    optimizer: where a step has left the manifold, the next call projects the points back onto it,
    which on a quotient such as the torus means that they are wrapped. ``riemannian()`` lets geoopt's
    optimizers step along the manifold instead.

    An inhibitor that is free at distance zero is cheapest where all neurons are at one point:
    learned points need a term of the loss that keeps them apart, such as ``crowding``.

    Parameters
    ----------
    manifold : Manifold or str
        The space, or its name.
    n : int
        Number of neurons.
    learn : bool
        Whether the points are a parameter.
    seed : int
        Seed of the random points.

    Raises
    ------
    InvalidParameter
        If an argument is of another kind, or ``n`` is not positive.
    InvalidEmbedding
        If points are to be learned on a manifold whose distance has no gradient.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.regularizers import Diffusion, penalty
    >>> embedding = Embedding(Torus(2), 16, learn=True)
    >>> optimizer = torch.optim.Adam(embedding.parameters(), lr=0.1)
    >>> coefficients = Diffusion()(embedding.manifold, embedding())
    >>> (penalty(torch.ones(16, 16), coefficients) + embedding.crowding(length=2.0)).backward()
    >>> optimizer.step()
    >>> embedding().shape
    torch.Size([16, 2])
    """

    points: Tensor

    def __init__(self, manifold: Manifold | str, n: int, *, learn: bool = False, seed: int = 0) -> None:
        super().__init__()
        manifold = as_manifold(manifold)
        n = require_dimension("Embedding", n, "n")
        self.manifold = manifold
        self.learn = require_instance("learn", learn, bool, "True or False")
        points = manifold.random_point(n, torch.Generator().manual_seed(require_seed(seed)))
        if learn:
            _check_differentiable(manifold, points[:1])
            self.points = nn.Parameter(points)
        else:
            self.register_buffer("points", points)
        self.register_state_dict_pre_hook(_settle_before_saving)  # type: ignore[no-untyped-call]

    def forward(self) -> Tensor:
        """Return the points, on the manifold, of shape ``(n, *point_shape)``."""
        self.settle()
        return self.points

    @torch.no_grad()
    def settle(self) -> None:
        """Project the points onto the manifold, in place, where a step has left it."""
        nearest = self.manifold.project(self.points)
        # Projecting twice may differ by rounding; a change that small would only spoil autograd's graph.
        tolerance = 8 * torch.finfo(self.points.dtype).eps * (1 + self.points.abs())
        if ((nearest - self.points).abs() > tolerance).any():
            self.points.copy_(nearest)

    def crowding(self, length: float) -> Tensor:
        """Return how crowded the points are: a term for the loss that keeps them apart.

        Formula: the mean of ``exp(-d² / length²)`` over pairs of neurons, between 0 and 1. Source:
        the Gaussian potential of Wang and Isola, "Understanding contrastive representation learning
        through alignment and uniformity on the hypersphere", 2020, without its logarithm.

        Parameters
        ----------
        length : float
            Distance up to which neurons push each other away, in units of length.

        Returns
        -------
        Tensor
            A scalar.

        Raises
        ------
        InvalidEmbedding
            If there is one neuron only.
        """
        if len(self.points) < 2:
            raise InvalidEmbedding(
                "Crowding is between neurons, and this embedding places only one; leave it out of the loss."
            )
        geometry = Geometry(self.manifold, self())
        return geometry.mean(Gaussian(length, amplitude=1.0).evaluate(geometry))

    def riemannian(self) -> Self:
        """Make the points a parameter along whose manifold geoopt's optimizers step.

        Call it before the optimizer is made. Steps use the manifold's ``retract``, and the
        coordinates' Euclidean inner product on tangent vectors.

        Returns
        -------
        Embedding
            This embedding itself.

        Raises
        ------
        MissingDependency
            If geoopt is not installed.
        InvalidEmbedding
            If the points are not learned.
        """
        if not self.learn:
            raise InvalidEmbedding("Only a learned embedding has steps to take; pass learn=True.")
        # A module of its own, which asks for geoopt when it is imported.
        riemannian = import_module("moduli.models.placement.riemannian")
        self.points = riemannian.manifold_parameter(self.manifold, self())
        return self

    def extra_repr(self) -> str:
        """Return what a module's repr shows."""
        return f"{self.manifold!r}, n={len(self.points)}, learn={self.learn}"


def _check_differentiable(manifold: Manifold, points: Tensor) -> None:
    with torch.enable_grad():
        if not manifold.distance(points.clone().requires_grad_(), points).requires_grad:
            raise InvalidEmbedding(
                f"Distances on {manifold!r} have no gradient, so its points cannot be learned; "
                "pass learn=False."
            )


def _settle_before_saving(embedding: Embedding, prefix: str, keep_vars: bool) -> None:
    embedding.settle()
