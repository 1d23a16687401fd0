"""A figure with its caption and the borders of its panels, which travel in the file."""

import io
import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = "Description"
"""The keyword of PNG's specification under which a caption is stored."""

PANELS = "Panels"
"""The keyword under which the borders between panels are stored."""

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
        """Write the figure as PNG, with the caption and the panels' borders in its metadata, atomically.

        Raises
        ------
        CannotWrite
            If the disk is full or the folder cannot be written to.
        """
        self.figure.set_dpi(DPI)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        metadata = PngInfo()
        metadata.add_itxt(CAPTION, self.caption)
        metadata.add_text(PANELS, json.dumps(borders(self.figure)))
        content = io.BytesIO()
        size = canvas.get_width_height(physical=True)
        image = Image.frombuffer("RGBA", size, canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
        image.save(content, "png", pnginfo=metadata, dpi=(DPI, DPI))
        write_atomically(path, content.getvalue())


def borders(figure: "Figure") -> list[float]:
    """Return where the panels of a drawn figure can be cut apart, to stack them on a narrow screen.

    Parameters
    ----------
    figure : Figure
        A figure that was drawn, of panels side by side. What has no place of its own in their grid, such as a
        colour bar, belongs to the panel on its left.

    Returns
    -------
    list of float
        Shares of the width, ascending from 0 to 1.
    """
    spans = [
        (box.x0, box.x1)
        for axes in figure.axes
        if axes.get_subplotspec() is not None and (box := axes.get_tightbbox()) is not None
    ]
    found, end = [0.0], math.inf
    for left, right in sorted(spans):
        if left >= end:
            found.append((end + left) / 2 / figure.bbox.width)
            end = right
        else:
            end = right if end == math.inf else max(end, right)
    return [*found, 1.0]


def read_caption(path: Path) -> str | None:
    """Return the caption in a PNG file, or None if it has none.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    caption = _information(path).get(CAPTION)
    return None if caption is None else str(caption)


def read_borders(path: Path) -> list[float]:
    """Return where the panels of a PNG file can be cut apart; 0 and 1 alone if it does not say.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    try:
        found = [float(share) for share in json.loads(_information(path)[PANELS])]
    except (KeyError, TypeError, ValueError):
        return [0.0, 1.0]
    ascending = all(one < other for one, other in pairwise(found))
    return found if len(found) > 1 and ascending and found[0] == 0 and found[-1] == 1 else [0.0, 1.0]


def _information(path: Path) -> dict[str | tuple[int, int], Any]:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return dict(image.info)
    except (UnidentifiedImageError, SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        raise DamagedFile(f"{path} is not an image ({error}); run the experiment's command again.") from error
