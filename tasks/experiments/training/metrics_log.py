"""The metrics that a training writes: metrics.csv, and another logger's files when they are wanted."""

import csv
from types import TracebackType

from moduli.tasks.experiments.configuration.execution import Execution
from moduli.tasks.experiments.runs.files import cannot_write, write_atomically
from moduli.tasks.experiments.runs.metrics import Metrics
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.training.loggers import TENSORBOARD, Curves, make_curves


class MetricsLog:
    """Writes one row at a time to ``metrics.csv``, from the step of the last checkpoint on.

    Parameters
    ----------
    folder : RunFolder
        Whose metrics.
    step : int
        Last step that counts: what a killed run wrote after it is dropped.
    execution : Execution
        Where else to write.
    rank : int
        Only the first of several devices writes.

    Raises
    ------
    InvalidConfiguration
        If no logger has the name that is asked for, or it cannot be made.
    MissingDependency
        If TensorBoard or a logger is asked for and not installed.
    """

    def __init__(self, folder: RunFolder, step: int, execution: Execution, rank: int = 0) -> None:
        self._path = folder.path / "metrics.csv"
        self._silent = rank > 0
        self._curves: list[Curves] = []
        if self._silent:
            return
        wanted = {TENSORBOARD if execution.tensorboard else "", execution.logger} - {""}
        self._curves = [make_curves(logger, folder.path, step) for logger in sorted(wanted)]
        self._truncate(step)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for curves in self._curves:
            curves.close(success=error is None)

    def append(self, row: Metrics) -> None:
        """Write the metrics of a step.

        Raises
        ------
        CannotWrite
            If the disk is full or the file cannot be written to.
        """
        if self._silent:
            return
        is_new = not self._path.exists()
        try:
            with self._path.open("a", newline="") as file:
                writer = csv.DictWriter(file, row.keys())
                if is_new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise cannot_write(self._path, error) from error
        numbers = {name: value for name, value in row.items() if name != "step"}
        for curves in self._curves:
            curves.log(numbers, int(row["step"]))

    def _truncate(self, last_step: int) -> None:
        if not self._path.exists():
            return
        header, *lines = self._path.read_text().splitlines() or [""]
        kept = [
            line for line in lines if line.split(",")[0].isdigit() and int(line.split(",")[0]) <= last_step
        ]
        if kept:
            write_atomically(self._path, ("\n".join([header, *kept]) + "\n").encode())
        else:
            self._path.unlink()
