"""How fast, and in how much memory, manifolds give distance matrices: against geomstats, in one run.

    python benchmarks/manifolds.py            the second and the third table
    python benchmarks/manifolds.py half [2]   geomstats on half of the pairs, the gradient; number of threads
    python benchmarks/manifolds.py small      the comparison alone (about five minutes)
    python benchmarks/manifolds.py spd ...    16,384 points of the named manifolds alone

The table of half the pairs gives geomstats the n(n+1)/2 pairs that a careful caller computes, and takes
turns, so that both meet the same load; its times are medians, processor time in brackets. On a busy machine
one thread measures better than two, which wait for each other.

In the other tables each measurement runs in a process of its own, on one thread: the process makes its
points, then a warm-up of 64 of them, then the matrix ``REPEATS`` times (once where it takes over ten
seconds), and reports the median time and the growth of its peak resident memory since before the first
matrix.
geomstats is called in two ways: once with all n² pairs, flattened (its only vectorised way), and, as
``dist_pairwise`` does, pair by pair for half of them in a Python loop. Where it takes tens of
milliseconds a pair, and in the loop, it is timed on a sample, scaled to all pairs, and has no memory.
"""

import json
import math
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

REPEATS = 3
HALF_POINTS, HALF_ROUNDS = 4096, 5
LOOP_SAMPLE = 100
FLAT_SAMPLE = 200

# Registered name, arguments, geomstats' space, points.
SMALL = [
    ("sphere", {"dim": 2, "radius": 1.0}, "hypersphere:Hypersphere", {"dim": 2}, 4096),
    ("hyperbolic", {"dim": 2}, "poincare_ball:PoincareBall", {"dim": 2}, 4096),
    ("torus", {"dim": 2}, None, {}, 4096),
    ("rotations", {"n": 3}, "special_orthogonal:SpecialOrthogonal", {"n": 3}, 256),
    ("grassmannian", {"n": 4, "k": 2}, "grassmannian:Grassmannian", {"n": 4, "p": 2}, 256),
    ("spd", {"n": 3}, "spd_matrices:SPDMatrices", {"n": 3}, 256),
]
LARGE = ["sphere", "hyperbolic", "torus", "klein", "projective", "mobius", "flat_cylinder", "euclidean",
         "rotations", "spd", "grassmannian"]  # fmt: skip


def peak() -> float:
    """Return the process's peak resident memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(call: Any) -> dict[str, float]:
    """Return the median seconds of some calls, and the growth of peak memory in MiB."""
    before, seconds = peak(), []
    while len(seconds) < REPEATS and sum(seconds) < 10:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {"seconds": statistics.median(seconds), "mebibytes": peak() - before}


def measure_ours(name: str, arguments: dict[str, Any], n: int, dtype: str) -> dict[str, float]:
    """Measure ``pairwise``."""
    import torch

    from moduli.manifolds import make

    torch.set_num_threads(1)
    manifold = make(name, **arguments)
    points = manifold.random_point(n, torch.Generator().manual_seed(0)).to(getattr(torch, dtype))
    points = manifold.project(points)
    manifold.pairwise(points[:64])
    return timed(lambda: manifold.pairwise(points))


def geomstats_space(target: str | None, arguments: dict[str, Any], n: int) -> tuple[Any, Any]:
    """Return a space of geomstats, the product of two circles without a target, and n points of it."""
    import importlib
    import warnings

    warnings.simplefilter("ignore")
    import numpy as np
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.product_manifold import ProductManifold

    if target is None:
        space = ProductManifold([Hypersphere(1), Hypersphere(1)])
    else:
        module, _, name = target.partition(":")
        space = getattr(importlib.import_module(f"geomstats.geometry.{module}"), name)(**arguments)
    np.random.seed(0)
    return space, np.asarray(space.random_point(n))


def measure_geomstats(target: str | None, arguments: dict[str, Any], n: int, loop: bool) -> dict[str, float]:
    """Measure ``metric.dist``: all pairs flattened, or a sample of pairs one by one, scaled."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    space, points = geomstats_space(target, arguments, n)
    i, j = np.triu_indices(n, 1) if loop else (index.ravel() for index in np.indices((n, n)))
    space.metric.dist(points[i[:64]], points[j[:64]])
    if loop:
        pairs = list(zip(i, j, strict=True))[:: max(1, len(i) // LOOP_SAMPLE)][:LOOP_SAMPLE]

        def one_by_one() -> None:
            for a, b in pairs:
                space.metric.dist(points[a], points[b])

        result = timed(one_by_one)
        return {**result, "seconds": result["seconds"] * len(i) / len(pairs)}
    # Matrix logarithms take geomstats tens of milliseconds a pair: those are timed on a sample too.
    slow = target is not None and target.startswith(("special_orthogonal", "grassmannian"))
    chosen = slice(1, None, len(i) // FLAT_SAMPLE) if slow else slice(None)
    result = timed(lambda: space.metric.dist(points[i[chosen]], points[j[chosen]]))
    return {**result, "seconds": result["seconds"] * len(i) / len(i[chosen])}


def measure_half(
    name: str, arguments: dict[str, Any], target: str | None, threads: int
) -> dict[str, list[float]]:
    """Measure ``pairwise``, ``pairwise`` with its gradient, and geomstats on half of the pairs, in turns.

    Returns the median of the seconds that passed and of those that processors worked.
    """
    import numpy as np
    import torch

    from moduli.manifolds import make

    torch.set_num_threads(threads)
    manifold = make(name, **arguments)
    points = manifold.random_point(HALF_POINTS, torch.Generator().manual_seed(0)).double()
    points = manifold.project(points).requires_grad_()
    space, theirs = geomstats_space(target, {"dim": 2} if target else {}, HALF_POINTS)
    i, j = np.triu_indices(HALF_POINTS)

    def forward() -> None:
        with torch.no_grad():
            manifold.pairwise(points)

    calls = {
        "forward": forward,
        "both": lambda: torch.autograd.grad(manifold.pairwise(points).sum(), points),
        "geomstats": lambda: space.metric.dist(theirs[i], theirs[j]),
    }
    taken: dict[str, list[tuple[float, float]]] = {what: [] for what in calls}
    for _ in range(1 + HALF_ROUNDS):
        for what, call in calls.items():
            start = time.perf_counter(), time.process_time()
            call()
            taken[what].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {
        what: [statistics.median(each) for each in zip(*rounds[1:], strict=True)]
        for what, rounds in taken.items()
    }


def duration(seconds: float) -> str:
    """Return a time in the unit that people would use, with two digits."""
    unit, size = ("h", 3600) if seconds >= 7200 else ("min", 60) if seconds >= 120 else ("s", 1)
    return f"{rounded(seconds / size)} {unit}"


def rounded(value: float) -> str:
    """Return a number with two digits, and commas between thousands."""
    value = float(f"{value:.2g}")
    digits = max(0, 1 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{digits}f}"


def in_a_process(function: str, *arguments: Any) -> dict[str, Any]:
    """Run one measurement in a fresh process."""
    code = (
        "import json, sys; sys.path.insert(0, 'benchmarks'); import manifolds as m; "
        "a = json.loads(sys.argv[1]); print(json.dumps(getattr(m, a[0])(*a[1])))"
    )
    call = [sys.executable, "-c", code, json.dumps([function, arguments])]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the tables that the command line asks for."""
    if sys.argv[1:2] == ["half"]:
        print_half(int(sys.argv[2]) if sys.argv[2:] else 2)
        return
    if not sys.argv[1:] or sys.argv[1:] == ["small"]:
        print_small()
    if sys.argv[1:] != ["small"]:
        print_large(sys.argv[1:] or LARGE)


def print_half(threads: int) -> None:
    """Print how half of the pairs compare, and what a gradient costs."""
    print("| space | moduli | geomstats, half of the pairs | ratio | with a gradient | over forward |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, arguments, target, _, _ in SMALL[:3]:
        taken = in_a_process("measure_half", name, arguments, target, threads)
        (ours, worked), (both, both_worked), (theirs, theirs_worked) = taken.values()
        print(
            f"| {name} | {1e3 * ours:.0f} ms ({1e3 * worked:.0f}) | {theirs:.2f} s ({theirs_worked:.2f}) "
            f"| {theirs / ours:.1f}x ({theirs_worked / worked:.1f}x) "
            f"| {1e3 * both:.0f} ms ({1e3 * both_worked:.0f}) "
            f"| {both / ours:.1f}x ({both_worked / worked:.1f}x) |",
            flush=True,
        )


def print_small() -> None:
    """Print the comparison with geomstats."""
    print(
        "| space | points | moduli | memory | geomstats, flattened | time | memory | geomstats, loop | time |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, arguments, target, theirs, n in SMALL:
        ours = in_a_process("measure_ours", name, arguments, n, "float64")
        flat = in_a_process("measure_geomstats", target, theirs, n, False)
        loop = in_a_process("measure_geomstats", target, theirs, n, True)
        memory = flat["mebibytes"] / max(ours["mebibytes"], 1)
        sampled = name in ("rotations", "grassmannian")
        print(
            f"| {name} | {n} | {duration(ours['seconds'])} | {ours['mebibytes']:.0f} MiB "
            f"| {duration(flat['seconds'])} | {rounded(flat['seconds'] / ours['seconds'])}x "
            f"| {'sampled' if sampled else f'{rounded(memory)}x'} "
            f"| {duration(loop['seconds'])} | {rounded(loop['seconds'] / ours['seconds'])}x |",
            flush=True,
        )


def print_large(names: list[str]) -> None:
    """Print what 16,384 points cost."""
    print("| space, 16,384 points in float32 | time | peak memory over the process's start |")
    print("| --- | ---: | ---: |")
    for name in names:
        large = in_a_process("measure_ours", name, {}, 16384, "float32")
        print(f"| {name} | {large['seconds']:.1f} s | {large['mebibytes'] / 1024:.2f} GiB |", flush=True)


if __name__ == "__main__":
    main()
