"""Where the neurons at both ends of a weight matrix are: what a regularizer is evaluated on."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.manifolds.tensors import require_tensor
from moduli.regularizers.errors import ChangedInPlace, ShapeMismatch, UndefinedCoefficients


@dataclass(frozen=True, eq=False)
class Geometry:
    """Where the neurons at both ends of a weight matrix are.

    Parameters
    ----------
    manifold : Manifold
        The space.
    targets : Tensor
        Points of the neurons that receive, of shape ``(n_targets, *point_shape)``.
    sources : Tensor, optional
        Points of the neurons that send; the targets themselves when absent.
    weight : Tensor, optional
        The weight itself, of shape ``(gates * n_targets, n_sources)``, for terms that depend on it.

    Raises
    ------
    InvalidParameter
        If the manifold is something else.
    InvalidPoints
        If the tensors do not hold points of the manifold.
    ShapeMismatch
        If the weight does not connect these neurons, or differs from the points in dtype or device.
    """

    manifold: Manifold
    targets: Tensor
    sources: Tensor | None = None
    weight: Tensor | None = None
    _held: dict[str, tuple[Tensor, int]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.manifold, Manifold):
            raise InvalidParameter(
                "A regularizer is called as regularizer(manifold, points), with a manifold such as Torus(2); "
                f"got {type(self.manifold).__name__} as the manifold."
            )
        self.manifold.check_points(self.targets, "targets")
        if self.sources is not None:
            self.manifold.check_points(self.sources, "sources")
        if self.weight is not None:
            check_gates(self.weight, self.shape, "the neurons'")
            if (self.weight.dtype, self.weight.device) != (self.targets.dtype, self.targets.device):
                raise ShapeMismatch(
                    f"The weight is {self.weight.dtype} on {self.weight.device}, the points are "
                    f"{self.targets.dtype} on {self.targets.device}; move one with .to(other)."
                )
        for name in ("targets", "sources", "weight"):
            self._hold(name, getattr(self, name))

    @property
    def shape(self) -> tuple[int, int]:
        """The shape ``(n_targets, n_sources)`` of the coefficients."""
        return len(self.targets), len(self.targets if self.sources is None else self.sources)

    @property
    def is_recurrent(self) -> bool:
        """Whether both ends are the same neurons, so that the diagonal holds self-connections."""
        return self.sources is None

    @cached_property
    def distance(self) -> Tensor:
        """Distances of shape ``(n_targets, n_sources)``, computed once and shared by all terms."""
        distance = self.manifold.pairwise(self.targets, self.sources)
        self._hold("distance", distance)
        return distance

    def with_distance(self, distance: Tensor) -> "Geometry":
        """Return the same neurons at other distances, of shape ``(n_targets, n_sources)``."""
        other = Geometry(self.manifold, self.targets, self.sources, self.weight)
        other._replace_distance(distance)
        return other

    def check_unchanged(self, owner: object) -> None:
        """Raise if something has written into what this geometry holds.

        Raises
        ------
        ChangedInPlace
            Naming the owner, who is held to be the culprit.
        """
        for name, (tensor, version) in self._held.items():
            if tensor._version != version:
                raise ChangedInPlace(
                    name,
                    f"{owner!r} wrote into geometry.{name}, which other terms read as well; "
                    "use operations that return a new tensor, or take a clone() first.",
                )

    def _hold(self, name: str, tensor: Tensor | None) -> None:
        """Note the version of a tensor, which PyTorch counts up when something writes into it."""
        if tensor is not None and not tensor.is_inference():
            self._held[name] = tensor, tensor._version

    def _replace_distance(self, distance: Tensor) -> None:
        self.__dict__["distance"] = distance
        self._hold("distance", distance)

    @cached_property
    def relative(self) -> "Geometry":
        """The same neurons, with distances in units of their mean distance.

        Raises
        ------
        UndefinedCoefficients
            If the mean distance is not positive.
        """
        return RelativeGeometry(self)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a value over all connections between distinct neurons.

        Parameters
        ----------
        values : Tensor
            One value for each connection, of shape ``(n_targets, n_sources)``.

        Returns
        -------
        Tensor
            A scalar; NaN if there is no connection.
        """
        # A sum of many half-precision numbers exceeds their range.
        wide = torch.promote_types(values.dtype, torch.float32)
        total, count = values.sum(dtype=wide), values.numel()
        if self.is_recurrent:
            total, count = total - values.diagonal().sum(dtype=wide), count - len(values)
        return (total / count if count else total * float("nan")).to(values.dtype)


class RelativeGeometry(Geometry):
    """A geometry whose unit of length is the mean distance between distinct neurons.

    Parameters
    ----------
    original : Geometry
        The neurons, with the manifold's own unit of length.
    """

    def __init__(self, original: Geometry) -> None:
        super().__init__(original.manifold, original.targets, original.sources, original.weight)
        mean = original.mean(original.distance)
        if not mean.is_meta and not mean > 0:
            raise UndefinedCoefficients(
                f"Distances on {original.manifold!r} cannot be measured relative to their mean, which is "
                f"{mean.item():g} over {len(original.targets)} neurons."
            )
        self._replace_distance(original.distance / mean)

    @property
    def relative(self) -> Geometry:
        """The geometry itself."""
        return self


def check_gates(weight: Tensor, shape: tuple[int, ...], whose: str) -> None:
    """Raise unless a weight is a stack of one or more gates of the given shape.

    Raises
    ------
    ShapeMismatch
        Naming both shapes.
    """
    require_tensor(weight, "The weight", ShapeMismatch)
    fits = weight.dim() == len(shape) == 2 and weight.shape[1] == shape[1]
    if not fits or weight.numel() == 0 or 0 in shape or weight.shape[0] % shape[0]:
        raise ShapeMismatch(
            f"A weight of shape {tuple(weight.shape)} is not a stack of gates "
            f"of {whose} shape {tuple(shape)}."
        )
