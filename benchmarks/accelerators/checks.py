"""What must hold on a device: results equal to the CPU's within stated tolerances."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from moduli.manifolds import Torus, make
from moduli.models import Sparsifier, compress, geometric_mask, mask_families, sparse_rnn, train_survivors
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.models.pruning.schedules import LinearSchedule
from moduli.regularizers import make_regularizer

MANIFOLDS = (
    "circle", "torus", "sphere", "klein", "euclidean", "hyperbolic", "rotations", "projective",
    "flat_cylinder", "mobius", "spd",
)  # fmt: skip
REGULARIZERS = (
    "diffusion", "dog", "gaussian", "ripple", "uniform", "dog.normalized()", "diffusion.permuted(1)",
    "diffusion.relative()", "dog + 0.1*uniform",
)  # fmt: skip
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
"""Largest difference from the CPU's result, relative to its largest value."""


class CTRNN(nn.Module):
    """A leaky network by hand, whose recurrent weight is an ``nn.Linear``."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.i2h, self.h2h = nn.Linear(4, size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        """Return the last state of a sequence ``(steps, batch, 4)``."""
        state = x.new_zeros(x.shape[1], self.h2h.in_features)
        for each in x:
            state = 0.8 * state + 0.2 * torch.relu(self.i2h(each) + self.h2h(state))
        return state


WAYS = ("plain", "bfloat16", "float16 with GradScaler", "copied", "resumed", "compiled")
"""How a network is trained; the last takes a compiler a minute."""


def checks(ways: tuple[str, ...] = WAYS) -> Iterator[tuple[str, Callable[[torch.device], str]]]:
    """Yield every check by its name; it returns what it saw, or raises."""
    for name in MANIFOLDS:
        yield f"manifold {name}", lambda device, name=name: check_manifold(name, device)
    for name in REGULARIZERS:
        yield f"regularizer {name}", lambda device, name=name: check_regularizer(name, device)
    yield "geometric mask", check_mask
    for name in mask_families():
        yield f"mask family {name}", lambda device, name=name: check_family(name, device)
    for kind in ("rnn", "gru", "lstm", "ctrnn"):
        for way in ways:
            yield (
                f"sparsifier on {kind}, {way}",
                lambda device, kind=kind, way=way: check_sparsifier(kind, way, device),
            )
    for kind in ("rnn", "gru"):
        yield f"autocast in bfloat16 of nn.{kind.upper()}", partial(check_autocast, kind)
    for kind in ("rnn", "gru", "lstm"):
        yield f"compress and train_survivors, {kind}", partial(check_fast_modules, kind)
        yield f"sparse_rnn, {kind}", partial(check_born_sparse, kind)
    for kind in ("rnn", "gru", "lstm", "ctrnn"):
        yield f"resumed to the bit, {kind}", partial(check_resuming, kind)
    yield "CUDA graph of a sparse step", check_graph
    yield "generators", check_generators


def check_manifold(name: str, device: torch.device) -> str:
    """Compare distances with the CPU's, in both precisions."""
    space, worst = make(name), 0.0
    for dtype, tolerance in TOLERANCE.items():
        if device.type == "mps" and dtype == torch.float64:
            continue
        points = space.random_point(200, torch.Generator().manual_seed(0)).to(dtype)
        expected = space.pairwise(points)
        worst = max(worst, _require_close(space.pairwise(points.to(device)), expected, tolerance))
    return f"largest relative difference {worst:.1e}"


def check_regularizer(expression: str, device: torch.device) -> str:
    """Compare coefficients with the CPU's."""
    points = Torus().random_point(200, torch.Generator().manual_seed(0))
    regularizer = make_regularizer(expression)
    expected = regularizer(Torus(), points)
    worst = _require_close(regularizer(Torus(), points.to(device)), expected, TOLERANCE[torch.float32])
    return f"largest relative difference {worst:.1e}"


def check_mask(device: torch.device) -> str:
    """Compare masks of the smallest coefficients, which may differ where coefficients tie."""
    points = Torus().random_point(200, torch.Generator().manual_seed(0))
    ours, theirs = (
        geometric_mask("diffusion", "torus", each, sparsity=0.9).cpu() for each in (points.to(device), points)
    )
    assert ours.sum() == theirs.sum()
    return f"{int((ours != theirs).sum())} of {ours.numel()} weights differ"


def check_family(name: str, device: torch.device) -> str:
    """Prune by a mask of a family that was moved to the device."""
    model = nn.RNN(4, 64).to(device)
    mask = MASK_FAMILIES.get(name)(64, sparsity=0.9, seed=0)
    sparsifier = Sparsifier(model, masks={"weight_hh_l0": mask.to(device)})
    sparsifier.step()
    assert torch.equal(model.weight_hh_l0 != 0, mask.to(device))
    return f"{int(mask.sum())} weights"


def check_sparsifier(kind: str, way: str, device: torch.device) -> str:
    """Train and prune a small network; dead weights must be zero, and counts exact."""
    half = {"bfloat16": torch.bfloat16, "float16 with GradScaler": torch.float16}.get(way)
    if half is not None and not _runs_dense(kind, device, half):
        return "PyTorch itself cannot run this network in half precision here"
    model, sparsifier = _network(kind, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler(device.type, enabled=half == torch.float16)
    called = torch.compile(model) if way == "compiled" else model
    for step in range(8):
        if step == 4 and way == "copied":
            model, sparsifier = copy.deepcopy((model, sparsifier))
            called, optimizer = model, torch.optim.AdamW(model.parameters(), lr=1e-3)
        if step == 4 and way == "resumed":
            weights, state = model.state_dict(), sparsifier.state_dict()
            model, sparsifier = _network(kind, device)
            model.load_state_dict(weights)
            sparsifier.load_state_dict(state)
            called, optimizer = model, torch.optim.AdamW(model.parameters(), lr=1e-3)
        x = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(step)).to(device)
        with torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None):
            loss = _output(called(x)).float().square().mean() + sparsifier.penalty()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        sparsifier.step()
        assert loss.isfinite()
    for name, mask in sparsifier.masks.items():
        weight = model.get_parameter(name)
        assert weight.device.type == device.type
        assert not weight[~mask].any()
        assert abs(int((~mask).sum()) - 0.9 * mask.numel()) <= 1
    return f"loss {loss.item():.4f}"


def check_autocast(kind: str, device: torch.device) -> str:
    """Say in which format PyTorch's own module runs under autocast in bfloat16."""
    module = getattr(nn, kind.upper())(4, 32).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        output = _output(module(torch.zeros(5, 8, 4, device=device)))
    return str(output.dtype)


def check_fast_modules(kind: str, device: torch.device) -> str:
    """Compare outputs of fast modules with those of the masked network."""
    model, sparsifier = _network(kind, device, begin=0)
    sparsifier.step()
    x = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.backends.cudnn.flags(allow_tf32=False):  # cuDNN's own error, 3e-4, would be the larger one
        expected = _output(model(x)).detach().cpu()
        fast, survivors = compress(model), train_survivors(model, sparsifier.masks)
        worst = max(_require_close(_output(module(x)), expected, 1e-4) for module in (fast, survivors))
    return f"largest relative difference {worst:.1e}"


def check_born_sparse(kind: str, device: torch.device) -> str:
    """Compare outputs and gradients of a network that was never dense with the CPU's."""
    torch.manual_seed(0)
    module = sparse_rnn(kind, 4, 64, sparsity=0.75, bridges=0.1)
    x = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(0))
    there = copy.deepcopy(module).to(device)
    worst = 0.0
    found, expected = _output(there(x.to(device))), _output(module(x))
    worst = max(worst, _require_close(found, expected.detach(), 1e-4))
    found.square().mean().backward()
    expected.square().mean().backward()
    for ours, theirs in zip(there.parameters(), module.parameters(), strict=True):
        worst = max(worst, _require_close(ours.grad, theirs.grad, 1e-4))
    return f"largest relative difference {worst:.1e}"


def check_resuming(kind: str, device: torch.device) -> str:
    """Go on twice from the state of one training, and say whether the weights are equal to the bit."""
    model, sparsifier = _network(kind, device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    _train(model, sparsifier, optimizer, range(4), device)
    parts = (model, sparsifier, optimizer)
    states = copy.deepcopy([part.state_dict() for part in parts])
    ends = []
    for _ in range(2):
        for part, state in zip(parts, copy.deepcopy(states), strict=True):
            part.load_state_dict(state)
        _train(model, sparsifier, optimizer, range(4, 12), device)
        ends.append([parameter.detach().clone() for parameter in model.parameters()])
    differences = [float((a - b).abs().max()) for a, b in zip(*ends, strict=True)]
    return f"weights differ by {max(differences):.1e}" if any(differences) else "equal to the bit"


def check_graph(device: torch.device) -> str:
    """Capture forward and backward of a sparse network in a CUDA graph."""
    if device.type != "cuda":
        return "not on this device"
    model = nn.Linear(64, 64).to(device)
    sparsifier = Sparsifier(model, sparsity=0.9)
    sparsifier.step()
    graphed = torch.cuda.make_graphed_callables(model, (torch.randn(8, 64, device=device),))
    graphed(torch.randn(8, 64, device=device)).square().mean().backward()
    assert not model.weight.grad[~sparsifier.masks["weight"]].any()
    return "gradients of dead weights are zero"


def check_generators(device: torch.device) -> str:
    """Say whether a generator of the device draws the CPU's points for the same seed."""
    points = [
        Torus().random_point(5, torch.Generator(place).manual_seed(0)).cpu() for place in (device, "cpu")
    ]
    return "the CPU's points for the same seed" if torch.equal(*points) else "other points than the CPU's"


def _train(
    model: nn.Module, sparsifier: Sparsifier, optimizer: Optimizer, steps: range, device: torch.device
) -> None:
    for step in steps:
        x = torch.randn(5, 8, 4, generator=torch.Generator().manual_seed(step)).to(device)
        optimizer.zero_grad()
        (_output(model(x)).square().mean() + sparsifier.penalty()).backward()
        optimizer.step()
        sparsifier.step()


def _network(kind: str, device: torch.device, begin: int = 2) -> tuple[nn.Module, Sparsifier]:
    torch.manual_seed(0)
    model: nn.Module = CTRNN(32) if kind == "ctrnn" else getattr(nn, kind.upper())(4, 32)
    options: dict[str, Any] = {"recurrent": "h2h.weight"} if kind == "ctrnn" else {}
    options |= {"schedule": LinearSchedule(begin, 6)} if begin else {}
    sparsifier = Sparsifier(
        model.to(device), "dog", "torus", sparsity=0.9, scope="recurrent", strength=0.1, **options
    )
    return model, sparsifier


def _runs_dense(kind: str, device: torch.device, half: torch.dtype) -> bool:
    """Tell whether PyTorch runs the network on its own; oneDNN lacks an LSTM on some processors."""
    model, _ = _network(kind, device)
    try:
        with torch.autocast(device.type, half):
            model(torch.zeros(5, 8, 4, device=device))
    except RuntimeError:
        return False
    return True


def _output(result: Tensor | tuple[Tensor, object]) -> Tensor:
    return result if isinstance(result, Tensor) else result[0]


def _require_close(found: Tensor, expected: Tensor, tolerance: float) -> float:
    difference = (found.detach().cpu() - expected).abs().max() / expected.abs().max().clamp_min(1e-30)
    assert difference <= tolerance, (
        f"relative difference {difference:.1e}, at most {tolerance:.0e} is admitted"
    )
    return float(difference)
