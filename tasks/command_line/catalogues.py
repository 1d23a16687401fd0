"""`moduli list`: what is known by name."""

import inspect
import json
from collections.abc import Callable, Sequence

from moduli.errors import ModuliError
from moduli.manifolds import available
from moduli.models import geometric_mask, mask_families, tile_mask
from moduli.regularizers import registered_regularizers
from moduli.tasks.command_line.commands import Catalogue, ListCommand
from moduli.tasks.experiments.configuration.presets import PURPOSES, presets_of
from moduli.tasks.experiments.configuration.settings import Configuration
from moduli.tasks.experiments.methods import explained_methods
from moduli.tasks.registry import available_tasks, find_task


def execute(command: ListCommand, arguments: Sequence[str]) -> bool:
    """Print a catalogue."""
    found = CATALOGUES[command.what]()
    width = max(map(len, found))
    lines = (f"{name:<{width}}  {line}" for name, line in found.items())
    print(json.dumps(found, indent=2) if command.json else "\n".join(lines))
    return True


def _regularizers() -> dict[str, str]:
    return {name: _first_line(cls) for name, cls in sorted(registered_regularizers().items())}


def _masks() -> dict[str, str]:
    """Return the families that need nothing but a size, and those that need a manifold."""
    geometric = {"geometric": _first_line(geometric_mask), "tiles": _first_line(tile_mask)}
    return dict(sorted({**mask_families(), **geometric}.items()))


def _presets() -> dict[str, str]:
    """Return every preset as ``TASK NAME``; a plugin that cannot be imported is named with its error."""
    found = {}
    for task in available_tasks():
        try:
            presets = presets_of(find_task(task))
        except ModuliError as error:
            found[task] = str(error)
            continue
        found |= {f"{task} {name}": _summary(name, preset) for name, preset in presets.items()}
    return found


def _summary(name: str, preset: Configuration) -> str:
    training, pruning = preset.training, preset.pruning
    summary = f"{training.steps:,} steps, {100 * pruning.sparsity:.4g}% zeros"
    return f"{summary}: {PURPOSES[name]}" if name in PURPOSES else summary


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


CATALOGUES: dict[Catalogue, Callable[[], dict[str, str]]] = {
    "manifolds": available,
    "regularizers": _regularizers,
    "masks": _masks,
    "tasks": available_tasks,
    "methods": explained_methods,
    "presets": _presets,
}
