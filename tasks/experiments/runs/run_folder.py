"""The folder that a stage of a run fills: identity, checkpoint, weights and result."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from filelock import FileLock
from torch import Tensor

from moduli.models.files import CHECKSUM
from moduli.tasks.errors import RunMismatch
from moduli.tasks.experiments.runs.files import (
    cannot_write,
    check_json,
    damaged,
    is_there,
    read_json,
    read_tensors,
    remove_unfinished,
    write_json,
    write_sums,
    write_tensors,
)
from moduli.tasks.experiments.runs.stages import StageResult

FORMAT = 2
"""Version of what run folders hold; a folder of another version is refused."""

FINISHED = ("weights.safetensors", "sparsifier.safetensors", "results.json")
"""What a finished stage left; where one of these is missing, the stage is carried out again."""


def is_finished(folder: Path) -> bool:
    """Tell whether a stage left all that goes with a result in a folder.

    Raises
    ------
    DamagedFile
        If something else is in the place of one of its files.
    """
    return all(is_there(folder / name) for name in FINISHED)


class RunFolder:
    """The folder of one stage: identity, checkpoint, weights and result.

    Every file says which run it belongs to and carries a checksum; so one that was altered, or is another
    run's, is named when it is read. Folders of versions that wrote no checksums are read as they are.

    Parameters
    ----------
    path : Path
        The folder; made when first written to.
    identity : dict
        What determines the run's numbers, as JSON holds it.

    Attributes
    ----------
    vouched : bool
        Whether the folder's files have checksums.

    Raises
    ------
    RunMismatch
        If the folder holds a run of another identity, or of another version.
    DamagedFile
        If what says so was changed.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.identity = {"format": FORMAT, **identity}
        config = path / "config.json"
        if not is_there(config):
            write_json(config, self.identity)
            self.vouched = True
            return
        stored = read_json(config)
        differences = _differences(_without_checksum(stored), self.identity)
        if differences:
            raise RunMismatch(
                f"{config} belongs to another run ({differences[0]}); "
                "choose another folder or delete this one."
            )
        self.vouched = check_json(config, stored)

    @classmethod
    def existing(cls, path: Path) -> Self:
        """Return the folder of a stage, whatever its identity.

        Raises
        ------
        DamagedFile
            If the folder does not say whose it is.
        """
        return cls(path, _without_checksum(read_json(path / "config.json")))

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other processes out of the folder; wait while one of them is at work in it.

        The claim ends with the process, however that dies. What a process left that died before is removed.
        """
        with claimed(self.path):
            checkpoint = self.path / "checkpoint.safetensors"
            if is_there(checkpoint) and is_finished(self.path):
                checkpoint.unlink()
            yield

    def result(self) -> StageResult | None:
        """Return the finished run's result, or None while there is none; all that goes with it is read.

        Raises
        ------
        DamagedFile
            If it, the weights or the sparsifier were changed, or are another run's.
        """
        if not is_finished(self.path):
            return None
        path = self.path / "results.json"
        result = StageResult.read(path)
        self._check(path, result.identity, self.identity, result.sha256 is not None)
        for name in ("weights", "sparsifier"):
            self.load_tensors(name)
        return result

    def finish(
        self, result: StageResult, weights: Mapping[str, Tensor], sparsifier: Mapping[str, Tensor]
    ) -> None:
        """Write the model's weights, the sparsifier's state and then the result; drop the checkpoint."""
        self.save_tensors("weights", weights)
        self.save_tensors("sparsifier", sparsifier)
        write_sums(self.path)
        result.write(self.path / "results.json")
        (self.path / "checkpoint.safetensors").unlink(missing_ok=True)

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Write ``NAME.safetensors``."""
        write_tensors(self.path / f"{name}.safetensors", tensors, self.identity | {"file": name})

    def load_tensors(self, name: str) -> dict[str, Tensor] | None:
        """Return what ``NAME.safetensors`` holds, or None where there is no such file.

        Raises
        ------
        DamagedFile
            If it was changed, or is another run's or another file.
        """
        path = self.path / f"{name}.safetensors"
        if not is_there(path):
            return None
        tensors, identity = read_tensors(path)
        wanted = self.identity | {"file": name}
        self._check(path, wanted if identity is None else identity, wanted, identity is not None)
        return tensors

    def _check(self, path: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any], vouched: bool) -> None:
        differences = _differences(stored, wanted)
        if differences:
            raise damaged(f"{path} is of another run, or another file ({differences[0]})")
        if self.vouched and not vouched:
            raise damaged(f"{path} has no checksum, though it was written with one")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, and remove files that a process left unfinished when it died.

    Raises
    ------
    CannotWrite
        If the folder cannot be written to.
    """
    claim = folder / ".claim"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if claim.exists() and not claim.is_file():
            raise IsADirectoryError(None, "Not a plain file")
        lock = FileLock(claim)
        lock.acquire()
    except OSError as error:
        raise cannot_write(claim, error) from error
    with lock:
        lock.release()
        remove_unfinished(folder)
        remove_unfinished(folder / "figures")
        yield


def _without_checksum(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if name != CHECKSUM}


def _differences(stored: Any, wanted: Any, path: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(wanted, dict):
        found = []
        for key in sorted(stored.keys() | wanted.keys()):
            found += _differences(stored.get(key), wanted.get(key), f"{path}.{key}".lstrip("."))
        return found
    return [] if stored == wanted else [f"{path} is {stored!r} there, {wanted!r} here"]
