"""Recurrence that starts as the identity."""

from torch import nn

from moduli.models.matrices import is_recurrent


def start_as_identity(layer: nn.RNN) -> None:
    """Set the recurrent weights of a layer to the identity matrix and its biases to zero, in place.

    So every unit remembers and adds up what it is told: Le, Jaitly and Hinton, "A simple way to initialize
    recurrent networks of rectified linear units", arXiv 1504.00941.

    Examples
    --------
    >>> layer = nn.RNN(1, 2, nonlinearity="relu")
    >>> start_as_identity(layer)
    >>> layer.weight_hh_l0
    Parameter containing:
    tensor([[1., 0.],
            [0., 1.]], requires_grad=True)
    """
    for name, parameter in layer.named_parameters():
        if is_recurrent(name):
            nn.init.eye_(parameter)
        elif name.startswith("bias"):
            nn.init.zeros_(parameter)
