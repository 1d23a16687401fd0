"""Configurations by name, for each task; free of torch."""

from typing import Any

from moduli.tasks.configuration import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.navigation.settings import NavigationSettings

PRESETS: dict[str, dict[str, Configuration]] = {
    "navigation": {
        "demo": Configuration(),
        "smoke": Configuration(
            NavigationSettings(units=64, cells=64, walk_length=10, test_walks=500),
            TrainingSettings(steps=200, batch=50, learning_rate=5e-3),
            PruningSettings(sparsity=0.9),
        ),
    },
}
"""demo: four methods in four minutes on two cores; smoke: the same code, too short to learn much."""

PROTOCOLS: dict[str, dict[str, Any]] = {
    "recovery": {},
    "paper": {"scope": "global", "schedule": "linear", "begin": 29 / 30, "end": 1.0, "matched": False},
}
"""Pruning settings that a protocol replaces. paper: arXiv 2406.06290 trains for 30 epochs, and prunes all
matrices together, linearly over the last one, with coefficients as the inhibitors give them."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
