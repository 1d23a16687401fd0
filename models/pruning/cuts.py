"""Which weights die: cuts and exchanges, as functions of masks and scores."""

from collections.abc import Mapping

import numpy
import torch
from torch import Tensor

from moduli.models.pruning.blocks import Blocks


def cut(masks: Mapping[str, Tensor], scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
    """Return masks in which the lowest of the living weights of several matrices are dead.

    Parameters
    ----------
    masks, scores : mapping from str to Tensor
        For each matrix, booleans that are True where a weight is alive, and every weight's score.
    count : int
        How many die; exact, whatever ties there are. Of equal scores an arbitrary choice dies, spread over
        all places and the same every time.

    Returns
    -------
    dict of str to Tensor

    Examples
    --------
    >>> cut({"w": torch.tensor([True, True, False])}, {"w": torch.tensor([2.0, 1.0, 0.0])}, 1)
    {'w': tensor([ True, False, False])}
    """
    values = torch.cat([scores[name].flatten() for name in masks])
    eligible = torch.cat([mask.flatten() for mask in masks.values()])
    dying = torch.split(lowest(values, eligible, count), [mask.numel() for mask in masks.values()])
    return {name: mask & ~dies.view_as(mask) for (name, mask), dies in zip(masks.items(), dying, strict=True)}


def cut_blocks(
    masks: Mapping[str, Tensor], scores: Mapping[str, Tensor], blocks: Mapping[str, Blocks], count: int
) -> dict[str, Tensor]:
    """Return masks in which whole blocks are dead, those whose living weights have the lowest mean score.

    Parameters
    ----------
    masks, scores : mapping from str to Tensor
        For each matrix, booleans that are True where a weight is alive, and every weight's score.
    blocks : mapping from str to Blocks
        How each matrix is divided.
    count : int
        How many weights die at most; as many blocks die as this allows, of equal means an arbitrary choice.

    Returns
    -------
    dict of str to Tensor

    Examples
    --------
    >>> cut_blocks(
    ...     {"w": torch.ones(2, 4, dtype=torch.bool)},
    ...     {"w": torch.tensor([[9.0, 0.0, 2.0, 3.0], [0.0, 0.0, 2.0, 1.0]])},
    ...     {"w": Blocks((2, 4), 2)},
    ...     5,
    ... )
    {'w': tensor([[ True,  True, False, False],
            [ True,  True, False, False]])}
    """
    alive = {name: blocks[name].means(mask.float()) > 0 for name, mask in masks.items()}
    means = torch.cat([blocks[name].means(scores[name])[each] for name, each in alive.items()])
    sizes = torch.cat([blocks[name].sizes.to(each.device)[each] for name, each in alive.items()])
    order = _shuffled(len(means)).to(means.device)
    order = order[means[order].argsort(stable=True)]
    dying = order[sizes[order].cumsum(0) <= count]
    keeps = torch.ones_like(means, dtype=torch.bool).index_fill_(0, dying, False)
    changed, start = {}, 0
    for name, each in alive.items():
        stop = start + int(each.sum())
        changed[name] = blocks[name].spread(each.masked_scatter(each, keeps[start:stop]))
        start = stop
    return changed


def exchange(mask: Tensor, score: Tensor, merit: Tensor, count: int) -> Tensor:
    """Return a mask in which the weakest living weights gave way to the best dead ones.

    Parameters
    ----------
    mask : Tensor
        Booleans, True where a weight is alive.
    score : Tensor
        Strength of every weight; the smallest living ones die.
    merit : Tensor
        Promise of every weight; the largest dead ones come to life.
    count : int
        How many are exchanged.

    Returns
    -------
    Tensor
        A mask of as many living weights.

    Examples
    --------
    >>> mask = torch.tensor([True, True, False, False])
    >>> exchange(mask, torch.tensor([1.0, 2.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 3.0]), 1)
    tensor([False,  True, False,  True])
    """
    flat = mask.flatten()
    dying, rising = lowest(score.flatten(), flat, count), lowest(-merit.flatten(), ~flat, count, seed=1)
    return (flat & ~dying | rising).view_as(mask)


def lowest(values: Tensor, eligible: Tensor, count: int, seed: int = 0) -> Tensor:
    """Return which of the eligible values are the lowest: exactly so many, whatever ties there are.

    Of equal values an arbitrary choice is taken, spread over all places and the same every time. What is not
    a number comes last.

    Parameters
    ----------
    values : Tensor
        Numbers ``(n,)``.
    eligible : Tensor
        Booleans ``(n,)``.
    count : int
        How many, at most as many as are eligible.
    seed : int
        Seed of the choice among equal values.

    Returns
    -------
    Tensor
        Booleans ``(n,)``.

    Examples
    --------
    >>> lowest(torch.tensor([3.0, 1.0, 2.0, 0.0]), torch.tensor([True, True, True, False]), 2)
    tensor([False,  True,  True, False])
    """
    if not count:
        return torch.zeros_like(eligible)
    values = torch.where(eligible & ~values.isnan(), values.detach(), float("inf"))
    threshold = _smallest(values, count)
    found = eligible & (values <= threshold)
    surplus = int(found.count_nonzero()) - count
    if surplus:
        tied = (eligible & (values == threshold)).nonzero().squeeze(1)
        spared = _shuffled(len(tied), seed) < surplus
        found[tied[spared.to(tied.device)]] = False
    return found


def _shuffled(count: int, seed: int = 0) -> Tensor:
    """Return whole numbers in an order that follows no place, so that ties leave no pattern."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def _smallest(values: Tensor, count: int) -> float:
    """Return the largest of so many smallest values."""
    if values.device.type == "cpu":
        # For four million weights NumPy took 5 ms, PyTorch's topk 60.
        values = values.float() if values.dtype == torch.bfloat16 else values  # NumPy does not know it
        return float(numpy.partition(values.numpy(), count - 1)[count - 1])
    return float(values.topk(count, largest=False, sorted=False).values.max())
