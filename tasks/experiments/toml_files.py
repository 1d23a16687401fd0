"""Configurations as TOML; free of torch."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from moduli.tasks.experiments.settings import Configuration

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
    return tomli_w.dumps(
        {
            section: {name: value for name, value in values[section].items() if value is not None}
            for section in SECTIONS
        }
    )


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
    from moduli.errors import InvalidConfiguration, suggestion

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
        kinds = get_type_hints(type(own))
        fields = [field.name for field in dataclasses.fields(own)]
        for name, value in values.items():
            if name not in fields:
                raise InvalidConfiguration(f"{path} sets '{name}' in [{section}]; {suggestion(name, fields)}")
            values[name] = _of_type(kinds[name], value, f"{path}: {section}.{name}")
        changes[section] = dataclasses.replace(own, **values)
    return dataclasses.replace(base, **changes)


def _of_type(kind: Any, value: Any, name: str) -> Any:
    """Return a value of a field's type, which is a class, a union with None, or a choice of words."""
    classes = {str} if get_origin(kind) is Literal else set(get_args(kind) or (kind,))
    if float in classes and type(value) is int:
        return float(value)
    if type(value) not in classes:
        from moduli.errors import InvalidConfiguration

        expected = " or ".join(sorted(cls.__name__ for cls in classes - {type(None)}))
        raise InvalidConfiguration(f"{name} must be of type {expected}; got {value!r}.")
    return value
