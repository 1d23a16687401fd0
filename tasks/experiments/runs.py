"""What a run leaves on disk: plain JSON, CSV and safetensors, written atomically, never unpickled."""

import contextlib
import csv
import importlib.metadata
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from moduli.models.files import replace_file
from moduli.tasks.errors import CannotWrite, DamagedFile, RunMismatch

FORMAT = 2
"""Version of what run folders hold; a folder of another version is refused."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it holds either its old or its whole new content, whatever happens.

    Parameters
    ----------
    path : Path
        The file; its folder is made if need be.
    content : bytes
        The new content.

    Raises
    ------
    CannotWrite
        If the disk is full or the folder cannot be written to; the old content is intact.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """Return the error that says which file could not be written, and what is left."""
    return CannotWrite(
        f"{path} cannot be written ({error.strerror or error}). What was finished is intact: make room, "
        "and the same command continues."
    )


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records that share their names as CSV, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, records[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_atomically(path, text.getvalue().encode())


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
    """The folder of one training: identity, checkpoint, weights and result.

    Parameters
    ----------
    path : Path
        The folder; made when first written to.
    identity : dict
        What determines the run's numbers, as JSON holds it.

    Raises
    ------
    RunMismatch
        If the folder holds a run of another identity, or of another version.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.identity = {"format": FORMAT, **identity}
        config = path / "config.json"
        if config.exists():
            differences = _differences(read_json(config), self.identity)
            if differences:
                raise RunMismatch(
                    f"{config} belongs to another run ({differences[0]}); "
                    "choose another folder or delete this one."
                )
        else:
            write_json(config, self.identity)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes out of the folder; wait while one of them is at work in it.

        The claim ends with the process, however that dies.
        """
        with FileLock(self.path / ".claim"):
            yield

    def result(self) -> dict[str, Any] | None:
        """Return the finished run's result, or None while there is none."""
        path = self.path / "results.json"
        return read_json(path) if path.exists() else None

    def finish(
        self, result: dict[str, Any], weights: Mapping[str, Tensor], sparsifier: Mapping[str, Tensor]
    ) -> None:
        """Write the model's weights, the sparsifier's state and then the result; drop the checkpoint."""
        self.save_tensors("weights", weights)
        self.save_tensors("sparsifier", sparsifier)
        write_json(self.path / "results.json", result)
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write ``NAME.safetensors``."""
        write_tensors(self.path / f"{name}.safetensors", tensors)

    def load_tensors(self, name: str, device: torch.device | str = "cpu") -> dict[str, Tensor] | None:
        """Return what ``NAME.safetensors`` holds, or None where there is no such file."""
        path = self.path / f"{name}.safetensors"
        return read_tensors(path, device) if path.exists() else None


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
