"""Configurations by name, for each task; free of torch."""

from typing import Any

from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.experiments.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.language.settings import LanguageSettings
from moduli.tasks.navigation.settings import NavigationSettings

EPOCHS = {"navigation": 30, "language": 15, "adding": 100}
"""How many epochs each task is trained for in arXiv 2406.06290."""


def protocol(name: str, task: str) -> dict[str, Any]:
    """Return the pruning settings of a protocol.

    Parameters
    ----------
    name : {"recovery", "paper"}
        ``"recovery"`` leaves steps to recover after the last cut; ``"paper"`` prunes as published: all
        matrices together, linearly over the last epoch, with coefficients as the inhibitors give them.
    task : str
        The task, which decides how many epochs there are.

    Examples
    --------
    >>> protocol("paper", "language")["scope"]
    'global'
    """
    if name == "recovery":
        return {"scope": "recurrent", "schedule": "cubic", "begin": 0.15, "end": 0.6, "matched": True}
    begin = 1 - 1 / EPOCHS[task]
    return {"scope": "global", "schedule": "linear", "begin": begin, "end": 1.0, "matched": False}


PRESETS: dict[str, dict[str, Configuration]] = {
    "navigation": {
        "demo": Configuration(),
        "smoke": Configuration(
            NavigationSettings(units=64, cells=64, walk_length=10, test_walks=500),
            TrainingSettings(steps=200, batch=50, learning_rate=5e-3),
            PruningSettings(sparsity=0.9),
        ),
        "small": Configuration(
            NavigationSettings(units=256, cells=256, walk_length=50, long_walk_length=100),
            TrainingSettings(steps=2000),
        ),
        "paper": Configuration(
            NavigationSettings(
                units=4096,
                cells=512,
                cell_width=0.12,
                tuning="difference-of-gaussians",
                velocity_scale=0.02,
                walk_length=50,
                initialization="uniform",
            ),
            TrainingSettings(
                steps=30_000, batch=200, learning_rate=1e-4, decay="constant", log_interval=1000
            ),
            PruningSettings(sparsity=0.9, **protocol("paper", "navigation")),
        ),
    },
    "language": {
        "demo": Configuration(
            LanguageSettings(),
            TrainingSettings(
                steps=2000, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=111
            ),
            PruningSettings(sparsity=0.9),
        ),
        "small": Configuration(
            LanguageSettings(layers=3),
            TrainingSettings(
                steps=2000, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=111
            ),
            PruningSettings(sparsity=0.9),
        ),
        "smoke": Configuration(
            LanguageSettings(units=32, vocabulary=500),
            TrainingSettings(
                steps=200, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=50
            ),
            PruningSettings(sparsity=0.8),
        ),
        "paper": Configuration(
            LanguageSettings(units=650, layers=3, corpus="wikitext-2", vocabulary=33_278),
            TrainingSettings(
                steps=15 * 2984,
                batch=20,
                optimizer="sgd",
                learning_rate=20.0,
                decay="plateau",
                clip=0.25,
                log_interval=2984,
            ),
            PruningSettings(sparsity=0.9, **protocol("paper", "language")),
        ),
    },
    "adding": {
        "demo": Configuration(
            AddingSettings(),
            TrainingSettings(steps=5000, batch=100, optimizer="adam", learning_rate=1e-3, clip=0.5),
            PruningSettings(sparsity=0.9),
        ),
        "small": Configuration(
            AddingSettings(),
            TrainingSettings(steps=6000, batch=100, optimizer="adam", learning_rate=1e-3, clip=0.5),
            PruningSettings(sparsity=0.95),
        ),
        "smoke": Configuration(
            AddingSettings(units=32, length=10, test_sequences=500),
            TrainingSettings(steps=1500, batch=50, optimizer="adam", learning_rate=5e-3, clip=0.5),
            PruningSettings(sparsity=0.8),
        ),
        "paper": Configuration(
            AddingSettings(test_sequences=10_000),
            TrainingSettings(
                steps=100 * 1000,
                batch=100,
                optimizer="adam",
                learning_rate=1e-4,
                decay="constant",
                clip=0.5,
                log_interval=1000,
            ),
            PruningSettings(sparsity=0.95, **protocol("paper", "adding")),
        ),
    },
}
"""demo: minutes; small: under an hour for a few methods and seeds; smoke: the same code, too short to learn
much; paper: the networks, data and schedules of arXiv 2406.06290, which ask for a GPU."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
