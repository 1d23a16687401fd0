"""Place cells: an activity for every position, and a position from every activity."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from moduli.tasks.navigation.arenas import Arena

SURROUND = 2.0
"""Variance of the trough of a difference of Gaussians, over the variance of its bump."""


@dataclass(frozen=True)
class PlaceCells:
    """Place cells with centres scattered over an arena.

    Gaussian: the activity of cell i at position x is the softmax over cells of
    ``-|x - c_i|² / (2 width²)`` (Sorscher et al., NeurIPS 2019, equation 3). A difference of
    Gaussians subtracts the softmax of ``-|x - c_i|² / (4 width²)``, lifts the result so that the
    least active cell is silent, and divides by the sum, as the code of that article and
    arXiv 2406.06290 do.

    Parameters
    ----------
    centres : Tensor
        Centres of the firing fields, ``(cells, 2)``, in metres.
    width : float
        Standard deviation of a firing field, in metres.
    arena : Arena
        Where the cells are; it measures distances.
    tuning : "gaussian" or "difference-of-gaussians"
        The profile of a firing field.
    """

    centres: Tensor
    width: float
    arena: Arena
    tuning: Literal["gaussian", "difference-of-gaussians"] = "gaussian"

    def to(self, device: torch.device) -> "PlaceCells":
        """Return the same cells on a device."""
        return PlaceCells(self.centres.to(device), self.width, self.arena, self.tuning)

    def activity(self, positions: Tensor) -> Tensor:
        """Return activities that sum to one.

        Parameters
        ----------
        positions : Tensor
            Positions ``(..., 2)``, in metres.

        Returns
        -------
        Tensor
            Activities ``(..., cells)``.
        """
        logits = self.arena.closeness(positions, self.centres) / self.width**2
        bump = torch.softmax(logits, dim=-1)
        if self.tuning == "gaussian":
            return bump
        difference = bump - torch.softmax(logits / SURROUND, dim=-1)
        # Far from every cell both softmaxes can round to the same one, and all cells are alike.
        lifted = difference - difference.amin(dim=-1, keepdim=True) + torch.finfo(difference.dtype).tiny
        return lifted / lifted.sum(dim=-1, keepdim=True)

    def decode(self, activity: Tensor, most_active: int = 3) -> Tensor:
        """Return the mean centre of the most active cells, the paper's read-out.

        Parameters
        ----------
        activity : Tensor
            Activities or logits ``(..., cells)``.
        most_active : int
            How many cells vote.

        Returns
        -------
        Tensor
            Positions ``(..., 2)``, in metres.
        """
        return self.arena.mean(self.centres[activity.topk(most_active, dim=-1).indices])
