"""The wiring of a worm: C. elegans beside chance, beside rewired nulls, and as the mask of a network.

The 302 neurons of the hermaphrodite with the positions of their cell bodies (NeuroML, from the Virtual Worm)
and their chemical synapses (Cook and others, "Whole-animal connectomes of both Caenorhabditis
elegans sexes", Nature 571, 2019) are in the package c302 of OpenWorm. Only its files are read; without what
it runs on, it is 4 MB:

    pip install --no-deps c302

Four networks of 302 units then learn to add up velocities: with the worm's connections, with rewired ones,
and with as many as training leaves, without a penalty and with one of the length of the worm's wires.

    python examples/celegans.py [--steps 600]
"""

import argparse
import csv
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from moduli.errors import MissingDependency, ModuliError
from moduli.manifolds import Euclidean
from moduli.models import CubicSchedule, Sparsifier, graph_statistics, rewired_mask
from moduli.regularizers import Inhibitor

SOMA = re.compile(r'<proximal x="([^"]+)" y="([^"]+)" z="([^"]+)"')
MUSCLE = re.compile("M[DV][LR]")
SPACE = Euclidean(3)
RECURRENT = "weight_hh_l0"


def data_folder() -> Path:
    """Return the folder of c302, which is not imported: it would need a simulator of neurons."""
    found = importlib.util.find_spec("c302")
    if found is None or not found.submodule_search_locations:
        raise MissingDependency("The worm's wiring comes with c302: pip install --no-deps c302")
    return Path(next(iter(found.submodule_search_locations)))


def load(folder: Path) -> tuple[list[str], Tensor, Tensor]:
    """Return names, places (n, 3) in micrometres, and connections (n, n), indexed ``[target, source]``."""
    places = {}
    for path in sorted((folder / "NeuroML2").glob("*.cell.nml")):
        soma = SOMA.search(path.read_text())
        if soma is not None:
            places[path.name.removesuffix(".cell.nml")] = [float(number) for number in soma.groups()]
    with (folder / "data/herm_full_edgelist.csv").open(newline="") as file:
        chemical = [row for row in csv.DictReader(file) if row["Type"].strip() == "chemical"]
    names = [name for name in places if not MUSCLE.match(name)]
    if not names:
        raise ModuliError(f"{folder} holds no neurons; reinstall c302.")
    number = {name: index for index, name in enumerate(names)}
    connected = torch.zeros(len(names), len(names), dtype=torch.bool)
    for source, target in ((_name(row["Source"]), _name(row["Target"])) for row in chemical):
        if source in number and target in number:  # others are muscles
            connected[number[target], number[source]] = True
    return names, torch.tensor([places[name] for name in names]), connected


def _name(name: str) -> str:
    """Return a neuron's name without the zero that pads its number: AS01 is AS1."""
    return re.sub(r"0(?=\d$)", "", name.strip())


def describe(mask: Tensor, places: Tensor) -> dict[str, float]:
    """Return density, the mean wire over that of all pairs, reciprocity and clustering."""
    seen = graph_statistics(mask, SPACE, places)
    return {
        "density": float(mask.float().mean()),
        "wire": (seen.wiring or 0.0) / (seen.wiring_by_chance or 1.0),
        "reciprocity": seen.reciprocity,
        "clustering": seen.clustering,
    }


def train(make: Callable[[nn.RNN], Sparsifier], units: int, steps: int) -> tuple[float, Tensor]:
    """Train a network to add up velocities; return its error over that of standing still, and its mask."""
    torch.manual_seed(0)
    network, readout = nn.RNN(2, units, nonlinearity="relu"), nn.Linear(units, 2)
    sparsifier = make(network)
    optimizer = torch.optim.Adam([*network.parameters(), *readout.parameters()], lr=1e-3)
    errors = []
    for _ in range(steps):
        velocities = torch.randn(20, 100, 2) / 20**0.5
        positions = velocities.cumsum(dim=0)
        error = (readout(network(velocities)[0]) - positions).square().mean() / positions.square().mean()
        optimizer.zero_grad()
        (error + sparsifier.penalty()).backward()
        optimizer.step()
        sparsifier.step()
        errors.append(error.item())
    last = errors[-max(1, steps // 20) :]
    return (sum(last) / len(last)) ** 0.5, sparsifier.masks[RECURRENT]


def main(folder: Path | None = None, steps: int = 600, nulls: int = 10) -> dict[str, dict[str, float]]:
    """Print and return what is known of each wiring."""
    names, places, worm = load(data_folder() if folder is None else folder)
    rewired = [rewired_mask(worm, seed=seed) for seed in range(nulls)]
    rows = {"worm": describe(worm, places)}
    drawn = [describe(mask, places) for mask in rewired]
    rows["rewired"] = {what: sum(each[what] for each in drawn) / nulls for what in drawn[0]}

    sparsity = 1 - rows["worm"]["density"]
    schedule = CubicSchedule(begin=steps // 6, end=2 * steps // 3)
    length = Inhibitor(lambda distance: distance).normalized()
    methods: dict[str, Callable[[nn.RNN], Sparsifier]] = {
        "worm": lambda network: Sparsifier(network, masks={RECURRENT: worm}),
        "rewired": lambda network: Sparsifier(network, masks={RECURRENT: rewired[0]}),
        "trained": lambda network: Sparsifier(
            network, sparsity=sparsity, schedule=schedule, scope="recurrent"
        ),
        "trained, wire charged": lambda network: Sparsifier(
            network, length, SPACE, embedding=places, sparsity=sparsity, schedule=schedule, scope="recurrent"
        ),
    }
    for name, make in methods.items():
        error, mask = train(make, len(names), steps)
        rows.setdefault(name, describe(mask, places))["error"] = error

    print(f"{len(names)} neurons; wire: mean length over that of all pairs; error: over standing still")
    for name, row in rows.items():
        print(f"{name:>22}  " + "  ".join(f"{what} {value:.3f}" for what, value in row.items()))
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=600)
    main(steps=parser.parse_args().steps)
