"""Place cells: an activity for every position, and a position from every activity."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PlaceCells:
    """Gaussian place cells with centres scattered over a square box.

    Activity of cell i at position x: the softmax over cells of ``-|x - c_i|² / (2 width²)``
    (Sorscher et al., NeurIPS 2019, equation 3).

    Parameters
    ----------
    centres : Tensor
        Centres of the firing fields, ``(cells, 2)``, in metres.
    width : float
        Standard deviation of a firing field, in metres.
    """

    centres: Tensor
    width: float

    @classmethod
    def scattered(cls, cells: int, width: float, box: float, generator: torch.Generator) -> "PlaceCells":
        """Scatter cells uniformly over a box of side ``box`` metres."""
        return cls((torch.rand(cells, 2, generator=generator) - 0.5) * box, width)

    def to(self, device: torch.device) -> "PlaceCells":
        """Return the same cells on a device."""
        return PlaceCells(self.centres.to(device), self.width)

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
        # -|x - c|² = 2 x·c - |c|² - |x|², and the softmax over cells does not see |x|².
        closeness = positions @ self.centres.T - self.centres.square().sum(dim=-1) / 2
        return torch.softmax(closeness / self.width**2, dim=-1)

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
        return self.centres[activity.topk(most_active, dim=-1).indices].mean(dim=-2)
