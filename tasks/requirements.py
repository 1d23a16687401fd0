"""What settings must satisfy; free of torch, as all settings are."""


def require(holds: bool, name: str, expected: str, given: object) -> None:
    """Refuse a setting that is outside its domain.

    Parameters
    ----------
    holds : bool
        Whether the setting is as expected.
    name : str
        The setting's name.
    expected : str
        What it must be, in words.
    given : object
        What it is.

    Raises
    ------
    InvalidConfiguration
        If the setting is not as expected.
    """
    if not holds:
        from moduli.tasks.errors import InvalidConfiguration  # the library's errors come with torch

        raise InvalidConfiguration(f"{name} must be {expected}; got {given!r}.")
