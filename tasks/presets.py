"""Configurations by name, for each task; free of torch."""

from moduli.tasks.adding.settings import AddingSettings
from moduli.tasks.configuration import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.language.settings import LanguageSettings
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
            PruningSettings(sparsity=0.9, scope="global", schedule="linear", begin=14 / 15, end=1.0),
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
            PruningSettings(sparsity=0.95, scope="global", schedule="linear", begin=0.99, end=1.0),
        ),
    },
}
"""demo: four methods in four minutes on two cores; smoke: the same code, too short to learn much."""

METHODS = ("dense", "none", "permuted-torus-diffusion", "torus-diffusion")
"""The methods that are compared unless others are asked for."""
