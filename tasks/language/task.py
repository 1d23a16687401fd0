"""Language modelling as a task."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.tasks.language.corpora import load_corpus
from moduli.tasks.language.network import Hidden, WordModel
from moduli.tasks.language.reading import NOTHING, Reading, Segment
from moduli.tasks.language.settings import LanguageSettings
from moduli.tasks.language.vocabulary import END, UNKNOWN, Vocabulary
from moduli.tasks.seeds import stream, stream_seed
from moduli.tasks.task import Task

HELD_OUT_PLACES = 10
"""Places at which a held-out text is read at once, as in PyTorch's example; each begins in ignorance."""


@dataclass(frozen=True)
class Step:
    """What a training step reads.

    Parameters
    ----------
    number : int
        Number of the step.
    begins : bool
        Whether the text is begun anew, so that no state is carried over.
    segment : Segment
        The words.
    """

    number: int
    begins: bool
    segment: Segment


class Language(Task[Step]):
    """Tell the next word of a text.

    The training text is a circle that each seed cuts at a place of its own; batches go through it in
    order, again and again, and hidden states are carried from one step to the next while gradients are
    not (truncated backpropagation through time). The loss is the cross-entropy in nats for a word; the
    score is the perplexity, the exponential of its mean over all words of the held-out text, every
    line's ``<eos>`` included. Where the vocabulary leaves words out, the score's name says how many it holds:
    such a perplexity is lower, and not to be compared with one of all words.

    Parameters
    ----------
    settings : LanguageSettings
        The corpus and the network's size.
    batch_size : int
        Places at which the training text is read at once.
    seed : int
        Seed of the cut and of dropout.
    device : torch.device or str
        Where everything is made.

    Raises
    ------
    UnusableCorpus, MissingDependency
        If the corpus cannot be had; see `moduli.tasks.language.corpora.load_corpus`.
    """

    score_name = "perplexity"
    ignorance: ClassVar[str] = "word frequencies"

    def __init__(
        self, settings: LanguageSettings, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.device = torch.device(device)
        corpus = load_corpus(settings.corpus)
        self.digest = corpus.digest()
        self.vocabulary = Vocabulary.of(corpus.train, settings.vocabulary)
        if not self.vocabulary.covers(corpus.train):
            self.score_name = f"perplexity of {len(self.vocabulary):,} words"
        self._train_text, self._validation_text, self._test_text = (
            self.vocabulary.encode(lines).to(self.device)
            for lines in (corpus.train, corpus.validation, corpus.test)
        )
        cut = int(torch.randint(len(self._train_text), (), generator=stream(seed, "training")))
        self._reading = self._read(self._train_text.roll(-cut), batch_size)
        self._hidden: Hidden = ()

    def model(self) -> WordModel:
        """Return a fresh language model."""
        chosen = self.settings
        return WordModel(chosen.cell, len(self.vocabulary), chosen.units, chosen.layers, chosen.dropout).to(
            self.device
        )

    def batch(self, step: int) -> Step:
        """Return the words that a training step reads."""
        index = step % len(self._reading)
        return Step(step, index == 0, self._reading[index])

    def part(self, batch: Step, index: int, count: int) -> Step:
        """Return every ``count``-th place of a batch."""
        own = slice(index, None, count)
        segment = Segment(batch.segment.inputs[own], batch.segment.targets[own])
        return Step(batch.number, batch.begins, segment)

    def loss(self, model: nn.Module, batch: Step) -> Tensor:
        """Return the cross-entropy in nats, averaged over words, and carry the hidden state on."""
        hidden = () if batch.begins else self._hidden
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(stream_seed(self.seed, "dropout", batch.number))
            logits, hidden = model(batch.segment.inputs, hidden)
        self._hidden = tuple(state.detach() for state in hidden)
        return cross_entropy(logits.flatten(0, 1), batch.segment.targets.flatten(), ignore_index=NOTHING)

    def state(self) -> dict[str, Tensor]:
        """Return the hidden state that the last step left."""
        return {str(index): state for index, state in enumerate(self._hidden)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore the hidden state."""
        self._hidden = tuple(state[key] for key in sorted(state))

    def score(self, model: nn.Module) -> float:
        """Return the perplexity of the test text."""
        return _perplexity(self._held_out(model, self._test_text)[0])

    def validate(self, model: nn.Module) -> float:
        """Return the perplexity of the validation text."""
        return _perplexity(self._held_out(model, self._validation_text)[0])

    def references(self) -> dict[str, float]:
        """Return the perplexities of the training text's frequencies and of a guess among all words.

        Each frequency counts one occurrence more than there is, so that no word is impossible
        (Laplace's rule of succession).
        """
        counts = 1 + torch.bincount(self._train_text, minlength=len(self.vocabulary)).double()
        nats = -(counts / counts.sum()).log()[self._test_text].mean()
        return {
            self.ignorance: _perplexity(float(nats)),
            "any word equally likely": float(len(self.vocabulary)),
        }

    def measurements(self, model: nn.Module) -> dict[str, Any]:
        """Return what a word of the test text costs, how many are predicted, and which text it is."""
        nats, accuracy = self._held_out(model, self._test_text)
        unknown = self._test_text == self.vocabulary.numbers[UNKNOWN]
        return {
            "nats per word": nats,
            "bits per word": nats / math.log(2),
            "accuracy": accuracy,
            "test words": len(self._test_text),
            "test words unknown": float(unknown.double().mean()),
            "vocabulary": len(self.vocabulary),
            "corpus digest": self.digest,
        }

    def _read(self, text: Tensor, places: int) -> Reading:
        return Reading(text, places, self.settings.segment, first=self.vocabulary.numbers[END])

    @torch.no_grad()
    def _held_out(self, model: nn.Module, text: Tensor) -> tuple[float, float]:
        """Return the mean cross-entropy in nats and the share of words predicted, over all words."""
        training = model.training
        model.eval()
        nats, predicted, hidden = 0.0, 0, ()
        for segment in self._read(text, HELD_OUT_PLACES):
            logits, hidden = model(segment.inputs, hidden)
            targets = segment.targets.flatten()
            nats += float(cross_entropy(logits.flatten(0, 1), targets, ignore_index=NOTHING, reduction="sum"))
            predicted += int((logits.argmax(dim=-1).flatten() == targets).sum())
        model.train(training)
        return nats / len(text), predicted / len(text)


def _perplexity(nats: float) -> float:
    return float(torch.tensor(nats, dtype=torch.float64).exp())
