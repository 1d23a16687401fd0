"""Families of masks from text: the language of the command line and of methods' names."""

import functools
import inspect
from typing import Any

from moduli.errors import InvalidParameter, suggestion
from moduli.models.masks.registry import MASK_FAMILIES, MaskFamily
from moduli.reading import read_call

OWN = ("n", "sparsity", "seed")
"""The parameters of every family, which say nothing of which family it is."""


def read_mask_family(text: str) -> MaskFamily:
    """Return a family of masks from ``name`` or ``name(parameter=value)``.

    Parameters
    ----------
    text : str
        Such as ``"ring"`` or ``"small-world(rewiring=0.2)"``.

    Returns
    -------
    callable
        The family, ``make(n, *, sparsity, seed)``.

    Raises
    ------
    UnknownMaskFamily
        If no family has this name.
    InvalidParameter
        If the text is not of this form, or the family does not have such a parameter.

    Examples
    --------
    >>> make = read_mask_family("small-world(rewiring=0.5)")
    >>> int(make(64, sparsity=0.9, seed=0).sum())
    410
    >>> read_mask_family("small-world(rewirng=0.5)")
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: small-world has no parameter 'rewirng'; did you mean 'rewiring'? ...
    """
    name, arguments = read_call(text)
    return with_arguments(MASK_FAMILIES.get(name), arguments, name)


def with_arguments(make: MaskFamily, arguments: dict[str, Any], name: str) -> MaskFamily:
    """Return a family whose own parameters have values.

    Parameters
    ----------
    make : callable
        The family.
    arguments : dict
        The values by name.
    name : str
        Its name in error messages.

    Raises
    ------
    InvalidParameter
        If it does not have such a parameter.
    """
    parameters = inspect.signature(make).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        own = [parameter.name for parameter in parameters if parameter.name not in OWN]
        for given in arguments:
            if given not in own:
                raise InvalidParameter(f"{name} has no parameter '{given}'; {suggestion(given, own)}")
    return functools.partial(make, **arguments) if arguments else make
