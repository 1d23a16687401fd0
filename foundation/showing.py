"""How errors show what was given, however long, deep or odd it is."""

import reprlib


def shown(value: object) -> str:
    """Return a short text that tells what a value is.

    Parameters
    ----------
    value : object
        What was given.

    Examples
    --------
    >>> shown([1, 2]), shown(10**5000)
    ('[1, 2]', 'an integer of 16610 bits')
    """
    if isinstance(value, int) and value.bit_length() > 128:
        return f"an integer of {value.bit_length()} bits"
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4,300 digits
        return described(value)


def described(thing: object) -> str:
    """Return what kind of thing was found under a name; never what it holds, which may be a secret.

    Parameters
    ----------
    thing : object
        What was found.

    Examples
    --------
    >>> described(int), described({"password": "x"})
    ('the class int', 'an object of type dict')
    """
    return (
        f"the class {thing.__name__}"
        if isinstance(thing, type)
        else f"an object of type {type(thing).__name__}"
    )
