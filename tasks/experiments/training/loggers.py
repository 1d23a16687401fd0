"""Curves for TensorBoard, Weights & Biases, MLflow and whatever else Lightning has a logger for."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moduli.errors import InvalidConfiguration, ModuliError, suggestion
from moduli.plugins import import_string
from moduli.requirements import require_package

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

TENSORBOARD = "tensorboard"
"""How TensorBoard's files are asked for."""

PROJECT = "moduli"
"""How Weights & Biases calls the project of all runs, and MLflow their experiment."""


def _csv(loggers: Any, folder: Path) -> "Logger":
    logger: Logger = loggers.CSVLogger(folder, name="csv", version="")
    return logger


def _mlflow(loggers: Any, folder: Path) -> "Logger":
    require_package("mlflow", "Curves for MLflow", "mlflow")
    logger: Logger = loggers.MLFlowLogger(PROJECT, run_name=_name(folder), save_dir=str(folder / "mlruns"))
    return logger


def _wandb(loggers: Any, folder: Path) -> "Logger":
    require_package("wandb", "Curves for Weights & Biases", "wandb")
    # A run that goes on has the same id, and its curves go on.
    name = _name(folder)
    logger: Logger = loggers.WandbLogger(name, save_dir=folder, id=name, project=PROJECT)
    return logger


LOGGERS: Mapping[str, Callable[[Any, Path], "Logger"]] = {"csv": _csv, "mlflow": _mlflow, "wandb": _wandb}
"""How each logger of Lightning is made, by the word for it."""


class Curves:
    """What shows metrics elsewhere. If it fails it is left out from there on, with a warning.

    Parameters
    ----------
    name : str
        What it was asked for by.
    log : callable
        Shows the numbers of a step.
    close : callable
        Takes whether the training has ended well.
    """

    def __init__(
        self, name: str, log: Callable[[dict[str, float], int], None], close: Callable[[bool], None]
    ) -> None:
        self._name, self._log, self._close = name, log, close
        self._failed = False

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Show the metrics of a step."""
        self._attempt(lambda: self._log(numbers, step))

    def close(self, success: bool) -> None:
        """Say that the training is over."""
        self._attempt(lambda: self._close(success))

    def _attempt(self, call: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            call()
        except Exception as error:  # what writes to a server may fail in any way
            self._failed = True
            warnings.warn(
                f"The logger {self._name} failed ({type(error).__name__}: {error}) and gets no more of this "
                "training, which goes on; metrics.csv has every row.",
                stacklevel=3,
            )


def make_curves(logger: str, folder: Path, step: int) -> Curves:
    """Return what shows a run's metrics elsewhere.

    Parameters
    ----------
    logger : str
        ``tensorboard``; a logger of Lightning, ``csv``, ``mlflow`` or ``wandb``; or
        ``package.module:Class``, one that takes ``save_dir``. Environment variables such as ``WANDB_MODE``
        and ``MLFLOW_TRACKING_URI`` say where curves go.
    folder : Path
        The folder of the run's stage, for what is kept on disk.
    step : int
        Last step that counts: TensorBoard drops what a killed run wrote after it.

    Raises
    ------
    InvalidConfiguration
        If no logger has the name, or it cannot be made.
    MissingDependency
        If Lightning, or what the logger writes for, is not installed.
    PluginError
        If a class cannot be imported.
    """
    if ":" not in logger and logger not in (TENSORBOARD, *LOGGERS):
        raise InvalidConfiguration(
            f"No logger is called '{logger}'; {suggestion(logger, [TENSORBOARD, *LOGGERS])} "
            "A logger of your own is named as package.module:Class."
        )
    try:
        return _tensorboard(folder, step) if logger == TENSORBOARD else _of_lightning(logger, folder)
    except ModuliError:
        raise
    except Exception as error:  # a constructor may fail in any way
        expected = (
            "; its constructor takes save_dir, and nothing else that is needed" if ":" in logger else ""
        )
        raise InvalidConfiguration(
            f"The logger {logger} cannot be made ({type(error).__name__}: {error}){expected}."
        ) from error


def _tensorboard(folder: Path, step: int) -> Curves:
    """Return PyTorch's own writer, which needs no Lightning."""
    require_package("tensorboard", "Files for TensorBoard", "tensorboard")  # torch's writer does not name it
    tensorboard = require_package("torch.utils.tensorboard", "Files for TensorBoard", "tensorboard")
    writer = tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def log(numbers: dict[str, float], step: int) -> None:
        for name, number in numbers.items():
            writer.add_scalar(name, number, step)

    return Curves(TENSORBOARD, log, lambda success: writer.close())


def _of_lightning(name: str, folder: Path) -> Curves:
    loggers = require_package("lightning.pytorch.loggers", "Loggers of Lightning", "lightning")
    logger: Logger
    if name in LOGGERS:
        logger = LOGGERS[name](loggers, folder)
    else:
        found = import_string(name, f"The logger {name}")
        if not (isinstance(found, type) and issubclass(found, loggers.Logger)):
            raise InvalidConfiguration(
                f"The logger {name} is not a class of Lightning's loggers; derive it from "
                "lightning.pytorch.loggers.Logger."
            )
        logger = found(save_dir=folder)
    return Curves(
        name, logger.log_metrics, lambda success: logger.finalize("success" if success else "failed")
    )


def _name(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"
