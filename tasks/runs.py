"""What a run leaves on disk: plain JSON, CSV and safetensors, written atomically, never unpickled."""

import csv
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from moduli.tasks.errors import DamagedFile, RunMismatch

Row = dict[str, float]


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it holds either its old or its whole new content, whatever happens.

    Parameters
    ----------
    path : Path
        The file; its folder is made if need be.
    content : bytes
        The new content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    DamagedFile
        If it does not hold JSON.
    """
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DamagedFile(f"{path} is damaged ({error}); delete it and run the command again.") from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    write_atomically(path, save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}))


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read named tensors onto a device.

    Raises
    ------
    DamagedFile
        If the file is no complete safetensors file.
    """
    try:
        return load_file(path, device=str(device))
    except SafetensorError as error:
        raise DamagedFile(f"{path} is damaged ({error}); delete it and run the command again.") from error


def provenance() -> dict[str, Any]:
    """Return what a result's reader must know to repeat it: versions, commit, machine, date."""
    packages = ("moduli", "torch", "numpy")
    return {
        "versions": {name: importlib.metadata.version(name) for name in packages}
        | {"python": platform.python_version()},
        "commit": _commit(),
        "machine": {"system": platform.platform(), "processor": _processor(), "cores": os.cpu_count()},
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


class RunFolder:
    """The folder of one training: configuration, metrics, checkpoint, weights and result.

    Parameters
    ----------
    path : Path
        The folder; made when first written to.
    identity : dict
        What determines the run's numbers, as JSON holds it.

    Raises
    ------
    RunMismatch
        If the folder holds a run of another identity.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        config = path / "config.json"
        if config.exists():
            differences = _differences(read_json(config), identity)
            if differences:
                raise RunMismatch(
                    f"{config} belongs to another run ({differences[0]}); "
                    "choose another folder or delete this one."
                )
        else:
            write_json(config, identity)

    def result(self) -> dict[str, Any] | None:
        """Return the finished run's result, or None while there is none."""
        path = self.path / "results.json"
        return read_json(path) if path.exists() else None

    def finish(
        self, result: dict[str, Any], weights: Mapping[str, Tensor], sparsifier: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        """Write the model's weights, the sparsifier's state and then the result; drop the checkpoint."""
        self.save_tensors("weights", weights)
        self.save_tensors("sparsifier", sparsifier)
        write_json(self.path / "results.json", result)
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)
        return result

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write ``NAME.safetensors``."""
        write_tensors(self.path / f"{name}.safetensors", tensors)

    def load_tensors(self, name: str, device: torch.device | str = "cpu") -> dict[str, Tensor] | None:
        """Return what ``NAME.safetensors`` holds, or None where there is no such file."""
        path = self.path / f"{name}.safetensors"
        return read_tensors(path, device) if path.exists() else None

    def append_metrics(self, row: Row) -> None:
        """Add a row to metrics.csv."""
        path = self.path / "metrics.csv"
        is_new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, row.keys())
            if is_new:
                writer.writeheader()
            writer.writerow(row)

    def truncate_metrics(self, last_step: int) -> None:
        """Drop the rows after a step: what a killed run wrote after its last checkpoint."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return
        header, *lines = path.read_text().splitlines()
        kept = [
            line for line in lines if line.split(",")[0].isdigit() and int(line.split(",")[0]) <= last_step
        ]
        write_atomically(path, ("\n".join([header, *kept]) + "\n").encode())


def read_metrics(folder: Path) -> list[Row]:
    """Return the rows of a folder's metrics.csv that are complete; none where there is no file."""
    path = folder / "metrics.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if None not in row.values()]
    return [{name: float(value) for name, value in row.items()} for row in rows if all(row.values())]


def _differences(stored: Any, wanted: Any, path: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        found = []
        for key in sorted(stored.keys() | wanted.keys()):
            found += _differences(stored.get(key), wanted.get(key), f"{path}.{key}".lstrip("."))
        return found
    return [] if stored == wanted else [f"{path} is {stored!r} there, {wanted!r} here"]


def _commit() -> str | None:
    """Return the commit of the source tree, with a + if it was changed; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
