"""Configurations by name, and the styles of pruning; free of torch."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from moduli.errors import RegistrationError, suggestion
from moduli.plugins import import_string
from moduli.tasks.errors import UnknownPreset
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.registry import find_task

PruningStyle = Literal["recovery", "paper"]

PURPOSES = {
    "demo": "minutes on two cores",
    "small": "under an hour for a few methods and seeds",
    "paper": "as published, for a GPU",
    "smoke": "seconds, too short to learn much",
    "first-look": "five minutes on two cores: what the first example of the README compares",
}
"""What each preset is for; the generic ones, and those of the built-in tasks."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""

EPOCHS = 30
"""How many epochs a published training has where a task does not say: as many as that of navigation."""


def pruning_style(name: PruningStyle, epochs: int = EPOCHS) -> dict[str, Any]:
    """Return the pruning settings that a style decides.

    Parameters
    ----------
    name : {"recovery", "paper"}
        ``"recovery"`` leaves steps to recover after the last cut; ``"paper"`` prunes as published: all
        matrices together, linearly over the last epoch, with coefficients as the inhibitors give them.
    epochs : int
        How many epochs the published training has.

    Examples
    --------
    >>> pruning_style("paper", epochs=4)["begin"]
    0.75
    """
    if name == "recovery":
        return {"scope": "recurrent", "schedule": "cubic", "begin": 0.15, "end": 0.6, "matched": True}
    return {"scope": "global", "schedule": "linear", "begin": 1 - 1 / epochs, "end": 1.0, "matched": False}


def with_style(configuration: Configuration, style: PruningStyle) -> Configuration:
    """Return a configuration whose networks are pruned in a style.

    Examples
    --------
    >>> with_style(preset("language"), "paper").pruning.scope
    'global'
    """
    epochs = getattr(configuration.task, "published_epochs", EPOCHS)
    return replace(configuration, pruning=replace(configuration.pruning, **pruning_style(style, epochs)))


def preset(task: str, name: str = "demo") -> Configuration:
    """Return a configuration of a task by name.

    Parameters
    ----------
    task : str
        A task's name, or an import string ``"package.module:Settings"``.
    name : str
        ``"demo"``, ``"small"``, ``"paper"``, ``"smoke"``, or another one of the task's own.

    Raises
    ------
    UnknownTask, UnknownPreset
        If there is no such task, or it has no such preset.
    PluginError, RegistrationError
        If the task's settings or presets cannot be imported, or are not what they must be.

    Examples
    --------
    >>> preset("adding", "smoke").task
    AddingSettings(units=32, length=10, test_sequences=500, initialization='uniform')
    >>> preset("adding", "smok")
    Traceback (most recent call last):
        ...
    moduli.tasks.errors.UnknownPreset: The task 'adding' has no preset 'smok'; did you mean 'smoke'? ...
    """
    presets = presets_of(find_task(task))
    if name not in presets:
        raise UnknownPreset(f"The task '{task}' has no preset {name!r}; {suggestion(name, presets)}")
    return presets[name]


def presets_of(settings: type[Any]) -> dict[str, Configuration]:
    """Return all presets of a task: its own, and the generic ones under names that it leaves free.

    The generic ones are settings of training and of pruning alone; the task has its defaults.

    Parameters
    ----------
    settings : type
        The task's settings class.

    Raises
    ------
    PluginError, RegistrationError
        If the task's presets cannot be imported, or are not configurations of this task.
    """
    epochs = getattr(settings, "published_epochs", EPOCHS)
    generic = {
        "demo": (TrainingSettings(), PruningSettings()),
        "small": (TrainingSettings(steps=2000), PruningSettings()),
        "paper": (
            TrainingSettings(
                steps=30_000, batch=200, learning_rate=1e-4, decay="constant", log_interval=1000
            ),
            PruningSettings(sparsity=0.9, **pruning_style("paper", epochs)),
        ),
        "smoke": (
            TrainingSettings(steps=200, batch=50, learning_rate=5e-3),
            PruningSettings(sparsity=0.9),
        ),
    }
    found = {
        name: Configuration(settings(), training, pruning) for name, (training, pruning) in generic.items()
    }
    return found | _own(settings)


def _own(settings: type[Any]) -> dict[str, Configuration]:
    if "presets" not in vars(settings):  # those of a base class are configurations of another task
        return {}
    what = f"The presets of {settings.__name__} ({settings.presets})"
    own = import_string(settings.presets, what)
    if not isinstance(own, Mapping) or not all(
        isinstance(name, str)
        and isinstance(configuration, Configuration)
        and isinstance(configuration.task, settings)
        for name, configuration in own.items()
    ):
        raise RegistrationError(
            f"{what} must be a mapping of names to Configuration({settings.__name__}(...), ...)."
        )
    return dict(own)
