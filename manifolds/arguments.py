"""A constructor's arguments: by name, of the kinds that it declares, and within limits.

This is the one place where arguments are held to the types that a constructor declares, whether they come
from Python, from an expression or from a spec.
"""

import inspect
import reprlib
from typing import Any, Literal, get_origin, get_type_hints

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from moduli.errors import InvalidParameter, suggestion
from moduli.manifolds.errors import UnknownParameter
from moduli.manifolds.identity import frozen, signature_of
from moduli.registry import LIBRARY

MOST_NESTED = 64
"""How many objects may be within one another: more would end in Python's limit of recursion."""


def bind(
    cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any], *, check_kinds: bool = True
) -> dict[str, Any]:
    """Return the constructor's arguments by name, defaults included.

    Parameters
    ----------
    cls : type
        Whose constructor is called.
    args, kwargs
        What it is called with.
    check_kinds : bool
        Whether to hold arguments to the declared types, where the constructor does not do so itself.

    Raises
    ------
    UnknownParameter
        If the constructor does not take these arguments.
    InvalidParameter
        If an argument is of another kind than it declares, an integer of more than 64 bits, or nested more
        than `MOST_NESTED` deep.
    """
    signature = signature_of(cls)
    parameters = signature.parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for key in kwargs:
        if key not in parameters and not takes_any:
            raise UnknownParameter(f"{cls.__name__} has no parameter '{key}'; {suggestion(key, parameters)}")
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise UnknownParameter(
            f"{cls.__name__}{signature} was called with wrong arguments: {error}."
        ) from None
    given = dict(bound.arguments)
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for key, value in bound.arguments.items():
        if parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update({name: _kept(cls, name, each) for name, each in value.items()})
            continue
        arguments[key] = _kept(cls, key, value)
        if key in given and check_kinds:
            _check_kind(cls, parameters[key], value, arguments[key])
    return arguments


def is_own(cls: type[Any]) -> bool:
    """Tell whether a class is this library's."""
    return cls.__module__.partition(".")[0] == LIBRARY


def _kept(cls: type[Any], name: str, value: Any) -> Any:
    """Return an argument as it is kept, or raise where it cannot be."""
    what = f"{cls.__name__}: {name}"
    found = frozen(value)
    if isinstance(found, int) and found.bit_length() > 64:
        raise InvalidParameter(
            f"{what} is an integer of {found.bit_length()} bits; write a number of this size as a float."
        )
    if nesting(found) > MOST_NESTED:
        raise InvalidParameter(f"{what} is nested more than {MOST_NESTED} deep; say it with fewer parts.")
    return found


def nesting(value: Any) -> int:
    """Return how many objects an argument holds within one another; plain values hold none."""
    if isinstance(value, tuple):
        return max(map(nesting, value), default=0)
    parts = getattr(value, "_arguments", None) or getattr(value, "operands", None)
    if parts is None:
        return 0
    return 1 + nesting(tuple(parts.values()) if isinstance(parts, dict) else parts)


def check_depth(spec: Any, what: str) -> None:
    """Raise unless a spec is a tree of at most `MOST_NESTED` objects from root to leaf.

    Raises
    ------
    InvalidParameter
        If it is deeper.
    """
    level, depth = [spec], 0
    while level:
        depth += 1
        if depth > 4 * MOST_NESTED:  # an object, its arguments, and perhaps a list of parts
            raise InvalidParameter(f"{what} is nested more than {MOST_NESTED} deep; say it with fewer parts.")
        below: list[Any] = []
        for value in level:
            below += value.values() if isinstance(value, dict) else value
        level = [value for value in below if isinstance(value, dict | list | tuple)]


def _check_kind(cls: type[Any], parameter: inspect.Parameter, value: Any, found: Any) -> None:
    """Raise unless an argument, as it was given or as it is kept, is of the declared kind."""
    kind = _kinds(cls).get(parameter.name, Any)
    if is_own(cls) and (kind in (int, float) or get_origin(kind) is Literal):
        return  # constructors of this library say more precisely which numbers and words they take
    variadic = parameter.kind is parameter.VAR_POSITIONAL
    for given, kept in zip(value, found, strict=True) if variadic else [(value, found)]:
        if not _is_of(kind, given) and not _is_of(kind, kept):
            raise InvalidParameter(
                f"{cls.__name__}: {parameter.name} must be {_described(kind)}, got {reprlib.repr(given)}."
            )


def _is_of(kind: Any, value: Any) -> bool:
    try:
        check_type(value, kind, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError:
        return False
    return True


def _described(kind: Any) -> str:
    words = {int: "an integer", float: "a number", str: "a text", bool: "True or False"}
    return words.get(kind, f"of type {getattr(kind, '__name__', kind)}")


def _kinds(cls: type[Any]) -> dict[str, Any]:
    """Return the declared types of a constructor's parameters; none where they cannot be found."""
    try:
        return get_type_hints(cls.__init__)
    except (NameError, TypeError, AttributeError):
        return {}
