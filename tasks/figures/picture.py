"""A figure with its caption, which travels in the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from moduli.tasks.errors import DamagedFile

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
        """Write the figure as PNG, with the caption in its metadata."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.figure.savefig(path, dpi=150, metadata={CAPTION: self.caption})


def read_caption(path: Path) -> str | None:
    """Return the caption in a PNG file, or None if it has none.

    Raises
    ------
    DamagedFile
        If the file is not an image.
    """
    try:
        with Image.open(path) as image:
            caption = image.info.get(CAPTION)
    except (UnidentifiedImageError, SyntaxError) as error:
        raise DamagedFile(f"{path} is not an image ({error}); run the experiment's command again.") from error
    return None if caption is None else str(caption)
