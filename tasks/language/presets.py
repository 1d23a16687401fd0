"""The presets of the language task; free of torch."""

from moduli.tasks.experiments.configuration.presets import pruning_style
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings, TrainingSettings
from moduli.tasks.language.settings import LanguageSettings

PRESETS = {
    "demo": Configuration(
        LanguageSettings(),
        TrainingSettings(
            steps=2000, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=111
        ),
        PruningSettings(sparsity=0.9),
    ),
    "small": Configuration(
        LanguageSettings(layers=3, corpus="wikitext-2", vocabulary=10_000),
        TrainingSettings(
            steps=1500, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=150
        ),
        PruningSettings(sparsity=0.9),
    ),
    "smoke": Configuration(
        LanguageSettings(units=32, vocabulary=500),
        TrainingSettings(steps=200, batch=20, optimizer="sgd", learning_rate=5.0, clip=0.25, log_interval=50),
        PruningSettings(sparsity=0.8),
    ),
    "paper": Configuration(
        LanguageSettings(units=650, layers=3, corpus="wikitext-2", vocabulary=33_278),
        TrainingSettings(
            steps=LanguageSettings.published_epochs * 2984,
            batch=20,
            optimizer="sgd",
            learning_rate=20.0,
            decay="plateau",
            clip=0.25,
            log_interval=2984,
        ),
        PruningSettings(sparsity=0.9, **pruning_style("paper", LanguageSettings.published_epochs)),
    ),
}
"""``small`` reads WikiText-2 with its 10,000 most frequent words, so that its perplexities are not those of
the whole vocabulary. The paper's preset has the network and text of arXiv 2406.06290, and the 40 epochs of
its code."""
