"""The metrics of a training, as they stand in metrics.csv."""

import csv
from pathlib import Path

from moduli.tasks.experiments.runs.files import damaged, is_there

Metrics = dict[str, float]
"""The numbers of one step by name: a row of metrics.csv."""


def read_metrics(folder: Path) -> list[Metrics]:
    """Return the rows of a folder's metrics.csv that are complete; none where there is no file.

    The last row may be half written, by a process that is at work or was killed.

    Raises
    ------
    DamagedFile
        If another row does not hold numbers.
    """
    path = folder / "metrics.csv"
    if not is_there(path):
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
    except (OSError, ValueError, csv.Error) as error:
        raise damaged(f"{path} is damaged ({error})") from error
    found: list[Metrics] = []
    for row in rows:
        try:
            found.append({name: float(value) for name, value in row.items()})
        except ValueError as error:
            if row is not rows[-1]:
                raise damaged(f"{path} is damaged ({error})") from error
    return found
