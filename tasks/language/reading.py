"""A text read in several places at once, segment by segment."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

NOTHING = -100
"""Stands for a word after the end of the text; PyTorch's cross_entropy ignores this target."""


@dataclass(frozen=True)
class Segment:
    """Some words and the words that follow them.

    Parameters
    ----------
    inputs : Tensor
        Numbers of the words, ``(places, words)``, in int64.
    targets : Tensor
        Numbers of the words that follow each, of the same shape; ``NOTHING`` where none does.
    """

    inputs: Tensor
    targets: Tensor


class Reading:
    """A text cut into consecutive pieces of equal length, which are read side by side.

    Every word of the text is a target once, the first word and those of the last, shorter segment
    included. What the text does not fill at the end of the last pieces is `NOTHING`.

    Parameters
    ----------
    text : Tensor
        Numbers of the words, ``(words,)``.
    places : int
        Number of pieces.
    segment : int
        Words of each piece that are read at once.
    first : int
        Number of the word that is read before the text begins.

    Examples
    --------
    >>> reading = Reading(torch.arange(1, 8), places=2, segment=3, first=0)
    >>> [part.inputs.tolist() for part in reading]
    [[[0, 1, 2], [4, 5, 6]], [[3], [0]]]
    >>> [part.targets.tolist() for part in reading]
    [[[1, 2, 3], [5, 6, 7]], [[4], [-100]]]
    """

    def __init__(self, text: Tensor, places: int, segment: int, first: int) -> None:
        length = -(-len(text) // places)
        missing = places * length - len(text)
        before = torch.cat([text.new_tensor([first]), text[:-1]])
        self._inputs = pad(before, (0, missing), value=first).view(places, length)
        self._targets = pad(text, (0, missing), value=NOTHING).view(places, length)
        self._segment = segment

    def __len__(self) -> int:
        return -(-self._inputs.shape[1] // self._segment)

    def __getitem__(self, index: int) -> Segment:
        columns = slice(index * self._segment, (index + 1) * self._segment)
        return Segment(self._inputs[:, columns], self._targets[:, columns])

    def __iter__(self) -> Iterator[Segment]:
        return (self[index] for index in range(len(self)))
