"""Deep copies of models."""

import copy
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)
T = TypeVar("T")


def copied(model: Model, owner: T) -> tuple[Model, T]:
    """Return deep copies of a model and of what refers to it.

    The weights of a recurrent module are parts of one piece of memory, as cuDNN wants them. A deep copy tears
    them apart, and cuDNN then puts them together again at every call; a copy made here is in one piece.

    Examples
    --------
    >>> model, _ = copied(nn.LSTM(2, 3), None)
    """
    model, owner = copy.deepcopy((model, owner))
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module.flatten_parameters()
    return model, owner
