"""Draw the gallery of inhibitors: what one neuron is charged for a weight to every other place.

Each row is an inhibitor with the paper's constants: its curve, then its coefficients between the
neuron at the cross and the rest of a circle, a torus, a sphere and a Klein bottle.
"""

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from moduli.manifolds import Circle, KleinBottle, Manifold, Sphere, Torus
from moduli.regularizers import DifferenceOfGaussians, Diffusion, Gaussian, Inhibitor, Ripple

INHIBITORS = {
    "diffusion": Diffusion(),
    "difference of\nGaussians": DifferenceOfGaussians(),
    "Gaussian": Gaussian(),
    "ripple": Ripple(),
}
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "gallery.png"


def main(picture: Path = PICTURE, resolution: int = 160) -> None:
    """Draw every inhibitor on every space."""
    spaces = {
        "circle": (Circle(), *circle(resolution)),
        "torus": (Torus(), *square(resolution)),
        "sphere": (Sphere(), *sphere(resolution)),
        "Klein bottle": (KleinBottle(), *square(resolution)),
    }
    figure = Figure(figsize=(8.4, 6.9), layout="constrained")
    grid = figure.subplots(len(INHIBITORS), 1 + len(spaces))
    for row, (name, inhibitor) in zip(grid, INHIBITORS.items(), strict=True):
        largest = draw_curve(row[0], name, inhibitor)
        for axes, scene in zip(row[1:], spaces.values(), strict=True):
            draw_space(axes, largest, inhibitor, *scene)
        figure.colorbar(row[-1].collections[0], ax=row[-1], extend="max", shrink=0.85)
    for axes, title in zip(grid[0], ["coefficient by distance", *spaces], strict=True):
        axes.set_title(title, fontsize=10)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=90)


def draw_curve(axes: Axes, name: str, inhibitor: Inhibitor) -> float:
    """Draw the coefficient over distances up to the torus's largest; return the largest coefficient."""
    distance = torch.linspace(0, 5 * 2**0.5, 300)
    coefficients = inhibitor.profile(distance)
    axes.plot(distance.numpy(), coefficients.numpy(), color="black")
    axes.set_ylabel(name, fontsize=10)
    axes.set_ylim(bottom=-2)
    axes.tick_params(labelsize=7)
    axes.set_box_aspect(1)
    return float(coefficients.max())


def draw_space(
    axes: Axes,
    largest: float,
    inhibitor: Inhibitor,
    manifold: Manifold,
    points: Tensor,
    where: Tensor,
    here: int,
) -> None:
    """Colour points by their coefficient to the one numbered ``here``; ``where`` is their place to draw."""
    coefficients = inhibitor(manifold, points[here, None], points)[0]
    colours = {"c": coefficients.numpy(), "vmin": 0, "vmax": largest}
    axes.scatter(*where.T.numpy(), **colours, s=3, marker="s", edgecolors="none")
    axes.plot(*where[here].numpy(), "x", color="red", markersize=6, markeredgewidth=1.5)
    axes.set_aspect("equal")
    axes.axis("off")


def circle(resolution: int) -> tuple[Tensor, Tensor, int]:
    """Return the points of a circle, thickened to a band in the drawing."""
    angle = torch.linspace(0, 2 * torch.pi, 4 * resolution)
    points = torch.stack([angle.cos(), angle.sin()], dim=-1)
    bands = torch.linspace(0.8, 1, 9)
    return points.repeat(9, 1), (bands[:, None, None] * points).flatten(0, 1), resolution // 2


def square(resolution: int) -> tuple[Tensor, Tensor, int]:
    """Return the points of the square of side 10, with the neuron near two of its edges."""
    axis = torch.linspace(0, 10, resolution)
    points = torch.cartesian_prod(axis, axis)
    here = (points - torch.tensor([1.0, 2.5])).square().sum(dim=-1).argmin()
    return points, points, int(here)


def sphere(resolution: int) -> tuple[Tensor, Tensor, int]:
    """Return the half of a sphere that faces the reader."""
    axis = torch.linspace(-1, 1, resolution)
    where = torch.cartesian_prod(axis, axis)
    where = where[where.square().sum(dim=-1) < 1]
    depth = (1 - where.square().sum(dim=-1, keepdim=True)).sqrt()
    here = (where - torch.tensor([-0.3, 0.3])).square().sum(dim=-1).argmin()
    return torch.cat([where, depth], dim=-1), where, int(here)


if __name__ == "__main__":
    main()
