"""Regularizers by name, so that text and JSON can speak of them."""

from collections.abc import Callable
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, TypeVar

from moduli.errors import RegistrationError
from moduli.registry import Registry
from moduli.regularizers.errors import UnknownRegularizer
from moduli.showing import described

if TYPE_CHECKING:
    from moduli.regularizers.regularizer import Regularizer

R = TypeVar("R", bound=type["Regularizer"])


def _check_class(thing: object, what: str) -> None:
    if not (isinstance(thing, type) and hasattr(thing, "coefficients")):
        raise RegistrationError(f"{what} must be a subclass of Regularizer, got {described(thing)}.")
    missing = sorted(getattr(thing, "__abstractmethods__", ()))
    if missing:
        raise RegistrationError(f"{what}: {thing.__name__} does not define {' and '.join(missing)}.")
    if not (is_dataclass(thing) and thing.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise RegistrationError(
            f"{thing.__name__} must be a frozen dataclass, so that its fields are its identity; decorate "
            "it with @dataclass(frozen=True) below @register_regularizer."
        )


REGULARIZERS: "Registry[type[Regularizer]]" = Registry(
    "regularizer", _check_class, "moduli.regularizers", UnknownRegularizer
)
"""All regularizers that have a name."""


def register_regularizer(name: str, *, override: bool = False) -> Callable[[R], R]:
    """Register a regularizer class under a name, as a decorator.

    Installed packages offer theirs through the entry-point group ``moduli.regularizers``.

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
        If the name is taken or not an identifier, or the class is not a frozen dataclass.

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
        REGULARIZERS.add(name, cls, override=override)
        return cls

    return decorate


def registered_regularizers() -> dict[str, type["Regularizer"]]:
    """Return the regularizer classes that are imported, by name."""
    return REGULARIZERS.registered()
