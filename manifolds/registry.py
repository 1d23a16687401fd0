"""Manifolds by name: registration, plugins, and making one from its name or its spec."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from moduli.errors import InvalidParameter, RegistrationError
from moduli.manifolds.arguments import check_depth
from moduli.manifolds.errors import UnknownManifold
from moduli.manifolds.identity import construct
from moduli.manifolds.manifold import Manifold
from moduli.registry import Registry
from moduli.showing import described, shown

M = TypeVar("M", bound=type[Manifold])


def _check_class(thing: object, what: str) -> None:
    if not (isinstance(thing, type) and issubclass(thing, Manifold)):
        raise RegistrationError(f"{what} must be a subclass of Manifold, got {described(thing)}.")
    missing = sorted(getattr(thing, "__abstractmethods__", ()))
    if missing:
        raise RegistrationError(f"{what}: {thing.__name__} does not define {' and '.join(missing)}.")


MANIFOLDS: Registry[type[Manifold]] = Registry("manifold", _check_class, "moduli.manifolds", UnknownManifold)
"""All manifolds that have a name."""


@overload
def register(name: str, *, override: bool = False) -> Callable[[M], M]: ...
@overload
def register(name: str, manifold: M, *, override: bool = False) -> M: ...
@overload
def register(name: str, manifold: str, *, override: bool = False) -> str: ...
def register(
    name: str, manifold: type[Manifold] | str | None = None, *, override: bool = False
) -> Callable[[M], M] | type[Manifold] | str:
    """Register a manifold class under a name, as a decorator or a call.

    Parameters
    ----------
    name : str
        The name for ``make``; a word of letters, digits, - and _ can be said in a method's name as well.
    manifold : type or str, optional
        The class, or ``"package.module:Class"``, imported when first used; absent in a decorator.
    override : bool
        Whether to replace a manifold already registered under this name.

    Returns
    -------
    type, str or callable
        What was registered, or the decorator.

    Raises
    ------
    RegistrationError
        If the name is taken, or what is given is not a manifold class.

    Examples
    --------
    >>> register("klein", "moduli.manifolds:Torus")
    Traceback (most recent call last):
        ...
    moduli.errors.RegistrationError: The name 'klein' is taken by ... override=True to replace it.
    """
    MANIFOLDS.check_name(name)
    if manifold is not None:
        MANIFOLDS.add(name, manifold, override=override)
        return manifold

    def decorate(cls: M) -> M:
        MANIFOLDS.add(name, cls, override=override)
        return cls

    return decorate


def make(name: str, *, kwargs: Mapping[str, Any] | None = None, **arguments: Any) -> Manifold:
    """Make a manifold from its registered name, or from ``"package.module:Class"`` of an imported module.

    ``make(**manifold.spec)`` rebuilds a manifold. A spec may come from a file of somebody else's: it imports
    nothing but what is registered, and calls nothing but manifold classes.

    Parameters
    ----------
    name : str
        A name from ``available()``, or the import string of a class whose module is imported.
    kwargs : mapping, optional
        The constructor's arguments as a spec holds them; nested specs become manifolds.
    **arguments
        More of the constructor's arguments.

    Returns
    -------
    Manifold

    Raises
    ------
    UnknownManifold
        If no manifold has this name, or it is in a module that is not imported.
    UnknownParameter
        If the class does not take these arguments.
    InvalidParameter
        If an argument is of the wrong kind, or the spec is nested too deeply.
    PluginError
        If a registered manifold's module cannot be imported.

    Examples
    --------
    >>> make("torus", dim=2)
    Torus(dim=2, period=10.0)
    >>> make(**make("torus", dim=2).spec)
    Torus(dim=2, period=10.0)
    >>> make("tours")
    Traceback (most recent call last):
        ...
    moduli.manifolds.errors.UnknownManifold: No manifold is called 'tours'; did you mean 'torus'? ...
    """
    if not (kwargs is None or isinstance(kwargs, Mapping)):
        raise InvalidParameter(f"kwargs of '{name}' must be a mapping of arguments, got {shown(kwargs)}.")
    given = {**(kwargs or {}), **arguments}
    check_depth(given, f"The spec of '{name}'")
    if isinstance(name, str) and "(" in name:
        word, _, inner = name.partition("(")
        raise UnknownManifold(
            f"No manifold is called '{name}'; a name stands alone here, and arguments are keywords: "
            f"make('{word}', {inner.removesuffix(')') or '...'})."
        )
    cls = MANIFOLDS.loaded(name) if isinstance(name, str) and ":" in name else MANIFOLDS.get(name)
    return made(cls, given)


def made(cls: type[Manifold], arguments: Mapping[str, Any]) -> Manifold:
    """Return a manifold of a class, with arguments as a spec holds them."""
    manifold: Manifold = construct(cls, {key: _decode(value) for key, value in arguments.items()})
    return manifold


def available() -> dict[str, str]:
    """Return the names that ``make`` knows, each with one line about its manifold.

    Nothing is imported: what is not imported yet is described by where it comes from.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> available()["klein"]
    'The flat Klein bottle of side ``period``.'
    """
    return MANIFOLDS.describe()


def _decode(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"name", "kwargs"}:
        return make(**value)
    if isinstance(value, list):
        return [_decode(item) for item in value]
    return value
