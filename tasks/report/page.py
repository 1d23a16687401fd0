"""The page of a report."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from moduli.tasks.errors import NothingToReport
from moduli.tasks.experiments.runs.files import write_atomically
from moduli.tasks.report.contents import read_contents


def write_report(folders: Sequence[Path], path: Path | None = None) -> Path:
    """Write one HTML page about experiments, which needs no other file and no network.

    Whatever a folder holds is shown as text: markup in it is escaped.

    Parameters
    ----------
    folders : sequence of Path
        Folders of comparisons or of single networks.
    path : Path, optional
        The page; ``report.html`` in the first folder when absent.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NothingToReport
        If there is no folder, or a folder holds no finished experiment.
    DamagedFile
        If a file in it cannot be read.
    """
    if not folders:
        raise NothingToReport("Name the folder of an experiment, such as runs/navigation-demo.")
    contents = [read_contents(folder) for folder in folders]
    source = files("moduli.tasks.report").joinpath("template.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    path = path or folders[0] / "report.html"
    write_atomically(path, environment.from_string(source).render(reports=contents).encode())
    return path
