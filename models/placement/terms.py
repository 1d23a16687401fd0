"""One weight's term of the penalty: where its neurons are, and the coefficients that follow."""

import torch
from torch import Tensor

from moduli.manifolds import InvalidPoints, Manifold
from moduli.models.errors import InvalidEmbedding
from moduli.models.inference import outside_inference
from moduli.models.matrices import WeightMatrix
from moduli.models.placement.embedding import Embedding
from moduli.models.placement.ordering import order_along
from moduli.regularizers import Regularizer
from moduli.regularizers.penalties import weighted_power

Points = Tensor | Embedding
Placement = Points | tuple[Points, Points]


class PenaltyTerm:
    """The neurons at both ends of one weight, and its penalty.

    Parameters
    ----------
    matrix : WeightMatrix
        The weight, whose rows may stack several gates.
    regularizer : Regularizer or None
        None places the neurons without charging for their connections.
    manifold : Manifold
        The space.
    placement : Tensor, Embedding, pair of either, or None
        Points of the neurons of a recurrent weight, or of the targets and of the sources of any other;
        drawn at random when absent.
    generator : torch.Generator
        Source of random points.
    ordered : bool
        Whether random points are ordered along the manifold.

    Raises
    ------
    InvalidEmbedding
        If the points are not on the manifold, or of the wrong number.
    """

    def __init__(
        self,
        matrix: WeightMatrix,
        regularizer: Regularizer | None,
        manifold: Manifold,
        placement: Placement | None,
        generator: torch.Generator,
        ordered: bool = False,
    ) -> None:
        self.name = matrix.name
        self.regularizer = regularizer
        self.manifold = manifold
        self.ends: dict[str, Points] = {}
        for end, (count, points) in _ends(matrix, placement).items():
            if points is None:
                points = manifold.random_point(count, generator)
                points = points[order_along(manifold, points)] if ordered else points
            what = f"{self.name}{end}"
            self._check(points, what, count, stacked=end == ".targets")
            self.ends[end] = points if isinstance(points, Embedding) else _kept(points, what)
        self._cached: Tensor | None = None

    @property
    def changes(self) -> bool:
        """Whether the coefficients change while training: learned points, or terms that read the weight."""
        learned = any(isinstance(points, Embedding) and points.learn for points in self.ends.values())
        return learned or (self.regularizer is not None and self.regularizer.depends_on_weight)

    def points(self) -> dict[str, Tensor]:
        """Return copies of the points of each end, as they are now, without gradient."""
        return {end: _current(points).detach().clone() for end, points in self.ends.items()}

    def load_points(self, points: dict[str, Tensor]) -> None:
        """Put the neurons of each end where they are said to be."""
        for end, new in points.items():
            old = self.ends[end]
            if isinstance(old, Embedding):
                with torch.no_grad():
                    old.points.copy_(new)
            else:
                self.ends[end] = new.clone()
        self._cached = None

    def coefficients(self, weight: Tensor) -> Tensor:
        """Return the coefficients as they are now, on the weight's device, in its precision or in float32.

        Half a float cannot hold the square of a distance of 256.
        """
        assert self.regularizer is not None
        if self._cached is None or self.changes:
            # What is kept must serve training too, whoever asks for it first.
            with outside_inference():
                points = [_current(points) for points in self.ends.values()]
                targets, sources = points[0], points[1] if len(points) > 1 else None
                read = weight.to(targets) if self.regularizer.depends_on_weight else None
                coefficients = self.regularizer(self.manifold, targets, sources, weight=read)
                if coefficients.is_meta and not weight.is_meta:
                    raise InvalidEmbedding(
                        f"The points of {self.name} are on the meta device, which has no values."
                    )
                coefficients = coefficients.to(weight.device)
                self._cached = coefficients.detach()
        else:
            coefficients = self._cached = self._cached.to(weight.device)
        return coefficients.to(_at_least_single(weight))  # what is cached keeps its precision

    def penalty(self, weight: Tensor) -> Tensor:
        """Return the mean of ``C |W|``, of the weight's dtype."""
        wide = weight.to(_at_least_single(weight))
        return weighted_power(wide, self.coefficients(weight)).to(weight.dtype)

    def _check(self, points: Points, what: str, count: int, stacked: bool) -> None:
        if isinstance(points, Embedding) and points.manifold != self.manifold:
            raise InvalidEmbedding(
                f"The embedding of {what} is on {points.manifold!r}, but the sparsifier measures distances "
                f"on {self.manifold!r}; give both the same manifold."
            )
        now = _current(points)
        try:
            self.manifold.check_points(now, f"The embedding of {what}")
        except InvalidPoints as error:
            raise InvalidEmbedding(str(error)) from None
        # The targets of a weight that stacks several gates share their places.
        fits = len(now) > 0 and count % len(now) == 0 if stacked else len(now) == count
        if not fits:
            raise InvalidEmbedding(
                f"{what} connects {count} neurons, but the embedding places {len(now)}; "
                "give one point for each neuron."
            )


def _ends(matrix: WeightMatrix, placement: Placement | None) -> dict[str, tuple[int, Points | None]]:
    """Return how many neurons are at each end of a weight, and the points that are given for them."""
    if matrix.neurons is not None:
        if isinstance(placement, tuple):
            raise InvalidEmbedding(
                f"{matrix.name} connects its {matrix.neurons} neurons to one another: "
                "give one embedding, not a pair."
            )
        return {"": (matrix.neurons, placement)}
    if placement is None:
        pair: tuple[Points | None, Points | None] = (None, None)
    elif isinstance(placement, tuple) and len(placement) == 2:
        pair = placement
    else:
        raise InvalidEmbedding(
            f"{matrix.name} of shape {matrix.shape} leads from one population to another: "
            "give its embedding as a pair (targets, sources)."
        )
    targets, sources = pair
    return {".targets": (matrix.shape[0], targets), ".sources": (matrix.shape[1], sources)}


def _at_least_single(weight: Tensor) -> torch.dtype:
    return torch.promote_types(weight.dtype, torch.float32)


def _kept(points: Tensor, what: str) -> Tensor:
    """Return points that stay where they are, whatever becomes of the tensor that was given."""
    if points.requires_grad:
        raise InvalidEmbedding(
            f"The embedding of {what} requires a gradient, which points that are given do not get: pass "
            "points.detach(), or Embedding(manifold, n, learn=True) to learn them."
        )
    with outside_inference():
        return points.clone()


def _current(points: Points) -> Tensor:
    return points() if isinstance(points, Embedding) else points
