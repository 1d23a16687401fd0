"""Neurons on the cortex: geodesics of the left hemisphere as the space of a recurrent network.

The hemisphere is fsaverage5 (10,242 vertices), which comes with nilearn:

    pip install nilearn 'moduli[meshes]'

The figure shows the recurrent weights of one neuron that the penalty of their geodesic length, and pruning to
90% zeros, have left. The exact geodesics take nearly all of the time.

    python examples/cortex.py [--neurons 200] [--output cortex.png]
"""

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from nilearn.datasets import fetch_surf_fsaverage
from nilearn.surface import load_surf_mesh

from moduli.manifolds import from_mesh
from moduli.models import OneShotSchedule, Sparsifier
from moduli.regularizers import Diffusion


def main() -> None:
    """Train nothing: place, penalise, prune, and draw one neuron's weights on the surface."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--neurons", type=int, default=200)
    parser.add_argument("--output", default="cortex.png")
    options = parser.parse_args()

    surface = load_surf_mesh(fetch_surf_fsaverage("fsaverage5")["pial_left"])
    cortex = from_mesh(surface.coordinates, surface.faces)
    places = cortex.random_point(options.neurons, torch.Generator().manual_seed(0))

    torch.manual_seed(0)
    model = torch.nn.RNN(8, options.neurons)
    # The cut comes last: by default it would come before the penalty has shrunk anything.
    sparsifier = Sparsifier(
        model, Diffusion().normalized(), cortex, sparsity=0.9, schedule=OneShotSchedule(100), embedding=places
    )
    # The penalty is a mean; at this rate a weight of coefficient 1 shrinks by the width of the initial ones.
    optimizer = torch.optim.SGD(model.parameters(), lr=options.neurons**1.5 / 100)
    for _ in range(100):
        loss = sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sparsifier.step()

    vertices = places[:, 0].long()
    x, y, z = surface.coordinates.T
    neuron = int(torch.as_tensor(surface.coordinates[vertices, 2]).argmax())
    weights = model.weight_hh_l0.detach()[neuron].abs()
    distances = cortex.pairwise(places)[neuron]

    figure = plt.figure(figsize=(10, 4.5))
    axes = figure.add_subplot(1, 2, 1, projection="3d")
    axes.plot_trisurf(x, y, surface.faces, z, color="0.85", linewidth=0, alpha=0.25)
    alive = weights > 0
    seen = vertices[~alive]
    axes.scatter(x[seen], y[seen], z[seen], s=4, color="0.5")
    seen = vertices[alive]
    points = axes.scatter(x[seen], y[seen], z[seen], s=30, c=weights[alive], cmap="viridis", depthshade=False)
    axes.scatter(*surface.coordinates[vertices[neuron]], s=90, marker="*", color="crimson")
    axes.view_init(elev=35, azim=200)
    axes.set_box_aspect((x.max() - x.min(), y.max() - y.min(), z.max() - z.min()))
    axes.set_axis_off()
    axes.set_title(f"the {int(alive.sum())} survivors of {options.neurons} weights")
    figure.colorbar(points, ax=axes, shrink=0.6, label="|weight|")

    axes = figure.add_subplot(1, 2, 2)
    axes.scatter(distances, weights, s=10, color="tab:blue")
    axes.set_xlabel("geodesic distance on the cortex (mm)")
    axes.set_ylabel("|weight|")
    axes.set_title("what the penalty and the pruning left")
    figure.tight_layout()
    figure.savefig(options.output, dpi=150)
    print(f"{options.output}: survivors reach {float(distances[alive].max()):.0f} mm, the cortex "
          f"{float(distances.max()):.0f} mm")  # fmt: skip


if __name__ == "__main__":
    main()
