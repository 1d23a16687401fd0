"""Which weights die: cuts and exchanges, as functions of masks and scores."""

from collections.abc import Mapping

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
    infinity = float("inf")
    living = {name: torch.where(mask, scores[name], infinity) for name, mask in masks.items()}
    threshold = _smallest(torch.cat([each.flatten() for each in living.values()]), count)
    changed = {name: mask & (living[name] > threshold) for name, mask in masks.items()}
    dead = sum(int(masks[name].count_nonzero() - each.count_nonzero()) for name, each in changed.items())
    if dead > count:
        tied = {name: (mask & (living[name] == threshold)).nonzero() for name, mask in masks.items()}
        spared = _shuffled(sum(map(len, tied.values()))) < dead - count
        for name, places in tied.items():
            keeps, spared = spared[: len(places)], spared[len(places) :]
            changed[name][places[keeps.to(places.device)].unbind(1)] = True
    return changed


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
    infinity = float("inf")
    dying = score.flatten().masked_fill(~flat, infinity).topk(count, largest=False).indices
    rising = merit.flatten().masked_fill(flat, -infinity).topk(count).indices
    changed = flat.clone()
    changed[dying] = False
    changed[rising] = True
    return changed.view_as(mask)


def _shuffled(count: int) -> Tensor:
    """Return whole numbers in an order that follows no place, so that ties leave no pattern."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _smallest(values: Tensor, count: int) -> float:
    """Return the largest of so many smallest values, whose order may change."""
    if values.device.type == "cpu":
        # For four million weights NumPy took 5 ms, PyTorch's topk 60.
        array = values.numpy()
        array.partition(count - 1)
        return float(array[count - 1])
    return float(values.topk(count, largest=False, sorted=False).values.max())
