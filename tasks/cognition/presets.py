"""The presets of the cognitive tasks; free of torch."""

from moduli.tasks.cognition.settings import CognitionSettings
from moduli.tasks.experiments.configuration.presets import pruning_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings

PRESETS = {
    "demo": Configuration(
        CognitionSettings(problems="dlygo,dlyanti", units=64, time_step=50),
        TrainingSettings(steps=1500, batch=32, optimizer="adam", learning_rate=2e-3),
        PruningSettings(sparsity=0.9),
    ),
    "small": Configuration(
        CognitionSettings(units=128, time_step=50),
        TrainingSettings(steps=6000, batch=64, optimizer="adam", learning_rate=2e-3, log_interval=200),
        PruningSettings(sparsity=0.9),
    ),
    "smoke": Configuration(
        CognitionSettings(problems="go", units=32, time_step=100, test_trials=100),
        TrainingSettings(steps=200, batch=32, optimizer="adam", learning_rate=1e-2),
        PruningSettings(sparsity=0.8),
    ),
    "paper": Configuration(
        CognitionSettings(),
        TrainingSettings(
            steps=156_250,
            batch=64,
            optimizer="adam",
            learning_rate=1e-3,
            decay="constant",
            log_interval=1000,
        ),
        PruningSettings(sparsity=0.9, **pruning_style("paper")),
    ),
}
"""The paper's preset has the network, the number of trials and the learning rate of Yang et al., Nature
Neuroscience 2019; the loss is the cross-entropy of 17 answers in the place of squared errors of 33."""
