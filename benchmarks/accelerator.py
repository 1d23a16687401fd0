"""Run every path of the library once on an accelerator, and time what matters there.

    python benchmarks/accelerator.py --device cuda --minutes 9
    python benchmarks/accelerator.py --device cpu --toy      # a minute on a CPU, to see that all parts work

Parts run in order of worth. Each is written as it ends, as JSON and as a Markdown table, so that a run that
is cut short leaves what is done. A part that fails says so in its row and stops no other.
"""

import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import tyro
from accelerators import checks, speeds

PARTS: dict[str, Callable[[torch.device, speeds.Sizes], Iterator[dict[str, Any]]]] = {
    "checks": lambda device, sizes: run_checks(device, checks.WAYS[: -1 if sizes is speeds.TOY else None]),
    "distances": speeds.pairwise,
    "penalties": speeds.penalties,
    "navigation": speeds.navigation,
    "fast modules": speeds.fast_modules,
    "large networks": speeds.large_networks,
}
"""What is done, most worthy first."""


def run_checks(device: torch.device, ways: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Carry out every check; one that fails becomes a row."""
    for name, check in checks.checks(ways):
        started = time.monotonic()
        try:
            seen, holds = check(device), True
        except Exception as error:  # the other checks still say what holds
            seen, holds = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", False
        yield {"check": name, "holds": holds, "seen": seen, "seconds": time.monotonic() - started}


def machine(device: torch.device) -> dict[str, str]:
    """Return the card, its driver and the versions."""
    found = {"python": platform.python_version(), "torch": torch.__version__, "device": str(device)}
    if device.type == "cuda":
        found["card"] = torch.cuda.get_device_name(device)
        found["memory"] = f"{torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB"
        found["CUDA"] = str(torch.version.cuda)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as a Markdown table."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        values = (row.get(name) for name in columns)
        lines.append(f"| {' | '.join(f'{v:.3g}' if isinstance(v, float) else str(v) for v in values)} |")
    return "\n".join(lines)


def main(
    device: str = "cuda",
    minutes: float = 9.0,
    parts: tuple[str, ...] = tuple(PARTS),
    out: Path = Path("accelerator"),
    toy: bool = False,
) -> None:
    """Carry out the parts, as many as there is time for.

    Parameters
    ----------
    device : str
        PyTorch device.
    minutes : float
        After so many minutes no further row is begun.
    parts : tuple of str
        Which parts, in this order.
    out : Path
        Folder of the results.
    toy : bool
        Tiny sizes.
    """
    place, deadline = torch.device(device), time.monotonic() + 60 * minutes
    sizes = speeds.TOY if toy else speeds.Sizes()
    out.mkdir(parents=True, exist_ok=True)
    done: dict[str, Any] = {"machine": machine(place), "finished": False}
    for name, part in ((name, PARTS[name]) for name in parts):
        rows = done[name] = []
        try:
            for row in part(place, sizes):
                rows.append(row)
                write(out, done)
                if time.monotonic() > deadline:
                    print(f"{minutes:g} minutes are over; what is done is in {out}.")
                    return
        except (RuntimeError, NotImplementedError) as error:  # such as memory that does not suffice
            rows.append({"failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"})
        print(f"\n## {name}\n\n{table(rows)}", flush=True)
        write(out, done)
    write(out, done | {"finished": True})


def write(out: Path, done: dict[str, Any]) -> None:
    """Write what is done so far."""
    (out / "results.json").write_text(json.dumps(done, indent=2) + "\n")
    parts = [
        f"## {name}\n\n{table(rows)}\n" for name, rows in done.items() if isinstance(rows, list) and rows
    ]
    facts = ", ".join(f"{name} {value}" for name, value in done["machine"].items())
    (out / "results.md").write_text(f"{facts}\n\n" + "\n".join(parts))


if __name__ == "__main__":
    tyro.cli(main)
