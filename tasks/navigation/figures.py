"""What is drawn of a path integrator."""

import math

from matplotlib.figure import Figure
from torch import Tensor

from moduli.tasks.figures.picture import Picture
from moduli.tasks.figures.rate_maps import draw_rate_maps
from moduli.tasks.navigation.grid_scores import grid_scores

MOST_MAPS = 6


def rate_map_picture(maps: Tensor, null: float | None) -> Picture:
    """Draw the rate maps of highest grid score.

    Parameters
    ----------
    maps : Tensor
        Maps ``(units, bins, bins)``; see `moduli.tasks.navigation.rate_maps.RateMaps`.
    null : float or None
        The score above which 5% of random maps are, None where no unit is active.
    """
    scores = grid_scores(maps)
    best = scores.nan_to_num(-math.inf).argsort(descending=True)[:MOST_MAPS]
    figure = Figure(figsize=(1.6 * len(best), 1.9), layout="constrained")
    draw_rate_maps(list(figure.subplots(1, len(best), squeeze=False)[0]), maps[best], scores[best].tolist())
    by_chance = (
        "" if null is None else f" Of as many random maps of the same scales 5% score above {null:.2f}."
    )
    count = "six" if len(best) == MOST_MAPS else len(best)
    return Picture(
        figure,
        f"The {count} rate maps of highest grid score, above each its score; 1 and more is a grid cell."
        f"{by_chance}",
    )
