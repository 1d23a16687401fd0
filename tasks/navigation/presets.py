"""The presets of the navigation task; free of torch."""

from moduli.tasks.experiments.configuration.presets import pruning_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.navigation.settings import NavigationSettings

PRESETS = {
    "demo": Configuration(NavigationSettings(), TrainingSettings(), PruningSettings()),
    "first-look": Configuration(
        NavigationSettings(initialization="uniform", cells=256, walk_length=50, long_walk_length=100),
        TrainingSettings(steps=2000, batch=40),
        PruningSettings(sparsity=0.9),
    ),
    "smoke": Configuration(
        NavigationSettings(units=64, cells=64, walk_length=10, test_walks=500),
        TrainingSettings(steps=200, batch=50, learning_rate=5e-3),
        PruningSettings(sparsity=0.9),
    ),
    "small": Configuration(
        NavigationSettings(units=256, cells=256, walk_length=50, long_walk_length=100),
        TrainingSettings(steps=2000),
        PruningSettings(),
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
        TrainingSettings(steps=30_000, batch=200, learning_rate=1e-4, decay="constant", log_interval=1000),
        PruningSettings(sparsity=0.9, **pruning_style("paper", NavigationSettings.published_epochs)),
    ),
}
"""``first-look`` is the world of docs/preregistration.md. The paper's preset has the network, data and
schedule of arXiv 2406.06290."""
