"""The settings of the language task."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from moduli.requirements import require
from moduli.tasks.experiments.configuration.values import check_settings

Cell = Literal["rnn", "gru", "lstm"]


@dataclass(frozen=True)
class LanguageSettings:
    """Language: tell the next word of a text."""

    name: ClassVar[str] = "language"
    task: ClassVar[str] = "moduli.tasks.language.task:Language"
    presets: ClassVar[str] = "moduli.tasks.language.presets:PRESETS"
    published_epochs: ClassVar[int] = 40

    cell: Cell = "rnn"
    """Kind of recurrent layer; rnn has the hyperbolic tangent."""
    units: int = 128
    """Recurrent units of each layer, and dimensions in which words are embedded."""
    layers: int = 1
    """Recurrent layers."""
    dropout: float = 0.2
    """Share of activations that is dropped after the embedding and after each layer while training."""
    corpus: str = "python-topics"
    """python-topics (the language reference that ships with Python), wikitext-2, wikitext-103, or a folder
    with train.txt, valid.txt and test.txt, words separated by spaces."""
    vocabulary: int = 2000
    """Largest number of words, <unk> and <eos> included; rarer words of the text become <unk>."""
    segment: int = 35
    """Words that gradients are propagated back through."""

    def __post_init__(self) -> None:
        check_settings(self)
        for name in ("units", "layers", "segment"):
            require(getattr(self, name) > 0, name, "positive", getattr(self, name))
        require(0 <= self.dropout < 1, "dropout", "a share in [0, 1)", self.dropout)
        require(self.vocabulary >= 3, "vocabulary", "at least 3: <unk>, <eos> and a word", self.vocabulary)
