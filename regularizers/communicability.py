"""Communicability: how easily two neurons reach each other over all paths of the weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from moduli.regularizers.errors import MissingWeight, UndefinedCoefficients
from moduli.regularizers.geometry import Geometry
from moduli.regularizers.registry import register_regularizer
from moduli.regularizers.regularizer import Regularizer


@register_regularizer("communicability")
@dataclass(frozen=True, repr=False)
class Communicability(Regularizer):
    """Coefficients that are large where many short paths of strong weights join two neurons.

    Formula: ``c = exp(S^(-1/2) A S^(-1/2))`` off the diagonal and 0 on it, with ``A = |W|`` and the
    diagonal matrix S of outgoing strengths, ``S_jj = Σ_i A_ij``. Gates of W enter with their
    mean. A neuron that sends nothing has no paths. Source: Crofts and Higham, "A weighted
    communicability measure applied to complex brain networks", 2009, as used by Achterberg,
    Akarca, Strouse, Duncan and Astle, "Spatially embedded recurrent neural networks", Nature Machine
    Intelligence 5, 2023, whose penalty is the sum of distance times communicability times ``|W|``.

    The coefficients are differentiable in the weight; ``weight.detach()`` makes them constants.

    Examples
    --------
    >>> from moduli.manifolds import Euclidean
    >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    >>> chain = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    >>> Communicability()(Euclidean(2), points, weight=chain)
    tensor([[0.0000, 0.8310, 0.2715],
            [0.8310, 0.0000, 0.8310],
            [0.2715, 0.8310, 0.0000]])
    """

    is_local = False

    @property
    def depends_on_weight(self) -> bool:
        """True."""
        return True

    def coefficients(self, geometry: Geometry) -> Tensor:
        """Return the communicability of every pair of neurons.

        Raises
        ------
        MissingWeight
            If the geometry holds no weight.
        UndefinedCoefficients
            If the weight joins two populations, between which no path closes.
        """
        if geometry.weight is None:
            raise MissingWeight(
                f"{self!r} depends on the weight; pass it as regularizer(manifold, embedding, weight=weight)."
            )
        if not geometry.is_recurrent:
            raise UndefinedCoefficients(
                f"{self!r} needs a recurrent weight, got one from {geometry.shape[1]} sources to "
                f"{geometry.shape[0]} other targets."
            )
        # PyTorch has no matrix exponential in half precision.
        wide = torch.promote_types(geometry.weight.dtype, torch.float32)
        paths = geometry.weight.view(-1, *geometry.shape).to(wide).abs().mean(dim=0)
        strength = paths.sum(dim=0)
        # The root has no gradient at 0; a silent neuron's row and column are scaled to 0 instead.
        sends = strength > 0
        scale = torch.where(sends, torch.where(sends, strength, 1).rsqrt(), 0)
        reach: Tensor = torch.linalg.matrix_exp(scale[:, None] * paths * scale)
        apart = ~torch.eye(len(reach), dtype=torch.bool, device=reach.device)
        return (reach.clamp_min(0) * apart).to(geometry.weight.dtype)
