"""Dataclasses as JSON, and JSON as dataclasses whose types were checked."""

import dataclasses
import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from moduli.models.files import CHECKSUM
from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.runs.files import check_json, read_json, sealed, write_json

PACKAGES = ("moduli", "torch", "numpy")


@dataclass(frozen=True)
class Machine:
    """The machine that something was computed on.

    Parameters
    ----------
    system : str
        Operating system.
    processor : str
        Name of the processor.
    cores : int or None
        Number of its cores; None where the system does not tell.
    """

    system: str
    processor: str
    cores: int | None

    @classmethod
    def here(cls) -> "Machine":
        """Return this machine."""
        return cls(platform.platform(), _processor(), os.cpu_count())


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a file of results says, with what its reader must know to repeat it.

    Parameters
    ----------
    versions : dict of str to str
        Versions of Python and of the packages.
    commit : str or None
        Commit of the source tree, with a + if it was changed; None outside a checkout.
    machine : Machine
        Where it was computed.
    finished : str
        When, as an ISO date.
    sha256 : str or None
        Checksum over all else; None before it is written, and in files of versions that wrote none.
    """

    versions: dict[str, str]
    commit: str | None
    machine: Machine
    finished: str
    sha256: str | None = None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON file that ``as_dict`` filled.

        Fields that the file does not have take their defaults, and names that are not fields are ignored,
        so that files of other versions can be read.

        Raises
        ------
        DamagedFile
            If the file does not hold JSON, a field is missing, a value is not what it should be, or the
            checksum does not agree.
        """
        value = read_json(path)
        try:
            record: Self = _parsed(cls, value)
        except (TypeCheckError, ValueError) as error:
            raise DamagedFile(
                f"{path} does not hold what this version writes ({error}); "
                "delete it and run the experiment's command again."
            ) from error
        check_json(path, value)
        return record

    def write(self, path: Path) -> Self:
        """Write the record as JSON, and return it with its checksum."""
        content = sealed(self.as_dict())
        write_json(path, content)
        return dataclasses.replace(self, sha256=content[CHECKSUM])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: what was found, and then what it takes to repeat it."""
        values = dataclasses.asdict(self)
        for field in dataclasses.fields(self):  # what a file of an earlier version does not say stays unsaid
            if field.default is None and values[field.name] is None:
                del values[field.name]
        repetition = {
            field.name: values.pop(field.name) for field in dataclasses.fields(Record) if field.name in values
        }
        return values | repetition


def provenance() -> dict[str, Any]:
    """Return the fields of a `Record` for what is computed here and now."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "commit": _commit(),
        "machine": Machine.here(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _parsed(kind: Any, value: Any, name: str = "") -> Any:
    """Return a JSON value as what a type hint says: a dataclass, a list or None, or a plain value."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        if not isinstance(value, dict):
            raise TypeCheckError(f"{name or 'the file'} is not an object")
        arguments = {}
        for field in dataclasses.fields(kind):
            path = f"{name}.{field.name}".lstrip(".")
            if field.name in value:
                arguments[field.name] = _parsed(hints[field.name], value[field.name], path)
            elif field.default is field.default_factory is dataclasses.MISSING:
                raise ValueError(f"{path} is missing")
        return kind(**arguments)
    members = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    items = next((get_args(each)[0] for each in members if get_origin(each) is list), None)
    if items is not None and isinstance(value, list):
        return [_parsed(items, item, f"{name}[{index}]") for index, item in enumerate(value)]
    try:
        return check_type(value, kind, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError as error:
        raise TypeCheckError(f"{name}: {error}") from error


def _commit() -> str | None:
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
