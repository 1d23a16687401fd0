"""What is drawn of a path integrator."""

import math

from matplotlib.figure import Figure
from torch import Tensor

from moduli.tasks.figures.picture import Picture
from moduli.tasks.figures.rate_maps import draw_rate_maps
from moduli.tasks.navigation.grid_scores import grid_scores

MOST_MAPS = 6


def rate_map_picture(maps: Tensor) -> Picture:
    """Draw the rate maps of highest grid score.

    Parameters
    ----------
    maps : Tensor
        Maps ``(units, bins, bins)``; see `moduli.tasks.navigation.rate_maps.RateMaps`.
    """
    scores = grid_scores(maps)
    best = scores.nan_to_num(-math.inf).argsort(descending=True)[:MOST_MAPS]
    figure = Figure(figsize=(1.6 * len(best), 1.9), layout="constrained")
    draw_rate_maps(list(figure.subplots(1, len(best), squeeze=False)[0]), maps[best], scores[best].tolist())
    return Picture(
        figure,
        "The six rate maps of highest grid score, above each its score; 1 and more is a grid cell.",
    )
