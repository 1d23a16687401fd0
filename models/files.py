"""A sparsifier's state as a safetensors file that says in its header what it is of."""

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from moduli.errors import MissingDependency
from moduli.models.errors import StateMismatch


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
    try:
        from safetensors.torch import save
    except ModuleNotFoundError as error:
        raise _missing() from error
    # Copies, since the format refuses tensors that share memory, as one embedding of two weights does.
    data = save({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, dict(header))
    replace_file(path, data)


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
        If the file is no complete safetensors file.
    """
    try:
        from safetensors import SafetensorError, safe_open
    except ModuleNotFoundError as error:
        raise _missing() from error
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise StateMismatch(f"{path} is no complete safetensors file ({error}); save it again.") from None


def _missing() -> MissingDependency:
    return MissingDependency("Sparsifiers' files need safetensors; install it with: pip install safetensors")
