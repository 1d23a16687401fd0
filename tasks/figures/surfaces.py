"""One neuron's weights, and what an inhibitor charges it, as heat on the manifold in space."""

from collections.abc import Callable
from math import asin, atan2, cos, degrees, sin
from typing import Any

import torch
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from torch import Tensor

from moduli.manifolds import Manifold
from moduli.regularizers import Regularizer
from moduli.tasks.figures.gates import incoming_weights
from moduli.tasks.figures.spaces import immerse, sheet

RESOLUTION = 100

DISTANCES = 2**23
"""How many distances between places and neurons are in memory at once."""


def draw_neuron_in_space(
    axes: Any,
    manifold: Manifold,
    weight: Tensor,
    embedding: Tensor,
    neuron: int,
    gate: str | int | None = None,
) -> ScalarMappable:
    """Draw the incoming recurrent weights of one neuron as heat on its manifold.

    Every place has the colour of the neuron nearest to it: the magnitude of the weight that comes from
    there, relative to the largest from another neuron. Places without a weight are the palest, the neuron
    is a star, and the picture is seen from its side.

    Parameters
    ----------
    axes : Axes3D
        Where to draw, from ``figure.add_subplot(projection="3d")``.
    manifold : Manifold
        A space that `immerse` draws.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``; of a GRU or LSTM ``(gates * n, n)``. It may
        be a mask, or a sparse tensor of coordinates.
    embedding : Tensor
        Points of the neurons ``(n, *point_shape)``.
    neuron : int
        The receiving neuron.
    gate : str or int, optional
        Which gate of a GRU or LSTM, such as ``"update"`` or ``1``, see `moduli.tasks.figures.gates.one_gate`.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar.

    Raises
    ------
    CannotDraw
        If the space is not drawn.
    ShapeMismatch
        If the weight is not square, nor stacks gates that are, or there are not as many places.
    InvalidParameter
        If there is no such neuron or gate, or several gates and none is named.
    """
    strength = incoming_weights(weight, gate, embedding, neuron)

    def heat(points: Tensor) -> Tensor:
        parts = torch.split(points.to(embedding), max(1, DISTANCES // len(embedding)))
        nearest = torch.cat([manifold.pairwise(part, embedding).argmin(dim=1) for part in parts])
        return strength[nearest]

    colours = ScalarMappable(Normalize(0, 1), colormaps["Blues"])
    _draw_sheet(axes, manifold, heat, embedding[neuron], colours)
    return colours


def draw_field(axes: Any, manifold: Manifold, regularizer: Regularizer, point: Tensor) -> ScalarMappable:
    """Draw what a regularizer charges a neuron for a weight from every other place of its manifold.

    Parameters
    ----------
    axes : Axes3D
        Where to draw, from ``figure.add_subplot(projection="3d")``.
    manifold : Manifold
        A space that `immerse` draws.
    regularizer : Regularizer
        What gives the coefficients, such as an inhibitor.
    point : Tensor
        Where the neuron is, ``(*point_shape)``; drawn as a star.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar: from zero to the largest coefficient on the manifold.

    Raises
    ------
    CannotDraw
        If the space is not drawn.
    """
    points, _ = sheet(manifold, RESOLUTION)
    coefficients = regularizer(manifold, point[None], points.flatten(0, 1).to(point))[0]
    colours = ScalarMappable(Normalize(0, float(coefficients.max())), colormaps["viridis"])
    _draw_sheet(axes, manifold, lambda _: coefficients, point, colours)
    return colours


def _draw_sheet(
    axes: Any, manifold: Manifold, heat: Callable[[Tensor], Tensor], point: Tensor, colours: ScalarMappable
) -> None:
    points, places = sheet(manifold, RESOLUTION)
    values = heat(points.flatten(0, 1)).reshape(RESOLUTION, RESOLUTION)
    star = immerse(manifold, point.detach()).tolist()
    azimuth = atan2(star[1], star[0]) + 0.25
    height = max(abs(asin(max(-1.0, min(1.0, star[2])))), 0.6) * (1 if star[2] >= -1e-6 else -1)
    viewer = torch.tensor([cos(height) * cos(azimuth), cos(height) * sin(azimuth), sin(height)])
    faces = torch.from_numpy(colours.to_rgba(values.numpy()))
    faces[..., :3] *= _brightness(places, viewer)[..., None]
    axes.computed_zorder = False  # matplotlib sorts whole objects, and the star lies on the surface
    axes.plot_surface(
        *places.unbind(-1),
        facecolors=faces.numpy(),
        rcount=RESOLUTION,
        ccount=RESOLUTION,
        shade=False,
        linewidth=0,
        antialiased=False,
        zorder=1,
    )
    axes.scatter(
        *[[x] for x in star], marker="*", s=130, c="crimson", edgecolors="white", depthshade=False, zorder=2
    )
    axes.view_init(elev=degrees(height), azim=degrees(azimuth))
    axes.set(xlim=(-0.8, 0.8), ylim=(-0.8, 0.8), zlim=(-0.8, 0.8))
    axes.set_box_aspect((1, 1, 1), zoom=1.1)
    axes.set_axis_off()


def _brightness(places: Tensor, viewer: Tensor) -> Tensor:
    """Return 1 where a surface faces the viewer, down to 0.6 where it turns away.

    Both of its sides are alike, since a Klein bottle has only one; matplotlib's own shading is not.
    """
    along, across = torch.gradient(places, dim=(0, 1))
    normal = torch.nn.functional.normalize(torch.linalg.cross(along, across), dim=-1)
    return 0.6 + 0.4 * (normal @ viewer).abs()
