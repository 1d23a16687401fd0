"""A figure with its caption and the places of its panels, which travel in the file."""

import io
import json
from dataclasses import astuple, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.runs.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = "Description"
"""The keyword of PNG's specification under which a caption is stored."""

PANELS = "Panels"
"""The keyword under which the places of panels are stored."""

DPI = 150


@dataclass(frozen=True)
class Picture:
    """A figure and what it shows.

    Parameters
    ----------
    figure : Figure
        The figure.
    caption : str
        What it shows, in a sentence or two.
    """

    figure: "Figure"
    caption: str

    def save(self, path: Path) -> None:
        """Write the figure as PNG, with the caption and the panels' places in its metadata, atomically.

        Raises
        ------
        CannotWrite
            If the disk is full or the folder cannot be written to.
        """
        self.figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()  # type: ignore[no-untyped-call]
        metadata = PngInfo()
        metadata.add_itxt(CAPTION, self.caption)
        metadata.add_text(PANELS, json.dumps([astuple(panel) for panel in panels(self.figure)]))
        content = io.BytesIO()
        size = canvas.get_width_height(physical=True)
        image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1)  # type: ignore[no-untyped-call]
        image.save(content, "png", pnginfo=metadata, dpi=(DPI, DPI))
        write_atomically(path, content.getvalue())


@dataclass(frozen=True)
class Panel:
    """A part of a figure that can be shown alone.

    Parameters
    ----------
    left, right : float
        Where it begins and ends, as shares of the figure's width.
    depth : float
        How far down it reaches from the figure's top, as a share of its height.
    """

    left: float
    right: float
    depth: float

    def __post_init__(self) -> None:
        if not (0 <= self.left < self.right <= 1 and 0 < self.depth <= 1):
            raise ValueError(f"{self} is not within the figure")


def panels(figure: "Figure") -> list[Panel]:
    """Return the panels of a drawn figure, which a narrow screen shows below one another.

    Parameters
    ----------
    figure : Figure
        A figure that was drawn, of panels side by side. A legend beside a panel counts as one. What has no
        place of its own in their grid, such as a colour bar, belongs to the panel on its left.

    Returns
    -------
    list of Panel
        From left to right; together they cover the figure's width.
    """
    boxes = []
    for axes in figure.axes:
        if axes.get_subplotspec() is not None:
            legend = axes.get_legend()
            artists = [artist for artist in axes.get_default_bbox_extra_artists() if artist is not legend]
            boxes.append(axes.get_tightbbox(bbox_extra_artists=artists))
            boxes.append(None if legend is None else legend.get_window_extent())
    groups: list[tuple[float, float, float]] = []
    for left, right, bottom in sorted((box.x0, box.x1, box.y0) for box in boxes if box is not None):
        if groups and left < groups[-1][1]:
            first, end, lowest = groups[-1]
            groups[-1] = first, max(end, right), min(lowest, bottom)
        else:
            groups.append((left, right, bottom))
    width, height = figure.bbox.size
    middles = [(one[1] + other[0]) / 2 / width for one, other in pairwise(groups)]
    margin = 0.02
    return [
        Panel(left, right, min(1.0, 1 - bottom / height + margin))
        for (_, _, bottom), (left, right) in zip(groups, pairwise([0.0, *middles, 1.0]), strict=True)
    ]


def read_caption(path: Path) -> str | None:
    """Return the caption in a PNG file, or None if it has none.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    caption = _information(path).get(CAPTION)
    return None if caption is None else str(caption)


def read_panels(path: Path) -> list[Panel]:
    """Return the panels of a PNG file; none if it does not say, or what it says cannot be.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    try:
        return [Panel(*map(float, shares)) for shares in json.loads(_information(path)[PANELS])]
    except (KeyError, TypeError, ValueError):
        return []


def _information(path: Path) -> dict[str | tuple[int, int], Any]:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return dict(image.info)
    except (UnidentifiedImageError, SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        raise DamagedFile(f"{path} is not an image ({error}); run the experiment's command again.") from error
