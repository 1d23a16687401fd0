"""Try every space that geomstats ships as a manifold, and say which cannot be one and why.

    python benchmarks/geomstats_spaces.py [numpy|pytorch]

prints a table: the space, the checks that it fails, or what stands in its way. geomstats reads its
backend from the environment, so that one process tries one backend.
"""

import importlib
import inspect
import os
import pkgutil
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

SECONDS = 20

# What the constructors need beyond their defaults: the smallest sizes that are not degenerate.
SIZES = {
    "dim": 2, "n": 3, "m": 2, "p": 2, "k": 2, "n_copies": 2, "n_disks": 2, "n_draws": 4, "sample_dim": 2,
    "k_landmarks": 3, "k_sampling_points": 5, "ambient_dim": 2, "n_manifolds": 2,
}  # fmt: skip


def spaces() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield every concrete space of geomstats' geometry and information geometry."""
    from geomstats.geometry.manifold import Manifold

    seen = set()
    for package in ("geomstats.geometry", "geomstats.information_geometry"):
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, package + "."):
            if module.name.rpartition(".")[2].startswith("_") or module.ispkg:
                continue
            found = importlib.import_module(module.name)
            for name, member in inspect.getmembers(found, inspect.isclass):
                own = member.__module__ == module.name and not name.startswith("_")
                concrete = issubclass(member, Manifold) and not inspect.isabstract(member)
                if own and concrete and member not in seen:
                    seen.add(member)
                    yield name, member
    # These are functions that choose among private classes.
    from geomstats.geometry.special_euclidean import SpecialEuclidean
    from geomstats.geometry.special_orthogonal import SpecialOrthogonal

    for factory in (SpecialOrthogonal, SpecialEuclidean):
        for n in (2, 3):
            for kind in ("matrix", "vector"):
                yield f"{factory.__name__}({n}, {kind})", partial(factory, n, point_type=kind, equip=True)


def build(cls: Callable[..., object]) -> object:
    """Make a space with the smallest sensible sizes."""
    from geomstats.geometry.hypersphere import Hypersphere
    from geomstats.geometry.poincare_ball import PoincareBall

    if isinstance(cls, partial):
        return cls()
    arguments = {}
    for parameter in inspect.signature(cls).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name == "factors":
            arguments["factors"] = (Hypersphere(2), PoincareBall(2))
        elif parameter.name in ("base_manifold", "ambient_manifold", "space", "total_space"):
            arguments[parameter.name] = Hypersphere(2)
        elif parameter.name in SIZES and parameter.default is parameter.empty:
            arguments[parameter.name] = SIZES[parameter.name]
        elif parameter.default is parameter.empty and parameter.name != "equip":
            raise TypeError(f"no size is known for its argument '{parameter.name}'")
    return cls(**arguments)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after some seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"slower than {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def attempt(cls: Callable[..., object]) -> str:
    """Return how a space fares as a manifold."""
    import torch

    from moduli.manifolds import from_geomstats

    stage = "cannot be made"
    try:
        with time_limit(SECONDS):
            space = build(cls)
            stage = "is not a manifold with a distance"
            if not hasattr(space, "metric"):
                space.equip_with_metric()
            manifold = from_geomstats(space)
            stage = "random points"
            points = manifold.random_point(6, torch.Generator().manual_seed(0))
            again = manifold.random_point(6, torch.Generator().manual_seed(0))
            assert torch.equal(points, again), "the seed does not decide them"
            stage = "distances"
            points = manifold.project(points.double())
            start = time.perf_counter()
            distances = manifold.distance(points[:3], points[3:])
            seconds = (time.perf_counter() - start) / 3
            assert distances.isfinite().all(), "not finite"
            back = manifold.distance(points[3:], points[:3])
            matrix = manifold.pairwise(points[:3])
            assert (matrix >= 0).all(), "negative"
            asymmetry = float((distances - back).abs().max() / distances.max())
            note = f"works, {seconds:.2g} s a pair"
            if asymmetry > 1e-6:
                note += f"; d(x, y) and d(y, x) differ by {asymmetry:.1g}"
            if "pytorch" in sys.argv:
                stage = f"{note}; gradients"
                inputs = points[:3].clone().requires_grad_()
                manifold.distance(inputs, points[3:]).sum().backward()
                assert inputs.grad is not None, "none"
                assert inputs.grad.isfinite().all(), "not finite"
                note += ", with gradients"
            return note
    except Exception as error:  # the purpose is to say what stands in the way, whatever it is
        reason = re.sub(r" at 0x[0-9a-f]+", "", " ".join(str(error).split()))[:110]
        return f"{stage}: {type(error).__name__}: {reason}".rstrip(": ")


def main() -> None:
    """Print the table."""
    backend = sys.argv[1] if len(sys.argv) > 1 else "numpy"
    os.environ["GEOMSTATS_BACKEND"] = backend
    warnings.simplefilter("ignore")
    import logging

    logging.disable()
    rows = [(name, attempt(cls)) for name, cls in sorted(spaces(), key=lambda pair: pair[0])]
    working = [note for _, note in rows if note.startswith("works")]
    print(f"geomstats on {backend}: {len(working)} of {len(rows)} spaces work\n")
    print("| space | outcome |\n| --- | --- |")
    for name, note in rows:
        print(f"| `{name}` | {note} |")


if __name__ == "__main__":
    main()
