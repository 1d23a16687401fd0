"""Tensors in files that vouch for themselves: safetensors with a header of text and a checksum over both."""

import contextlib
import errno
import hashlib
import json
import os
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from moduli.models.errors import DamagedState, MissingState
from moduli.requirements import require_package

CHECKSUM = "sha256"
"""The key of the checksum in a file's header."""

METADATA = "__metadata__"
"""The key under which safetensors' header holds text; the header follows its own length in eight bytes."""


def write_state(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> None:
    """Write tensors and a header of text with their checksum, atomically.

    Parameters
    ----------
    path : Path
        The file; one that is there is replaced.
    tensors : mapping from str to Tensor
        What it holds.
    header : mapping from str to str
        What any reader of safetensors shows as its metadata, beside the checksum.

    Raises
    ------
    MissingDependency
        If safetensors is not installed.
    OSError
        If the file cannot be written; the old content is intact.
    """
    torch_files = require_package("safetensors.torch", "Files of tensors", "tasks")
    plain = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    places = Counter(tensor.untyped_storage().data_ptr() for tensor in plain.values())
    for name, tensor in plain.items():
        # The format refuses tensors that share memory, as one embedding of two weights does.
        if places[tensor.untyped_storage().data_ptr()] > 1:
            plain[name] = tensor.clone()
    checksum = tensor_checksum(plain, header)
    replace_file(path, torch_files.save(plain, {**header, CHECKSUM: checksum}))


def read_state(path: Path) -> tuple[dict[str, Tensor], dict[str, str], bool]:
    """Return the tensors and the header of a file, and whether a checksum vouches for them.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    tensors : dict of str to Tensor
        On the CPU.
    header : dict of str to str
        Without the checksum.
    vouched : bool
        False for a file of an earlier version, which has no checksum.

    Raises
    ------
    MissingDependency
        If safetensors is not installed.
    MissingState
        If there is no such file.
    DamagedState
        If it is not a plain file, not a complete safetensors file, or not what its checksum says. The
        reason ends without a full stop, so that whoever knows what to do can say so.
    """
    safetensors = require_package("safetensors", "Files of tensors", "tasks")
    torch_files = require_package("safetensors.torch", "Files of tensors", "tasks")
    try:
        if not path.exists():
            raise MissingState(f"{path} is missing")
        if not path.is_file():  # a pipe would be waited for
            raise DamagedState(f"{path} is not a plain file")
        # Not mapped into memory: what is checked must be what is used, whoever writes into the file later.
        content = path.read_bytes()
        tensors: dict[str, Tensor] = dict(sorted(torch_files.load(content).items()))
        header = dict(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get(METADATA) or {})
    except DamagedState:
        raise
    except (safetensors.SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedState(f"{path} is not a complete safetensors file ({error})") from None
    stored = header.pop(CHECKSUM, None)
    if stored is not None and stored != tensor_checksum(tensors, header):
        raise DamagedState(f"{path} was changed after it was written, since its checksum does not agree")
    return tensors, header, stored is not None


def tensor_checksum(tensors: Mapping[str, Tensor], header: Mapping[str, str]) -> str:
    """Return the SHA-256 of tensors and a header, whatever their order, as hexadecimal digits.

    Parameters
    ----------
    tensors : mapping from str to Tensor
        Contiguous ones on the CPU: names, types, shapes and values count.
    header : mapping from str to str
        Text beside them.

    Examples
    --------
    >>> zeros, ones = {"weight": torch.zeros(2)}, {"weight": torch.ones(2)}
    >>> tensor_checksum(zeros, {}) == tensor_checksum(ones, {})
    False
    """
    names = sorted(tensors)
    shapes = [[name, str(tensors[name].dtype), list(tensors[name].shape)] for name in names]
    checksum = hashlib.sha256(json.dumps([dict(header), shapes], sort_keys=True).encode())
    for name in names:
        checksum.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return checksum.hexdigest()


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
        If the disk is full, the folder cannot be written to, or a folder or a device has the name; the old
        content is intact.
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "something that is not a plain file is in its place")
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
