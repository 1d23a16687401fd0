"""Draw every figure of `moduli.tasks.figures` from networks that train in seconds.

The networks integrate an angle: they are told where a pointer stands and how it turns, and must tell
where it is after each step. Run `python examples/figures.py`; the pictures go to docs/images.
"""

import math
from pathlib import Path
from statistics import mean, stdev

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor, nn

from moduli.manifolds import Circle, KleinBottle, Manifold, Sphere, Torus
from moduli.models import CubicSchedule, Embedding, Sparsifier, order_along
from moduli.models.analysis.topology import Topology, cloud_topology, embedding_topology
from moduli.regularizers import DifferenceOfGaussians, Diffusion, Gaussian, Regularizer
from moduli.tasks.figures.barcodes import draw_barcode, draw_persistence_diagram
from moduli.tasks.figures.flat import draw_moving_embedding, draw_neuron_on_plane
from moduli.tasks.figures.matrices import draw_weight_against_distance, draw_weight_matrix
from moduli.tasks.figures.rate_maps import draw_rate_maps
from moduli.tasks.figures.sparsity import draw_error_against_sparsity
from moduli.tasks.figures.surfaces import draw_field, draw_neuron_in_space
from moduli.tasks.navigation.grid_scores import grid_scores

PICTURES = Path(__file__).parents[1] / "docs" / "images"
SPACES: dict[str, Manifold] = {
    "torus": Torus(),
    "Klein bottle": KleinBottle(),
    "sphere": Sphere(),
    "circle": Circle(),
}
RECURRENT = "recurrent.weight_hh_l0"


class AngleIntegrator(nn.Module):
    """A recurrent network that is told an angle's start and its turns."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.recurrent = nn.RNN(3, units, nonlinearity="relu", batch_first=True)
        self.readout = nn.Linear(units, 2)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pointer ``(batch, time, 2)`` and the hidden activity ``(batch, time, units)``."""
        hidden, _ = self.recurrent(inputs)
        return self.readout(hidden), hidden


def turns(batch: int, generator: torch.Generator, length: int = 12) -> tuple[Tensor, Tensor]:
    """Return inputs ``(batch, length, 3)``, start and then turns, and the true pointer at each step."""
    turn = 0.5 * torch.randn(batch, length, generator=generator)
    turn[:, 0] = 2 * torch.pi * torch.rand(batch, generator=generator)
    angle = turn.cumsum(dim=1)
    pointer = torch.stack([angle.cos(), angle.sin()], dim=-1)
    inputs = torch.zeros(batch, length, 3)
    inputs[:, 0, :2], inputs[:, 1:, 2] = pointer[:, 0], turn[:, 1:]
    return inputs, pointer


def train(model: AngleIntegrator, sparsifier: Sparsifier | None, steps: int, seed: int) -> float:
    """Train a network; return its error on turns that it has not seen, in degrees."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        inputs, pointer = turns(64, generator)
        loss = (model(inputs)[0] - pointer).square().mean()
        if sparsifier is not None:
            loss = loss + sparsifier.penalty()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        if sparsifier is not None:
            sparsifier.step()
    with torch.no_grad():
        inputs, pointer = turns(1000, torch.Generator().manual_seed(10_000 + seed))
        told = model(inputs)[0]
        cosine = nn.functional.cosine_similarity(told, pointer, dim=-1).clamp(-1, 1)
    return math.degrees(float(cosine.acos().mean()))


def sparse(
    manifold: Manifold, regularizer: Regularizer | None, sparsity: float, units: int, steps: int, seed: int
) -> tuple[AngleIntegrator, Sparsifier, float]:
    """Return a network that was pruned while it trained, its sparsifier, and its error in degrees."""
    torch.manual_seed(seed)
    model = AngleIntegrator(units)
    sparsifier = Sparsifier(
        model,
        regularizer.normalized() if regularizer is not None else None,
        manifold,
        sparsity=sparsity,
        schedule=CubicSchedule(begin=steps // 10, end=steps // 2),
        strength=10.0,
        scope="recurrent",
        seed=seed,
    )
    return model, sparsifier, train(model, sparsifier, steps, seed)


def surfaces(units: int, steps: int) -> Figure:
    """Draw one neuron's weights on four manifolds, dense and sparse, and what the inhibitor charges."""
    figure = Figure(figsize=(9.6, 6.8), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.03, w_pad=0)
    torch.manual_seed(0)
    dense = AngleIntegrator(units)
    train(dense, None, steps, 0)
    rows: list[list] = [[], [], []]
    for column, (name, manifold) in enumerate(SPACES.items(), start=1):
        model, sparsifier, _ = sparse(manifold, DifferenceOfGaussians(), 0.95, units, steps, 0)
        places = sparsifier.embeddings[RECURRENT].detach()
        weights = [network.recurrent.weight_hh_l0.detach() for network in (dense, model)]
        neuron = typical_neuron(weights[1])
        for row, weight in enumerate(weights):
            axes = figure.add_subplot(3, 4, 4 * row + column, projection="3d")
            scale = draw_neuron_in_space(axes, manifold, weight, places, neuron)
            rows[row].append((axes, scale))
        rows[0][-1][0].set_title(name)
        axes = figure.add_subplot(3, 4, 8 + column, projection="3d")
        scale = draw_field(axes, manifold, DifferenceOfGaussians(), places[neuron])
        rows[2].append((axes, scale))
    labels = (
        "dense: |weight|,\nrelative",
        "95% sparse: |weight|,\nrelative",
        "coefficient of the\ninhibitor",
    )
    for row, label in zip(rows, labels, strict=True):
        bar = figure.colorbar(row[-1][1], ax=[axes for axes, _ in row], shrink=0.7, pad=0.01)
        bar.set_label(label)
    return figure


def typical_neuron(weight: Tensor) -> int:
    """Return a neuron whose incoming weights are stronger than those of three quarters of the others."""
    return int(weight.abs().sum(dim=1).argsort()[3 * len(weight) // 4])


def weights(units: int, steps: int) -> Figure:
    """Draw the recurrent weights of a sparse network, before and after ordering, and against distance."""
    torus, inhibitor = Torus(), DifferenceOfGaussians()
    model, sparsifier, _ = sparse(torus, inhibitor, 0.95, units, steps, 0)
    places = sparsifier.embeddings[RECURRENT].detach()
    weight = model.recurrent.weight_hh_l0.detach()
    figure = Figure(figsize=(8.8, 8.0), layout="constrained")
    (before, after), (against, plane) = figure.subplots(2, 2)
    draw_weight_matrix(before, weight)
    before.set_title("as trained")
    scale = draw_weight_matrix(after, weight, order_along(torus, places))
    after.set_title("ordered along the torus")
    figure.colorbar(scale, ax=after, label="|weight|, relative")
    draw_weight_against_distance(against, torus, places, weight, inhibitor)
    against.set_title("surviving weights, and the inhibitor")
    neuron = typical_neuron(weight)
    colours = draw_neuron_on_plane(plane, torus, weight, places, neuron)
    plane.set_title("one neuron's weights, seen from it")
    figure.colorbar(colours, ax=plane, label="|weight|, relative")
    return figure


def against_sparsity(units: int, steps: int, seeds: int) -> Figure:
    """Draw error against sparsity of two methods, with 95% intervals over seeds."""
    methods = {"no penalty": None, "torus, diffusion": Diffusion()}
    trained: dict[str, list] = {name: [] for name in methods}
    tickets: dict[str, list] = {name: [] for name in methods}
    for name, regularizer in methods.items():
        for sparsity in (0.9, 0.95, 0.98):
            errors, ticket_errors = [], []
            for seed in range(seeds):
                _, sparsifier, error = sparse(Torus(), regularizer, sparsity, units, steps, seed)
                model, again = sparsifier.ticket(seed=100 + seed)
                errors.append(error)
                ticket_errors.append(train(model, again, steps, seed))
            trained[name].append((sparsity, *interval(errors)))
            tickets[name].append((sparsity, *interval(ticket_errors)))
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    draw_error_against_sparsity(figure.subplots(), trained, tickets, "error of the angle (degrees)")
    return figure


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean of three to six values and the half width of its 95% interval (Student's t)."""
    quantile = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571}[len(values)]
    return mean(values), quantile * stdev(values) / len(values) ** 0.5


def moving_embedding(steps: int) -> Figure:
    """Draw the paths of points on a torus and a Klein bottle, which learn to make given coefficients."""
    figure = Figure(figsize=(7.6, 3.9), layout="constrained")
    for axes, manifold in zip(figure.subplots(1, 2), (Torus(), KleinBottle()), strict=True):
        regularizer = Gaussian(length=4.0, amplitude=1.0)
        target = regularizer(manifold, manifold.random_point(14, torch.Generator().manual_seed(1)))
        embedding = Embedding(manifold, 14, learn=True, seed=0)
        optimizer = torch.optim.Adam(embedding.parameters(), lr=0.2)
        positions = [embedding().detach().clone()]
        for _ in range(steps):
            loss = (regularizer(manifold, embedding()) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            positions.append(embedding().detach().clone())
        draw_moving_embedding(axes, manifold, torch.stack(positions))
        axes.set_title(f"{type(manifold).__name__}, {steps} steps")
    return figure


def rate_maps() -> Figure:
    """Draw rate maps with a score each: ideal grids of three spacings, and noise."""
    axis = torch.linspace(0, 2.2, 24)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    waves = []
    for spacing in (0.5, 0.7, 1.0):
        directions = [math.radians(angle) for angle in (0, 60, 120)]
        phases = [(x * math.cos(a) + y * math.sin(a)) * 4 * torch.pi / (spacing * 3**0.5) for a in directions]
        waves.append(torch.stack(phases).cos().sum(dim=0).relu())
    maps = torch.stack([*waves, torch.rand(24, 24, generator=torch.Generator().manual_seed(0))])
    figure = Figure(figsize=(6.4, 1.9), layout="constrained")
    draw_rate_maps(list(figure.subplots(1, 4)), maps, grid_scores(maps).tolist())
    figure.suptitle("rate maps and their grid scores", fontsize=9)
    return figure


def barcodes(units: int, steps: int, points: int, landmarks: int) -> Figure:
    """Draw barcodes and diagrams of a torus, of a Klein bottle over two fields, and of hidden activity."""
    torch.manual_seed(0)
    model = AngleIntegrator(units)
    train(model, None, steps, 0)
    with torch.no_grad():
        _, activity = model(turns(points // 10, torch.Generator().manual_seed(1))[0])
    states = activity[:, 2:].flatten(0, 1)
    torus, bottle = Torus(), KleinBottle()
    on_torus, on_bottle = (
        manifold.random_point(points, torch.Generator().manual_seed(0)) for manifold in (torus, bottle)
    )
    topologies: dict[str, Topology] = {
        "torus": embedding_topology(torus, on_torus, landmarks=landmarks),
        "Klein bottle over Z/2": embedding_topology(bottle, on_bottle, landmarks=landmarks),
        "Klein bottle over Z/3": embedding_topology(bottle, on_bottle, landmarks=landmarks, prime=3),
        "activity of the angle integrator": cloud_topology(states, landmarks=landmarks),
    }
    figure = Figure(figsize=(12.0, 6.6), layout="constrained")
    for (above, below), (name, topology) in zip(figure.subplots(2, 4).T, topologies.items(), strict=True):
        draw_barcode(above, topology)
        draw_persistence_diagram(below, topology)
        above.set_title(name, fontsize=10)
    return figure


def main(
    folder: Path = PICTURES,
    units: int = 128,
    steps: int = 400,
    seeds: int = 3,
    points: int = 500,
    landmarks: int = 100,
) -> list[Path]:
    """Draw every figure into a folder; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "surfaces": surfaces(units, steps),
        "weights": weights(units, steps),
        "sparsity": against_sparsity(units, steps, seeds),
        "embedding": moving_embedding(3 * steps // 8),
        "rate-maps": rate_maps(),
        "barcodes": barcodes(units, steps, points, landmarks),
    }
    paths = []
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=90)
        Image.open(path).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE).save(path)  # half the size
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in main():
        print(path)
