"""The words that a language model knows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

UNKNOWN = "<unk>"
"""Stands for every word that is not in the vocabulary."""
END = "<eos>"
"""Stands at the end of every line."""


@dataclass(frozen=True)
class Vocabulary:
    """Words and their numbers.

    Parameters
    ----------
    words : tuple of str
        The words, each numbered by its place.

    Examples
    --------
    >>> vocabulary = Vocabulary.of(["the cat", "the dog"], largest=3)
    >>> vocabulary.words
    ('<unk>', '<eos>', 'the')
    >>> vocabulary.encode(["the dog"])
    tensor([2, 0, 1])
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, lines: Iterable[str], largest: int) -> "Vocabulary":
        """Take the most frequent words of a text, the first in the alphabet of equally frequent ones.

        Parameters
        ----------
        lines : iterable of str
            The text, words separated by white space.
        largest : int
            Largest number of words, ``<unk>`` and ``<eos>`` included.
        """
        counts = Counter(word for line in lines for word in line.split())
        for special in (UNKNOWN, END):
            del counts[special]
        frequent = sorted(counts, key=lambda word: (-counts[word], word))
        return cls((UNKNOWN, END, *frequent[: largest - 2]))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each word."""
        return {word: number for number, word in enumerate(self.words)}

    def encode(self, lines: Iterable[str]) -> Tensor:
        """Return the numbers of a text's words, ``(words,)``, in int64; every line ends with ``<eos>``."""
        numbers, unknown = self.numbers, self.numbers[UNKNOWN]
        return torch.tensor([numbers.get(word, unknown) for line in lines for word in (*line.split(), END)])

    def covers(self, lines: Iterable[str]) -> bool:
        """Tell whether every word of a text has a number.

        Examples
        --------
        >>> Vocabulary(("<unk>", "<eos>", "the")).covers(["the cat"])
        False
        """
        known = self.numbers.keys()
        return all(word in known for line in lines for word in line.split())

    def __len__(self) -> int:
        return len(self.words)
