"""Rate maps: how active a unit is, on average, at each place."""

import torch
from torch import Tensor

BINS = 20
"""Bins along each side of a map, as in Banino et al., Nature 2018."""


class RateMaps:
    """The mean activity of units in the bins of an arena, gathered walk by walk.

    Parameters
    ----------
    side : float
        Side of the square, centred at the origin, that the bins divide, in metres. Bins are square
        whatever the arena, so that no map is stretched.
    bins : int
        Bins along each side.

    Examples
    --------
    >>> maps = RateMaps(2.0, bins=2)
    >>> maps.add(torch.tensor([[-0.5, -0.5], [-0.4, -0.6], [0.5, -0.5]]), torch.tensor([[1.0], [3.0], [5.0]]))
    >>> maps.mean()
    tensor([[[2., 5.],
             [nan, nan]]])
    """

    def __init__(self, side: float, bins: int = BINS) -> None:
        self.side = side
        self.bins = bins
        self._sums: Tensor | None = None
        self._counts = torch.zeros(bins**2)

    def add(self, positions: Tensor, activity: Tensor) -> None:
        """Count the activity of units while an animal was at positions.

        Parameters
        ----------
        positions : Tensor
            Positions ``(..., 2)``, in metres.
        activity : Tensor
            Activity ``(..., units)`` at each position.
        """
        share = positions / self.side + 0.5
        across, along = (share * self.bins).long().clamp(0, self.bins - 1).flatten(0, -2).unbind(dim=-1)
        place = along * self.bins + across
        if self._sums is None:
            self._sums = activity.new_zeros(self.bins**2, activity.shape[-1])
            self._counts = self._counts.to(activity)
        self._sums.index_add_(0, place, activity.flatten(0, -2))
        self._counts += torch.bincount(place, minlength=self.bins**2)

    def mean(self) -> Tensor:
        """Return maps ``(units, bins, bins)``, the second axis northward, the third eastward.

        A bin in which no animal was is NaN.
        """
        if self._sums is None:
            return torch.empty(0, self.bins, self.bins)
        return (self._sums / self._counts[:, None]).T.reshape(-1, self.bins, self.bins)
