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
            ),
            TrainingSettings(
                steps=30_000, batch=200, learning_rate=1e-4, decay="constant", log_interval=1000
            ),
            PruningSettings(sparsity=0.9, scope="global", schedule="linear", begin=29 / 30, end=1.0),
        ),
    },
}
"""demo: four methods in four minutes on two cores; smoke: the same code, too short to learn much;
small: long walks, learned almost to the floor in two minutes of a core for each training;
paper: the network, world and schedule of arXiv 2406.06290, which ask for a GPU."""

PROTOCOLS: dict[str, dict[str, Any]] = {
    "recovery": {},
    "paper": {"scope": "global", "schedule": "linear", "begin": 29 / 30, "end": 1.0, "matched": False},
}
"""Pruning settings that a protocol replaces. paper: arXiv 2406.06290 trains for 30 epochs, and prunes all
matrices together, linearly over the last one, with coefficients as the inhibitors give them."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
