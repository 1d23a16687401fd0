"""Configurations by name, for each task; free of torch."""

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

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
