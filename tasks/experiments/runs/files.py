"""The files of an experiment: JSON, CSV and safetensors, written atomically, never unpickled.

JSON and safetensors carry a checksum and the identity of what they belong to; what has no room for one, as
CSV and PNG, is listed with its sum in ``SHA256SUMS``. Sums tell of damage and of changes by mistake; whoever
changes a file on purpose can write a new sum as well.
"""

import csv
import errno
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from moduli.models.errors import DamagedState
from moduli.models.files import CHECKSUM, read_state, replace_file, write_state
from moduli.showing import shown
from moduli.tasks.errors import CannotWrite, DamagedFile

SUMS = "SHA256SUMS"
"""The file that lists the sums of the others in its folder, as ``sha256sum --check`` reads it."""

UNFINISHED = ".*.[0-9]*-[0-9]*"
"""What ``replace_file`` calls a file that is not whole yet."""

OWN_FILES = rf".+\.(?:json|csv|safetensors|png)|{SUMS}"
"""A pattern for the files of an experiment: a user's own hidden files are nobody's leftovers."""

IDENTITY = "identity"
"""The key in the header of a file of tensors under which it says, as JSON, what it belongs to."""


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
        remove_unfinished(path.parent, re.escape(path.name))
        replace_file(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> CannotWrite:
    """Return the error that says which file could not be written, and what is left."""
    advice = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
    return CannotWrite(
        f"{path} cannot be written ({error.strerror or error}). What was finished is intact: {advice}, "
        "and the same command continues."
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON with its checksum, atomically."""
    write_atomically(path, (json.dumps(sealed(value), indent=2) + "\n").encode())


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the checksum of what else it holds."""
    return {**value, CHECKSUM: json_checksum(value)}


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, whatever its checksum says; `check_json` compares.

    Raises
    ------
    DamagedFile
        If it is missing, is not a plain file, or does not hold an object.
    """
    try:
        value = json.loads(_plain_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(f"{path} is damaged ({error})") from error
    if not isinstance(value, dict):
        raise damaged(f"{path} is damaged (it does not hold an object)")
    if odd := _odd_value(value):
        raise damaged(f"{path} is damaged (it holds {odd})")
    return value


def _odd_value(value: Any) -> str | None:
    """Return what no writer of this library writes, if a JSON value holds such."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, int) and each.bit_length() > 64:
            return "a whole number of more than 64 bits"
        elif (
            isinstance(each, str) and not each.isprintable() and any("\ud800" <= c <= "\udfff" for c in each)
        ):
            return "half of a character"
    return None


def check_json(path: Path, value: Mapping[str, Any]) -> bool:
    """Return whether an object that was read has a checksum; an earlier version wrote none.

    Raises
    ------
    DamagedFile
        If the object is not what its checksum says.
    """
    if CHECKSUM not in value:
        return False
    if value[CHECKSUM] != json_checksum(value):
        raise damaged(f"{path} was changed after it was written, since its checksum does not agree")
    return True


def json_checksum(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an object but for its checksum, however its JSON is laid out.

    Examples
    --------
    >>> json_checksum({"a": 1, "b": (2, 3)}) == json_checksum({"b": [2, 3], "a": 1})
    True
    """
    content = {name: item for name, item in value.items() if name != CHECKSUM}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def write_csv(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as CSV, atomically; a name that a record does not have is empty there."""
    text = io.StringIO()
    names = dict.fromkeys(name for record in records for name in record)
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_atomically(path, text.getvalue().encode())


def write_tensors(path: Path, tensors: Mapping[str, Tensor], identity: Mapping[str, Any]) -> None:
    """Write named tensors as safetensors with an identity and a checksum over both, atomically.

    Raises
    ------
    CannotWrite
        If the disk is full or the folder cannot be written to; the old content is intact.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_state(path, tensors, {IDENTITY: json.dumps(identity)})
    except OSError as error:
        raise cannot_write(path, error) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    """Read named tensors, on the CPU.

    Returns
    -------
    tensors : dict of str to Tensor
    identity : dict or None
        What the file belongs to; None for a file of an earlier version, which has no checksum.

    Raises
    ------
    DamagedFile
        If it is missing, is not a complete safetensors file, or is not what its checksum says.
    """
    try:
        tensors, header, vouched = read_state(path)
        identity = json.loads(header[IDENTITY]) if vouched else None
    except (DamagedState, KeyError, ValueError) as error:
        raise damaged(str(error)) from error
    return tensors, identity


def write_sums(folder: Path) -> None:
    """List the sums of a folder's finished files, those of its folder of figures included."""
    lines = [f"{sum_of(path)}  {path.relative_to(folder).as_posix()}\n" for path in _listed(folder)]
    write_atomically(folder / SUMS, "".join(lines).encode())


def changed_files(folder: Path) -> list[str] | None:
    """Return the names of a folder's files that are not as ``SHA256SUMS`` lists them; None without a list.

    A file that is missing, or that the list does not name, counts as changed.
    """
    path = folder / SUMS
    if not path.exists():
        return None
    try:
        lines = _plain_file(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise damaged(f"{path} is damaged ({error})") from error
    if not all(re.fullmatch(r"[0-9a-f]{64}  .+", line) for line in lines):
        return [SUMS]
    listed = {line[66:]: line[:64] for line in lines}
    found = {file.relative_to(folder).as_posix(): file for file in _listed(folder)}
    return sorted(
        name
        for name in listed.keys() | found.keys()
        if name not in found or listed.get(name) != sum_of(found[name])
    )


def sum_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_there(path: Path) -> bool:
    """Return whether a file exists.

    Raises
    ------
    DamagedFile
        If something else is in its place.
    """
    try:
        if not (path.is_symlink() or path.exists()):
            return False
    except OSError as error:  # such as a name that is too long
        raise DamagedFile(
            f"{shown(str(path))} cannot be read ({error.strerror}); use another name."
        ) from error
    if not path.is_file():
        raise damaged(f"{path} is not a plain file")
    return True


def remove_unfinished(folder: Path, names: str = OWN_FILES) -> None:
    """Remove what writers of some files that died left in a folder; those that are at work keep theirs."""
    for path in folder.glob(UNFINISHED):
        process = re.fullmatch(rf"\.(?:{names})\.([0-9]{{1,18}})-[0-9]+", path.name)
        if process and path.is_file() and not _is_running(int(process[1])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if os.name != "posix":
        return True  # elsewhere the question may end the process
    if process == 0:
        return False  # to POSIX it means the process that asks
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def damaged(reason: str) -> DamagedFile:
    """Return the error that says what is wrong with a file of a run, and what to do."""
    return DamagedFile(f"{reason}; delete it and run the command again.")


def _listed(folder: Path) -> list[Path]:
    """Return the files of which a list of sums speaks: those that have no room for a checksum."""
    found = [path for pattern in ("*.csv", "figures/*.png") for path in folder.glob(pattern)]
    return sorted(path for path in found if path.is_file())


def _plain_file(path: Path) -> Path:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise ValueError("it is not a plain file")
    return path
