"""The recurrent matrix that a figure draws: a weight as it is, or one of the gates that it stacks."""

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, suggestion
from moduli.regularizers import ShapeMismatch

GATES = {3: ("reset", "update", "new"), 4: ("input", "forget", "cell", "output")}
"""Names of the gates of a GRU and of an LSTM, in the order in which PyTorch stacks them."""


def one_gate(weight: Tensor, gate: str | int | None) -> Tensor:
    """Return the square matrix of one gate of a recurrent weight.

    Parameters
    ----------
    weight : Tensor
        Recurrent weight ``(gates * n, n)``, indexed ``[target, source]``; ``nn.RNN`` has one gate. A sparse
        tensor of coordinates stays one.
    gate : str, int or None
        Which gate: of a GRU ``"reset"``, ``"update"`` or ``"new"``, of an LSTM ``"input"``,
        ``"forget"``, ``"cell"`` or ``"output"``, or its number from 0; None where there is but one.

    Returns
    -------
    Tensor
        ``(n, n)``, a view of a dense weight.

    Raises
    ------
    ShapeMismatch
        If the weight is not a whole number of square gates.
    InvalidParameter
        If the weight stacks several gates and none is named, or it has no such gate.

    Examples
    --------
    >>> import torch
    >>> one_gate(torch.arange(12.0).reshape(6, 2), "new")
    tensor([[ 8.,  9.],
            [10., 11.]])
    """
    if weight.dim() != 2 or not len(weight) or len(weight) % weight.shape[1]:
        raise ShapeMismatch(
            f"A recurrent weight is square, or stacks gates that are, got shape {tuple(weight.shape)}."
        )
    count = len(weight) // weight.shape[1]
    names = GATES.get(count, ())
    if gate is None and count == 1:
        return weight
    known = f"{', '.join(map(repr, names))} or a number below {count}" if names else f"a number below {count}"
    if gate is None:
        raise InvalidParameter(
            f"The weight of shape {tuple(weight.shape)} stacks {count} gates, of which a figure shows one: "
            f"say which, gate={known}."
        )
    if isinstance(gate, str):
        if gate not in names:
            advice = suggestion(gate, names) if names else f"name {known}."
            raise InvalidParameter(f"A weight of shape {tuple(weight.shape)} has no gate '{gate}'; {advice}")
        gate = names.index(gate)
    if isinstance(gate, bool) or not isinstance(gate, int) or not 0 <= gate < count:
        raise InvalidParameter(f"gate must be {known}, got {gate!r}.")
    n = weight.shape[1]
    if weight.is_sparse:
        return weight.index_select(0, torch.arange(gate * n, (gate + 1) * n, device=weight.device))
    return weight.chunk(count)[gate]


def magnitudes_of(weights: Tensor) -> Tensor:
    """Return the magnitudes of weights; of a mask, 1 where a weight is alive."""
    weights = weights.detach()
    return weights.float() if weights.dtype == torch.bool else weights.abs()


def relative_magnitudes(magnitudes: Tensor, own: Tensor) -> Tensor:
    """Return magnitudes relative to the largest one between two neurons.

    Where memory is free, a neuron's connection to itself is many times as strong as any other: it would leave
    no colour for these, and counts as 1 where it is stronger.

    Parameters
    ----------
    magnitudes : Tensor
        Magnitudes of weights.
    own : Tensor
        Booleans of the same shape, True where a neuron is connected to itself.
    """
    if not len(magnitudes):
        return magnitudes
    largest = magnitudes.masked_fill(own, 0).max().clamp_min(torch.finfo(magnitudes.dtype).tiny)
    return (magnitudes / largest).clamp(max=1)


def incoming_weights(weight: Tensor, gate: str | int | None, places: Tensor, neuron: int) -> Tensor:
    """Return relative magnitudes of the weights that reach one neuron, by their sources, ``(n,)``.

    Raises
    ------
    ShapeMismatch
        If the weight connects another number of neurons than there are places.
    InvalidParameter
        If there is no such neuron or gate.
    """
    weight = one_gate(weight, gate)
    if len(weight) != len(places):
        raise ShapeMismatch(f"The weight connects {len(weight)} neurons, the embedding places {len(places)}.")
    if not 0 <= neuron < len(weight):
        raise InvalidParameter(f"neuron must be a number below {len(weight)}, got {neuron}.")
    own = torch.arange(len(weight), device=weight.device) == neuron
    incoming = weight[neuron].detach()
    return relative_magnitudes(magnitudes_of(incoming.to_dense() if incoming.is_sparse else incoming), own)
