"""Sequences of numbers, two of which are marked.

The adding problem of Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997
(experiment 4), in the form of Le, Jaitly and Hinton, arXiv 1504.00941: numbers in [0, 1], and marks at
any two places.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MARKED = 2
"""Numbers that are to be added."""


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences and the sums of their marked numbers.

    Parameters
    ----------
    inputs : Tensor
        At each step a number in [0, 1) and its mark, 1 or 0, ``(batch, length, 2)``.
    sums : Tensor
        Sums of the marked numbers, ``(batch,)``.
    """

    inputs: Tensor
    sums: Tensor


def draw(batch: int, length: int, generator: torch.Generator) -> Sequences:
    """Draw sequences of uniform numbers, each pair of places equally likely to be marked.

    Parameters
    ----------
    batch : int
        Number of sequences.
    length : int
        Numbers in each, at least two.
    generator : torch.Generator
        Source of randomness; the sequences are made on its device.

    Returns
    -------
    Sequences

    Examples
    --------
    >>> sequences = draw(3, 5, torch.Generator().manual_seed(0))
    >>> sequences.inputs[..., 1].sum(dim=1)
    tensor([2., 2., 2.])
    """
    numbers, order = torch.rand(2, batch, length, generator=generator, device=generator.device)
    marks = torch.zeros_like(numbers).scatter(1, order.topk(MARKED, dim=1).indices, 1.0)
    return Sequences(torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(dim=1))
