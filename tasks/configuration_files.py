"""Configurations as TOML; free of torch."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from moduli.tasks.configuration import Configuration

SECTIONS = ("task", "training", "pruning")


def write_toml(configuration: Configuration) -> str:
    """Return a configuration as TOML, which `read_toml` reads.

    Examples
    --------
    >>> print(write_toml(Configuration()).partition("[training]")[0])
    [task]
    units = 256
    ...
    """
    import tomli_w

    values = dataclasses.asdict(configuration)
    return tomli_w.dumps({section: values[section] for section in SECTIONS})


def read_toml(path: Path, base: Configuration) -> Configuration:
    """Return a configuration with the settings that a file gives in the place of its own.

    Parameters
    ----------
    path : Path
        A file with some of the tables ``[task]``, ``[training]`` and ``[pruning]``.
    base : Configuration
        Where all other settings come from.

    Returns
    -------
    Configuration

    Raises
    ------
    InvalidConfiguration
        If the file is missing or no TOML, a setting is unknown, or a value is of the wrong type or
        outside its domain.
    """
    from moduli.manifolds import suggestion
    from moduli.tasks.errors import InvalidConfiguration

    try:
        tables = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InvalidConfiguration(f"{path} cannot be read as TOML ({error}).") from error
    changes = {}
    for section, values in tables.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise InvalidConfiguration(
                f"{path} has '{section}'; its settings are in tables: {suggestion(section, SECTIONS)}"
            )
        own = getattr(base, section)
        for name, value in values.items():
            fields = [field.name for field in dataclasses.fields(own)]
            if name not in fields:
                raise InvalidConfiguration(f"{path} sets '{name}' in [{section}]; {suggestion(name, fields)}")
            values[name] = _of_type(type(getattr(own, name)), value, f"{path}: {section}.{name}")
        changes[section] = dataclasses.replace(own, **values)
    return dataclasses.replace(base, **changes)


def _of_type(kind: type, value: Any, name: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        from moduli.tasks.errors import InvalidConfiguration

        raise InvalidConfiguration(f"{name} must be of type {kind.__name__}; got {value!r}.")
    return value
