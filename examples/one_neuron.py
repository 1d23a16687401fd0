"""Draw one neuron's incoming weights from the networks of `make demo`: the picture of the front page.

Run `make demo`, then `python examples/one_neuron.py`; the picture goes to docs/images. Its words can be read
where it is 380 pixels wide.
"""

import sys
from pathlib import Path

from matplotlib.figure import Figure

from moduli.tasks.experiments.runs.networks import StoredNetwork
from moduli.tasks.figures.flat import draw_neuron_on_plane

NEURON = 7
RECURRENT = "recurrent.weight_hh_l0"
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "neuron.png"


def picture(runs: Path) -> Figure:
    """Return the picture of the dense, the rewired and the local network, each with its error."""
    found = [StoredNetwork(path.parent) for path in sorted(runs.glob("networks/*/trained/results.json"))]
    networks = {network.result.method.partition("-")[0]: network for network in found}
    placed = networks["torus"]
    manifold, places = placed.manifold, placed.embeddings[RECURRENT]
    assert manifold is not None
    figure = Figure(figsize=(6.4, 2.9), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3), ("dense", "rewired", "torus"), strict=True):
        network = networks[name]
        draw_neuron_on_plane(axes, manifold, network.weights[RECURRENT], places, NEURON)
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=22)
        axes.set_xlabel(f"{network.result.score:.1f} cm", fontsize=22)
    return figure


if __name__ == "__main__":
    picture(Path(sys.argv[1] if len(sys.argv) > 1 else "runs")).savefig(PICTURE, dpi=200)
