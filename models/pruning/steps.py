"""What one step does to the masks: weights are cut, and others come back."""

import warnings
from collections.abc import Callable

from torch import Tensor

from moduli.models.errors import LayerCollapse
from moduli.models.pruning.living import LivingWeights
from moduli.models.pruning.masks import emptied
from moduli.models.pruning.pruners import Pruner
from moduli.models.pruning.regrowth import Merits, Regrowth, regrown


def cut(
    pruner: Pruner,
    step: int,
    weights: LivingWeights,
    scores: Callable[[str], Tensor],
    aim: str,
    stacklevel: int,
) -> None:
    """Cut as many weights as are due; their values stay until `LivingWeights.zero_dead`.

    Parameters
    ----------
    pruner : Pruner
        Decides how many weights die, and which.
    step : int
        How many steps were taken, with this one.
    weights : LivingWeights
        The weights, whose masks are changed.
    scores : callable
        From a weight's name to the numbers by which its entries are cut, smallest first.
    aim : str
        What was wanted, for the warning about a matrix that has no connection left.
    stacklevel : int
        Whom the warning blames, counted from the caller.

    Raises
    ------
    NonFiniteWeights
        If a cut is due while a weight is NaN or infinite; the masks stay as they were.
    """
    due = pruner.due(step, weights.masks)
    if not due:
        return
    weights.check_finite(step)
    changed = pruner.cut(due, weights.masks, scores)
    for name in emptied(weights.masks, changed):
        warnings.warn(
            f"{name} has no connection left at step {step} ({aim}).",
            LayerCollapse,
            stacklevel=stacklevel + 1,
        )
    weights.masks.update(changed)


def regrow(
    regrowth: Regrowth,
    step: int,
    weights: LivingWeights,
    scores: Callable[[str], Tensor],
    merits: Merits,
) -> dict[str, Tensor]:
    """Let dead weights come back, at zero, in the place of weak ones.

    Parameters
    ----------
    regrowth : Regrowth
        Decides how many.
    step, weights, scores
        As of `cut`.
    merits : callable
        What comes back first, see `Regrowth.merits`.

    Returns
    -------
    dict of str to Tensor
        For each weight that changed, booleans that are True where an entry has come back.

    Raises
    ------
    NonFiniteWeights
        If a weight is NaN or infinite; the masks stay as they were.
    """
    weights.check_finite(step)
    changed = regrown(regrowth, step, weights.masks, scores, merits)
    weights.zero_dead()  # what comes back starts at zero, whatever momentum has moved it to
    back = {name: mask & ~weights.masks[name] for name, mask in changed.items()}
    weights.masks.update(changed)
    return back
