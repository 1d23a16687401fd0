"""Configurations as TOML; free of torch."""

import dataclasses
import tomllib
from pathlib import Path

import tomli_w

from moduli.errors import InvalidConfiguration, suggestion
from moduli.tasks.experiments.configuration.settings import Configuration, plain
from moduli.tasks.experiments.configuration.values import convert, field_types

SECTIONS = ("task", "training", "pruning")


def write_toml(configuration: Configuration) -> str:
    """Return a configuration as TOML, which `read_toml` reads.

    Examples
    --------
    >>> from moduli.tasks.navigation.settings import NavigationSettings
    >>> print(write_toml(Configuration(NavigationSettings())).partition("[training]")[0])
    [task]
    units = 256
    ...
    """
    return tomli_w.dumps(
        {
            section: {name: value for name, value in values.items() if value is not None}
            for section in SECTIONS
            for values in [plain(getattr(configuration, section), whole=True)]
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
    try:
        tables = tomllib.loads(path.read_text())
    except OSError as error:
        raise InvalidConfiguration(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InvalidConfiguration(f"{path} cannot be read as TOML ({error}).") from error
    changes = {}
    for section, values in tables.items():
        if section not in SECTIONS or not isinstance(values, dict):
            raise InvalidConfiguration(
                f"{path} has '{section}'; its settings are in tables: {suggestion(section, SECTIONS)}"
            )
        own = getattr(base, section)
        kinds = field_types(type(own))
        for name, value in values.items():
            if name not in kinds:
                raise InvalidConfiguration(f"{path} sets '{name}' in [{section}]; {suggestion(name, kinds)}")
            values[name] = convert(kinds[name], value, f"{path}: {section}.{name}")
        changes[section] = dataclasses.replace(own, **values)
    return dataclasses.replace(base, **changes)
