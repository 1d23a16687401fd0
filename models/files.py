"""A sparsifier's state as a safetensors file that says in its header what it is of."""

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from moduli.models.errors import StateMismatch
from moduli.requirements import require_package


def write_state(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write tensors and a header of text, atomically.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    tensors : mapping from str to Tensor
        What it holds.
    header : mapping from str to str
        What any reader of safetensors shows as its metadata.

    Raises
    ------
    MissingDependency
        If safetensors is not installed.
    """
    torch_files = require_package("safetensors.torch", "Sparsifiers' files", "tasks")
    # Copies, since the format refuses tensors that share memory, as one embedding of two weights does.
    copies = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    replace_file(path, torch_files.save(copies, dict(header)))


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that it holds either its old or its whole new content, whatever happens.

    Parameters
    ----------
    path : Path
        The file, in a folder that exists.
    content : bytes
        The new content.

    Raises
    ------
    OSError
        If the disk is full or the folder cannot be written to; the old content is intact.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the header of a file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    header : dict of str to str

    Raises
    ------
    MissingDependency
        If safetensors is not installed.
    StateMismatch
        If the file is not a complete safetensors file.
    """
    safetensors = require_package("safetensors", "Sparsifiers' files", "tasks")
    try:
        with safetensors.safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise StateMismatch(f"{path} is not a complete safetensors file ({error}); save it again.") from None
