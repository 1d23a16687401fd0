"""Which tensors of a model are weight matrices, and which of them are recurrent."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from moduli.models.errors import NothingToPrune


@dataclass(frozen=True)
class WeightMatrix:
    """Where a weight matrix is in a model.

    Parameters
    ----------
    name : str
        The parameter's name, as in ``model.named_parameters()``.
    neurons : int or None
        Number of neurons that a recurrent weight connects to one another; None for any other.
    """

    name: str
    neurons: int | None = None


def weight_matrices(model: nn.Module) -> list[WeightMatrix]:
    """Return the weight matrices of a model's recurrent and linear modules, in the model's order.

    Biases are no weight matrices. A matrix that several modules share is listed once.

    Parameters
    ----------
    model : nn.Module
        Any module that holds ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, their cells, or ``nn.Linear``.

    Returns
    -------
    list of WeightMatrix

    Raises
    ------
    NothingToPrune
        If there is none.

    Examples
    --------
    >>> [matrix.name for matrix in weight_matrices(nn.Sequential(nn.Linear(3, 4), nn.RNN(4, 5)))]
    ['0.weight', '1.weight_ih_l0', '1.weight_hh_l0']
    """
    found: dict[int, WeightMatrix] = {}
    for path, module in model.named_modules():
        for name, neurons in _matrices_of(module):
            full_name = f"{path}.{name}" if path else name
            found.setdefault(id(getattr(module, name)), WeightMatrix(full_name, neurons))
    if not found:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        raise NothingToPrune(
            "The model holds no nn.RNN, nn.LSTM, nn.GRU, recurrent cell or nn.Linear, so that nothing can be "
            f"pruned; it consists of {', '.join(kinds)}."
        )
    return list(found.values())


def _matrices_of(module: nn.Module) -> Iterator[tuple[str, int | None]]:
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() == 2:
                yield name, weight.shape[1] if name.startswith("weight_hh") else None
    elif isinstance(module, nn.Linear):
        yield "weight", None
