"""The presets of the digits; free of torch."""

from moduli.tasks.digits.settings import DigitsSettings
from moduli.tasks.experiments.configuration.presets import pruning_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings

PRESETS = {
    "demo": Configuration(
        DigitsSettings(units=64),
        TrainingSettings(steps=1500, optimizer="adam", learning_rate=2e-3),
        PruningSettings(sparsity=0.9),
    ),
    "small": Configuration(
        DigitsSettings(permuted=True),
        TrainingSettings(steps=2000, optimizer="adam", learning_rate=2e-3, log_interval=100),
        PruningSettings(sparsity=0.9),
    ),
    "smoke": Configuration(
        DigitsSettings(units=32, order="rows"),
        TrainingSettings(steps=300, batch=50, optimizer="adam", learning_rate=1e-2),
        PruningSettings(sparsity=0.8),
    ),
    "paper": Configuration(
        DigitsSettings(cell="rnn", units=100, images="mnist", permuted=True),
        TrainingSettings(
            steps=100_000,
            optimizer="adam",
            learning_rate=1e-4,
            decay="constant",
            log_interval=1000,
        ),
        PruningSettings(sparsity=0.9, **pruning_style("paper")),
    ),
}
"""The paper's preset has the network and the sequences of Le, Jaitly and Hinton, arXiv 1504.00941."""
