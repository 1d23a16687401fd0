"""A figure with its caption, which travels in the file."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = "Description"
"""The keyword of PNG's specification under which a caption is stored."""


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
        """Write the figure as PNG, with the caption in its metadata, atomically.

        Raises
        ------
        CannotWrite
            If the disk is full or the folder cannot be written to.
        """
        content = io.BytesIO()
        self.figure.savefig(content, format="png", dpi=150, metadata={CAPTION: self.caption})
        write_atomically(path, content.getvalue())


def read_caption(path: Path) -> str | None:
    """Return the caption in a PNG file, or None if it has none.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            caption = image.info.get(CAPTION)
    except (UnidentifiedImageError, SyntaxError, ValueError, OSError, Image.DecompressionBombError) as error:
        raise DamagedFile(f"{path} is not an image ({error}); run the experiment's command again.") from error
    return None if caption is None else str(caption)
