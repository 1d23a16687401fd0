"""One neuron's connections, drawn on the torus's square."""

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from torch import Tensor

from moduli.manifolds import Torus
from moduli.tasks.figures.flat import draw_neuron_on_plane


def draw_neuron_on_torus(
    axes: Axes, weight: Tensor, places: Tensor, neuron: int, period: float = 10.0
) -> ScalarMappable:
    """Draw the incoming recurrent weights of one neuron on the flat torus.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    weight : Tensor
        Recurrent weight ``(n, n)``, indexed ``[target, source]``.
    places : Tensor
        Points of the neurons on the torus, ``(n, 2)``.
    neuron : int
        The receiving neuron.
    period : float
        Period of the torus.

    Returns
    -------
    ScalarMappable
        The colour scale, for a colour bar.
    """
    return draw_neuron_on_plane(axes, Torus(2, period), weight, places, neuron)
