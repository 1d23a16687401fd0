"""The files of an experiment: plain JSON, CSV and safetensors, written atomically, never unpickled."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from moduli.models.files import replace_file
from moduli.tasks.errors import CannotWrite, DamagedFile


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
        raise _damaged(path, error) from error


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, atomically."""
    write_atomically(path, save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}))


def read_tensors(path: Path, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """Read named tensors onto a device.

    Raises
    ------
    DamagedFile
        If the file is missing, or is not a complete safetensors file.
    """
    try:
        return load_file(path, device=str(device))
    except (SafetensorError, FileNotFoundError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DamagedFile:
    return DamagedFile(f"{path} is damaged ({error}); delete it and run the command again.")
