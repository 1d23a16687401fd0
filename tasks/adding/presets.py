"""The presets of the adding problem; free of torch."""

from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.experiments.configuration.presets import pruning_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings

PRESETS = {
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
        PruningSettings(sparsity=0.95, **pruning_style("paper", AddingSettings.published_epochs)),
    ),
}
"""The paper's preset has the network, sequences and schedule of arXiv 2406.06290."""
