"""Tasks: what a sparse network is measured on, under one protocol.

A name is imported when it is first asked for, and PyTorch with those that need it.
"""

from typing import TYPE_CHECKING

from moduli.lazy import lazy_names

if TYPE_CHECKING:
    from moduli.tasks.experiments.comparisons.comparison import Comparison
    from moduli.tasks.experiments.comparisons.search import SettingSearch
    from moduli.tasks.experiments.configuration.presets import preset
    from moduli.tasks.registry import available_tasks, register_task
    from moduli.tasks.task import Task, make_task

__all__ = [
    "Comparison",
    "SettingSearch",
    "Task",
    "available_tasks",
    "make_task",
    "preset",
    "register_task",
]

_ORIGINS = {
    "Comparison": "moduli.tasks.experiments.comparisons.comparison",
    "SettingSearch": "moduli.tasks.experiments.comparisons.search",
    "Task": "moduli.tasks.task",
    "available_tasks": "moduli.tasks.registry",
    "make_task": "moduli.tasks.task",
    "preset": "moduli.tasks.experiments.configuration.presets",
    "register_task": "moduli.tasks.registry",
}

__getattr__, __dir__ = lazy_names("moduli.tasks", lambda: _ORIGINS)
