"""A constructor's arguments as an object's identity: by name, in its repr and in its spec."""

import inspect
from typing import Any

from moduli.errors import suggestion
from moduli.manifolds.errors import UnknownParameter


def _signature(cls: type[Any]) -> inspect.Signature:
    if cls.__init__ is object.__init__:
        return inspect.Signature()
    signature = inspect.signature(cls.__init__)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def bind(cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the constructor's arguments by name, defaults included."""
    signature = _signature(cls)
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
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for key, value in bound.arguments.items():
        if parameters[key].kind is inspect.Parameter.VAR_KEYWORD:
            arguments.update(value)
        else:
            arguments[key] = value
    return {key: _frozen(value) for key, value in arguments.items()}


def _frozen(value: Any) -> Any:
    """Return tuples for lists: a spec read back from JSON holds lists where tuples were."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def split_variadic(cls: type[Any], arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return positional and keyword arguments; only a ``*parameter`` is positional."""
    variadic = [p.name for p in _signature(cls).parameters.values() if p.kind is p.VAR_POSITIONAL]
    positional = tuple(value for name in variadic for value in arguments.get(name, ()))
    return positional, {key: value for key, value in arguments.items() if key not in variadic}


def construct(cls: type[Any], arguments: dict[str, Any]) -> Any:
    """Call a constructor with arguments given by name, ``*parameters`` included."""
    positional, keywords = split_variadic(cls, arguments)
    return cls(*positional, **keywords)
