"""Curves for Weights & Biases, MLflow and whatever else Lightning has a logger for."""

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moduli.errors import InvalidConfiguration, ModuliError, suggestion
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


class Curves:
    """A logger that may fail and ends no training: it is left out from there on, with a warning.

    Parameters
    ----------
    logger : Logger
        One of Lightning's.
    name : str
        What it was asked for by.
    """

    def __init__(self, logger: "Logger", name: str) -> None:
        self._logger: Logger | None = logger
        self._name = name

    def log(self, numbers: dict[str, float], step: int) -> None:
        """Show the metrics of a step."""
        self._attempt(lambda logger: logger.log_metrics(numbers, step))

    def close(self, success: bool) -> None:
        """Say that the training is over."""
        self._attempt(lambda logger: logger.finalize("success" if success else "failed"))

    def _attempt(self, call: Callable[["Logger"], None]) -> None:
        if self._logger is None:
            return
        try:
            call(self._logger)
        except Exception as error:  # what writes to a server may fail in any way
            self._logger = None
            warnings.warn(
                f"The logger {self._name} failed ({type(error).__name__}: {error}) and gets no more of this "
                "training, which goes on; metrics.csv has every row.",
                stacklevel=3,
            )


def make_curves(logger: str, folder: Path) -> Curves:
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
        If there is no such word, or the logger cannot be made.
    MissingDependency
        If Lightning, or what the logger writes for, is not installed.
    PluginError
        If a class cannot be imported.
    """
    loggers = require_package("lightning.pytorch.loggers", "Loggers of Lightning", "lightning")
    if ":" not in logger and logger not in LOGGERS:
        raise InvalidConfiguration(
            f"No logger is called '{logger}'; {suggestion(logger, [*LOGGERS, 'tensorboard'])} "
            "A logger of your own is named as package.module:Class."
        )
    found = import_string(logger, f"The logger {logger}") if ":" in logger else None
    if found is not None and not (isinstance(found, type) and issubclass(found, loggers.Logger)):
        raise InvalidConfiguration(
            f"The logger {logger} is not a class of Lightning's loggers; derive it from "
            "lightning.pytorch.loggers.Logger."
        )
    try:
        made: Logger = LOGGERS[logger](loggers, folder) if found is None else found(save_dir=folder)
    except ModuliError:
        raise
    except Exception as error:  # a constructor may fail in any way
        expected = (
            "" if found is None else "; its constructor takes save_dir, and nothing else that is needed"
        )
        raise InvalidConfiguration(
            f"The logger {logger} cannot be made ({type(error).__name__}: {error}){expected}."
        ) from error
    return Curves(made, logger)


def _name(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"
