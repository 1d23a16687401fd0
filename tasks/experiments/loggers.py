"""Curves for Weights & Biases, MLflow and whatever else Lightning has a logger for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moduli.errors import InvalidConfiguration, suggestion
from moduli.registry import import_string
from moduli.requirements import require_package

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

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


def make_logger(logger: str, folder: Path) -> "Logger":
    """Return a logger of Lightning for a run's metrics.

    Parameters
    ----------
    logger : str
        ``csv``, ``mlflow`` or ``wandb``; or ``package.module:Class``, a logger that takes ``save_dir``.
        Environment variables such as ``WANDB_MODE`` and ``MLFLOW_TRACKING_URI`` say where curves go.
    folder : Path
        The folder of the run's stage, for what the logger keeps on disk.

    Raises
    ------
    InvalidConfiguration
        If there is no such word.
    MissingDependency
        If Lightning, or what the logger writes for, is not installed.
    PluginError
        If a class cannot be imported.
    """
    loggers = require_package("lightning.pytorch.loggers", "Loggers of Lightning", "lightning")
    if ":" in logger:
        made: Logger = import_string(logger, f"The logger {logger}")(save_dir=folder)
        return made
    if logger not in LOGGERS:
        raise InvalidConfiguration(
            f"No logger is called '{logger}'; {suggestion(logger, [*LOGGERS, 'tensorboard'])} "
            "A logger of your own is named as package.module:Class."
        )
    return LOGGERS[logger](loggers, folder)


def _name(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"
