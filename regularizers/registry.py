"""Names for regularizers, so that text and JSON can speak of them."""

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, TypeVar

from moduli.manifolds import RegistrationError

if TYPE_CHECKING:
    from moduli.regularizers.algebra import Regularizer

R = TypeVar("R", bound=type["Regularizer"])

_registered: dict[str, type["Regularizer"]] = {}


def register_regularizer(name: str, *, override: bool = False) -> Callable[[R], R]:
    """Register a regularizer class under a name, as a decorator.

    Parameters
    ----------
    name : str
        The word for it in ``make_regularizer`` and in specs; a Python identifier.
    override : bool
        Whether to replace a class already registered under this name.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    RegistrationError
        If the name is taken or no identifier, or the class is no frozen dataclass.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from moduli.manifolds import Circle
    >>> from moduli.regularizers import Inhibitor, make_regularizer
    >>> @register_regularizer("reach")
    ... @dataclass(frozen=True)
    ... class Reach(Inhibitor):
    ...     length: float = 1.0
    ...     def profile(self, distance):
    ...         return (distance / self.length - 1).relu()
    >>> make_regularizer("2 * reach(length=3.0)")
    2.0 * Reach(length=3.0)
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise RegistrationError(f"A regularizer's name must be a Python identifier, got {name!r}.")

    def decorate(cls: R) -> R:
        taken = _registered.get(name)
        # A notebook's cell that runs again defines its class again; that is the same claim, made twice.
        if taken is not None and _import_string(taken) != _import_string(cls) and not override:
            raise RegistrationError(
                f"The name '{name}' is taken by {_import_string(taken)}; choose another or pass "
                "override=True to replace it."
            )
        if not (is_dataclass(cls) and cls.__dataclass_params__.frozen):
            raise RegistrationError(
                f"{cls.__name__} must be a frozen dataclass, so that its fields are its identity; decorate "
                "it with @dataclass(frozen=True) below @register_regularizer."
            )
        cls.registered_name = name
        _registered[name] = cls
        return cls

    return decorate


def registered_regularizers() -> dict[str, type["Regularizer"]]:
    """Return the registered classes by name."""
    return dict(sorted(_registered.items()))


def _import_string(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"
