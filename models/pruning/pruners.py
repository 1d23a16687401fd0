"""Which weights die next: gradually, or none at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from moduli.models.pruning.masks import zeros_in
from moduli.models.pruning.schedules import Schedule, fraction_due
from moduli.models.pruning.units import Unit

Group = tuple[str, ...]
"""The names of matrices that share one target and one threshold."""


class Pruner(Protocol):
    """What a sparsifier asks at every step: how many weights are due to die, and which."""

    @property
    def wanted(self) -> Mapping[Group, int]:
        """How many zeros each group of matrices is to hold in the end; empty without a target."""

    def due(self, step: int, masks: Mapping[str, Tensor]) -> dict[Group, int]:
        """Return how many weights of each group are to die now; groups without any are left out."""

    def cut(
        self, due: Mapping[Group, int], masks: Mapping[str, Tensor], scores: Callable[[str], Tensor]
    ) -> dict[str, Tensor]:
        """Return the masks that change when so many weights of each group die."""


@dataclass(frozen=True)
class GradualPruner:
    """Cut the weights of the lowest scores as a schedule demands, until each group has its zeros.

    Parameters
    ----------
    schedule : callable
        From the number of steps taken to the fraction of the zeros that is due.
    wanted : mapping
        From the names of matrices that are pruned together to their zeros; see
        ``moduli.models.pruning.targets.zeros_wanted``.
    unit : Unit
        What dies as a whole: single weights, or blocks.

    Examples
    --------
    >>> import torch
    >>> from moduli.models.pruning.schedules import LinearSchedule
    >>> from moduli.models.pruning.units import SingleWeights
    >>> pruner = GradualPruner(LinearSchedule(0, 2), {("w",): 2}, SingleWeights())
    >>> masks, weight = {"w": torch.ones(1, 3, dtype=torch.bool)}, torch.tensor([[3.0, 1.0, 2.0]])
    >>> for step in (1, 2):
    ...     masks |= pruner.cut(pruner.due(step, masks), masks, lambda name: weight)
    ...     print(masks["w"])
    tensor([[ True, False,  True]])
    tensor([[ True, False, False]])
    """

    schedule: Schedule
    wanted: Mapping[Group, int]
    unit: Unit

    def __post_init__(self) -> None:
        self.unit.check_targets(self.wanted)

    def due(self, step: int, masks: Mapping[str, Tensor]) -> dict[Group, int]:
        """Return how many weights of each group are to die now; groups without any are left out.

        Raises
        ------
        InvalidSchedule
            If the schedule returns something else than a fraction.
        """
        fraction = fraction_due(self.schedule, step)
        missing = {
            names: round(fraction * zeros) - sum(zeros_in(masks[name]) for name in names)
            for names, zeros in self.wanted.items()
        }
        return {names: count for names, count in missing.items() if count > 0}

    def cut(
        self, due: Mapping[Group, int], masks: Mapping[str, Tensor], scores: Callable[[str], Tensor]
    ) -> dict[str, Tensor]:
        """Return the masks that change when so many weights of each group die."""
        changed: dict[str, Tensor] = {}
        for names, count in due.items():
            changed |= self.unit.cut(
                {name: masks[name] for name in names}, {name: scores(name) for name in names}, count
            )
        return changed


class NoPruner:
    """Cut nothing: the masks are known beforehand, or a ticket's."""

    wanted: Mapping[Group, int] = {}

    def due(self, step: int, masks: Mapping[str, Tensor]) -> dict[Group, int]:
        """Return nothing."""
        return {}

    def cut(
        self, due: Mapping[Group, int], masks: Mapping[str, Tensor], scores: Callable[[str], Tensor]
    ) -> dict[str, Tensor]:
        """Return nothing."""
        return {}
