"""What takes how long on a device, each against what anybody would use there instead."""

import copy
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.manifolds import make
from moduli.models import (
    CubicSchedule,
    Sparsifier,
    compress,
    geometric_mask,
    sparse_rnn,
    tile_mask,
    train_survivors,
)
from moduli.models.fast.choosing import timings
from moduli.regularizers import Diffusion, penalty
from moduli.tasks.navigation.settings import NavigationSettings
from moduli.tasks.navigation.task import Navigation

Row = dict[str, str | float | None]

DENSE = 16_384
"""Up to so many units a dense network is made for comparison."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    points: tuple[int, ...] = (4096, 16384, 65536)
    units: int = 4096
    batches: tuple[int, ...] = (1, 32, 200)
    sparsities: tuple[float, ...] = (0.98, 0.95, 0.9)
    steps: int = 20
    cells: int = 512
    walk: int = 50
    batch: int = 200
    rounds: int = 7
    large: tuple[int, ...] = (1024, 4096, 16384, 65536)


TOY = Sizes((64, 128), 32, (1, 4), (0.9,), 3, 16, 4, 4, 1, (256,))


def pairwise(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Time distance matrices against ``torch.cdist`` and against filling the matrix."""
    for n in sizes.points:
        for name in ("sphere", "torus", "klein", "hyperbolic", "euclidean"):
            space = make(name)
            points = space.random_point(n, torch.Generator().manual_seed(0)).to(device)
            out = torch.empty(n, n, device=device)
            ours = partial(space.pairwise, points)
            seconds = _medians(
                [ours, partial(torch.cdist, points, points), partial(out.fill_, 1.0)], device, sizes.rounds
            )
            yield {
                "points": n, "space": name, "ms": 1e3 * seconds[0], "cdist ms": 1e3 * seconds[1],
                "fill ms": 1e3 * seconds[2], "MiB beyond": _memory(device, ours, n * n * 4),
            }  # fmt: skip


def penalties(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Time the penalty with its backward pass, and the sparsifier's whole step against a dense one."""
    n = sizes.units
    weight = torch.randn(n, n, device=device, requires_grad=True)
    coefficients = torch.rand(n, n, device=device)
    seconds = _medians(
        [
            lambda: penalty(weight, coefficients).backward(),
            lambda: (coefficients * weight.abs()).mean().backward(),
        ],
        device, sizes.rounds,
    )  # fmt: skip
    yield {
        "what": "penalty and backward",
        "ms": 1e3 * seconds[0],
        "against": "autograd",
        "ms there": 1e3 * seconds[1],
    }
    calls = [_training_step(device, sizes, sparse) for sparse in (True, False)]
    seconds = _medians(calls, device, sizes.rounds)
    yield {
        "what": "a sparsifying step",
        "ms": 1e3 * seconds[0],
        "against": "dense",
        "ms there": 1e3 * seconds[1],
    }


def fast_modules(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Time inference and training steps of sparse networks against the dense one, and products by layout."""
    torus, points = make("torus"), make("torus").random_point(sizes.units, torch.Generator().manual_seed(0))
    masks: dict[str, Callable[[float], Tensor]] = {
        "tiles": lambda sparsity: tile_mask(torus, points, sparsity=sparsity),
        "single weights": lambda sparsity: geometric_mask(Diffusion(), torus, points, sparsity=sparsity),
    }
    for sparsity, (name, mask_of) in product(sizes.sparsities, masks.items()):
        torch.manual_seed(0)
        dense = nn.RNN(2, sizes.units, nonlinearity="relu", bias=False).to(device)
        mask = mask_of(sparsity).to(device)
        survivors = train_survivors(dense, {"weight_hh_l0": mask})
        with torch.no_grad():
            dense.weight_hh_l0.mul_(mask)
        for batch in sizes.batches:
            fast = compress(dense, batch_size=batch)
            x = torch.randn(sizes.steps, batch, 2, device=device)
            seconds = _medians([_inference(dense, x), _inference(fast, x)], device, sizes.rounds)
            trained = _medians([_training(dense, x), _training(survivors, x)], device, sizes.rounds)
            yield {
                "sparsity": sparsity, "mask": name, "batch": batch,
                "dense ms": 1e3 * seconds[0], "compressed": seconds[0] / seconds[1],
                "kernel": "plain" if isinstance(fast, nn.RNNBase) else type(fast.weight_hh_l0).__name__,
                "dense training ms": 1e3 * trained[0], "survivors": trained[0] / trained[1],
                "survivors in a graph": _ratio(trained[0], _graphed(survivors, x, device, sizes.rounds)),
                **_products(dense.weight_hh_l0.detach(), batch, sizes.rounds),
            }  # fmt: skip


def large_networks(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Time training steps of networks that are sparse from birth, with 64 weights for each neuron."""
    for units in sizes.large:
        x = torch.randn(sizes.steps, 32, 2, device=device)
        module = sparse_rnn("rnn", 2, units, sparsity=1 - 64 / units, nonlinearity="relu").to(device)
        steps, row = [_training(module, x)], Row(units=units)
        row["MiB"] = _memory(device, steps[0], 0)
        if units <= DENSE:
            dense = nn.RNN(2, units, nonlinearity="relu", bias=False, device=device)
            steps.append(_training(dense, x))
            row["dense MiB"] = _memory(device, steps[1], 0)
        names, seconds = ("ms", "dense ms"), _medians(steps, device, sizes.rounds)
        row |= {name: 1e3 * each for name, each in zip(names, seconds, strict=False)}
        graphed = _graphed(module, x, device, sizes.rounds)
        yield row | {"ms in a graph": 1e3 * graphed if isinstance(graphed, float) else graphed}


def navigation(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Time a step of the navigation task against a minimal one, in several precisions."""
    settings = NavigationSettings(
        units=sizes.units,
        cells=sizes.cells,
        walk_length=sizes.walk,
        tuning="difference-of-gaussians",
        test_walks=10,
    )
    for precision in ("float32", "tf32", "autocast"):
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        half = precision == "autocast"
        ours, minimal = (each(settings, sizes.batch, device, half) for each in (task_step, minimal_step))
        seconds = _medians([ours, minimal], device, sizes.rounds)
        yield {
            "precision": precision, "ms": 1e3 * seconds[0], "minimal ms": 1e3 * seconds[1],
            "ratio": seconds[0] / seconds[1], "loss": float(ours()), "minimal loss": float(minimal()),
        }  # fmt: skip
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = True


def task_step(
    settings: NavigationSettings, batch: int, device: torch.device, half: bool
) -> Callable[[], Tensor]:
    """Return a training step of the task itself, which makes its own data."""
    torch.manual_seed(0)
    task = Navigation(settings, batch, 0, device)
    model = task.model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    numbers = iter(range(10**9))

    def step() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            loss = task.loss(model, task.batch(next(numbers)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def minimal_step(
    settings: NavigationSettings, batch: int, device: torch.device, half: bool
) -> Callable[[], Tensor]:
    """Return a hand-written step of the same network on one ready batch of the task's."""
    torch.manual_seed(0)
    task = Navigation(settings, batch, 0, device)
    model, ready = task.model(), task.batch(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    start, target = task.cells.activity(ready.start), task.cells.activity(ready.positions)

    def step() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(start, ready.velocities)
            loss = cross_entropy(logits.flatten(0, 1), target.flatten(0, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _training_step(device: torch.device, sizes: Sizes, sparse: bool) -> Callable[[], object]:
    torch.manual_seed(0)
    model = nn.RNN(2, sizes.units, nonlinearity="relu", bias=False).to(device)
    sparsifier = Sparsifier(
        model, Diffusion(), make("torus"), sparsity=0.9, scope="recurrent", schedule=CubicSchedule(0, 10**6)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    x = torch.randn(sizes.steps, sizes.batch, 2, device=device)

    def step() -> None:
        loss = model(x)[0].square().mean()
        optimizer.zero_grad()
        (loss + sparsifier.penalty() if sparse else loss).backward()
        optimizer.step()
        if sparse:
            sparsifier.step()

    return step


def _inference(model: nn.Module, x: Tensor) -> Callable[[], object]:
    def call() -> object:
        with torch.no_grad():
            return model(x)

    return call


def _training(model: nn.Module, x: Tensor) -> Callable[[], object]:
    return lambda: model(x)[0].square().mean().backward()


def _graphed(module: nn.Module, x: Tensor, device: torch.device, rounds: int) -> float | str | None:
    """Return the seconds of a training step whose launches are recorded once; None without CUDA."""
    if device.type != "cuda":
        return None
    try:
        graphed = torch.cuda.make_graphed_callables(copy.deepcopy(module), (x,))
    except RuntimeError as error:  # such as a kernel that waits for the device
        return str(error).partition("\n")[0]
    return _medians([_training(graphed, x)], device, rounds)[0]


def _ratio(seconds: float, others: float | str | None) -> float | str | None:
    return seconds / others if isinstance(others, float) else others


def _products(weight: Tensor, batch: int, rounds: int) -> Row:
    """Return what the layouts of PyTorch's sparse tensors gain over dense; None where a device lacks one."""
    gains: Row = {}
    x = torch.randn(weight.shape[1], batch, device=weight.device)
    size = 16 if weight.shape[0] % 16 == 0 else 1
    layouts: dict[str, Callable[[], Tensor]] = {
        "CSR": weight.to_sparse_csr,
        "BSR": lambda: weight.to_sparse_bsr((size, size)),
    }
    for name, convert in layouts.items():
        try:
            products = [partial(torch.matmul, each, x) for each in (weight, convert())]
            seconds = _medians(products, weight.device, rounds)
        except (RuntimeError, NotImplementedError):
            gains[name] = None
            continue
        gains[name] = seconds[0] / seconds[1]
    return gains


def _medians(calls: Sequence[Callable[[], object]], device: torch.device, rounds: int) -> list[float]:
    return [statistics.median(seconds) for seconds in timings(calls, device, rounds)]


def _memory(device: torch.device, call: Callable[[], object], output: int) -> float | None:
    """Return the MiB that a call takes beyond its output; None where the device does not say."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return (torch.cuda.max_memory_allocated(device) - before - output) / 2**20
