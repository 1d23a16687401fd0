"""The folder that a stage of a run fills: identity, checkpoint, weights and result."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from moduli.tasks.errors import RunMismatch
from moduli.tasks.experiments.files import read_json, read_tensors, write_json, write_tensors
from moduli.tasks.experiments.stages import StageResult

FORMAT = 2
"""Version of what run folders hold; a folder of another version is refused."""


class RunFolder:
    """The folder of one stage: identity, checkpoint, weights and result.

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

    def result(self) -> StageResult | None:
        """Return the finished run's result, or None while there is none."""
        path = self.path / "results.json"
        return StageResult.read(path) if path.exists() else None

    def finish(
        self, result: StageResult, weights: Mapping[str, Tensor], sparsifier: Mapping[str, Tensor]
    ) -> None:
        """Write the model's weights, the sparsifier's state and then the result; drop the checkpoint."""
        self.save_tensors("weights", weights)
        self.save_tensors("sparsifier", sparsifier)
        write_json(self.path / "results.json", result.as_dict())
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
