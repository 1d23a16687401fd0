"""Regrowth: dead weights that come back in the place of weak ones."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.models.arguments import given
from moduli.models.pruning.cuts import exchange
from moduli.requirements import is_number, require_choice, require_dimension

Merits = Callable[[str], Tensor | None]
"""From a matrix's name to the promise of its weights, of which the largest return; None keeps it as it is."""


@dataclass(frozen=True)
class Regrowth:
    """Replace the weakest weights, at intervals, by dead ones that deserve a trial.

    At every ``interval`` steps up to ``end`` a share of the living weights of each matrix is cut, and
    as many dead ones come back to life with the value zero: those with the largest gradient
    of the loss (Evci et al., "Rigging the lottery", arXiv 1911.11134), the geometrically cheapest ones, or
    random ones (Mocanu et al., SET, arXiv 1707.04780). The share falls along half a cosine, as in the first.
    The number of living weights does not change. A gradient counts whole: over accumulated batches, without
    the penalty's, and averaged over processes where the backward pass averages it, as that of
    ``DistributedDataParallel`` does. With gradients averaged by hand afterwards, take another ``where``.

    Parameters
    ----------
    end : int
        Last step at which weights may be replaced.
    interval : int
        Steps between two replacements.
    share : float
        Share of the living weights that is replaced at first, in (0, 1).
    where : {"gradient", "cheapest", "random"}
        Which dead weights come back.

    Raises
    ------
    InvalidParameter
        If a value is outside its domain.
    """

    end: int
    interval: int = 100
    share: float = 0.3
    where: Literal["gradient", "cheapest", "random"] = "gradient"

    def __post_init__(self) -> None:
        require_dimension("Regrowth", self.end, "end")
        require_dimension("Regrowth", self.interval, "interval")
        if not is_number(self.share) or not 0 < self.share < 1:
            raise InvalidParameter(f"Regrowth: share must be a number in (0, 1), got {given(self.share)}.")
        require_choice("Regrowth.where", self.where, ("gradient", "cheapest", "random"))

    def is_due(self, step: int) -> bool:
        """Tell whether weights are replaced after so many steps."""
        return 0 < step <= self.end and step % self.interval == 0

    def reads_gradient(self, step: int) -> bool:
        """Tell whether the dead weights' gradients decide what returns after so many steps."""
        return self.where == "gradient" and self.is_due(step)

    def merits(
        self,
        step: int,
        seed: int,
        masks: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor | None] | None,
        cheapness: Merits,
    ) -> Merits:
        """Return what dead weights come back by after so many steps, those of the largest merit first.

        Parameters
        ----------
        step : int
            The number of steps.
        seed : int
            Seed of random merits, which are alike in every process.
        masks : mapping of str to Tensor
            The masks, by name.
        gradients : mapping of str to Tensor or None, optional
            The gradients of the loss, where the rule reads them.
        cheapness : callable
            From a weight's name to what is large where its penalty is small.
        """
        if gradients is not None:
            return gradients.__getitem__
        if self.where == "cheapest":
            return cheapness
        generator = torch.Generator().manual_seed((seed + step * 0x9E3779B97F4A7C15) % 2**63)
        return lambda name: torch.rand(masks[name].shape, generator=generator).to(masks[name].device)

    def count(self, step: int, alive: int, dead: int) -> int:
        """Return how many weights of a matrix are replaced."""
        share = self.share * (1 + math.cos(math.pi * step / self.end)) / 2
        return min(int(share * alive), dead)


def regrown(
    rule: Regrowth,
    step: int,
    masks: Mapping[str, Tensor],
    scores: Callable[[str], Tensor],
    merits: Merits,
) -> dict[str, Tensor]:
    """Return the masks in which weak living weights gave way to promising dead ones.

    Parameters
    ----------
    rule : Regrowth
        How many are exchanged.
    step : int
        Number of steps taken.
    masks : mapping from str to Tensor
        For each matrix, True where a weight is alive.
    scores : callable
        From a matrix's name to the strength of its weights, of which the smallest die.
    merits : callable
        What returns first, see `Regrowth.merits`.

    Returns
    -------
    dict of str to Tensor
        The masks that change.

    Examples
    --------
    >>> import torch
    >>> alive = torch.tensor([[True, True], [False, False]])
    >>> strength, promise = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    >>> regrown(Regrowth(end=10, share=0.6), 1, {"w": alive}, lambda name: strength, lambda name: promise)
    {'w': tensor([[False,  True],
            [False,  True]])}
    """
    changed = {}
    for name, mask in masks.items():
        alive = int(mask.sum())
        count = rule.count(step, alive, mask.numel() - alive)
        merit = merits(name)
        if merit is not None and count > 0:
            changed[name] = exchange(mask, scores(name), merit, count)
    return changed
