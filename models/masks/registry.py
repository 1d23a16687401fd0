"""Families of masks by name: rules that make a mask of any size before training."""

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from torch import Tensor

from moduli.errors import InvalidParameter, ModuliError, RegistrationError, suggestion
from moduli.registry import Registry
from moduli.showing import described


class MaskFamily(Protocol):
    """A rule that makes a recurrent mask of any size."""

    def __call__(self, n: int, *, sparsity: float, seed: int) -> Tensor:
        """Return a mask of n neurons, booleans ``(n, n)``, True where a weight is alive."""


class UnknownMaskFamily(ModuliError, LookupError):
    """No family of masks is registered under the given name."""


def _check_family(thing: object, what: str) -> None:
    if not callable(thing) or isinstance(thing, type):
        raise RegistrationError(
            f"{what} must be a function make(n, *, sparsity, seed) that returns a mask, got "
            f"{described(thing)}."
        )


MASK_FAMILIES: Registry[MaskFamily] = Registry(
    "mask family", _check_family, "moduli.masks", UnknownMaskFamily
)
"""All families of masks that have a name."""

F = TypeVar("F", bound=Callable[..., Tensor])

CLAIMS: dict[str, str] = {
    "symmetric": "a connection from i to j comes with one from j to i",
    "regular": "all neurons have as many connections, to within one",
    "self-connected": "every neuron is connected to itself",
    "nested": "with the same seed, a sparser mask is part of a denser one",
    "deterministic": "the seed changes nothing",
}
"""What a mask family may claim beyond what all must do."""


def check_claims(claims: Collection[str]) -> frozenset[str]:
    """Return claims as a set, or raise `InvalidParameter` if one is unknown."""
    for claim in claims:
        if claim not in CLAIMS:
            raise InvalidParameter(f"No mask family claims '{claim}'; {suggestion(claim, CLAIMS)}")
    return frozenset(claims)


def register_mask_family(
    name: str, *, override: bool = False, claims: Collection[str] = ()
) -> Callable[[F], F]:
    """Register a family of masks under a name, as a decorator of its function.

    Installed packages offer theirs through the entry-point group ``moduli.masks``.

    Parameters
    ----------
    name : str
        The family's name.
    override : bool
        Whether to replace a family already registered under this name.
    claims : collection of str
        What its masks are beyond what all must be: ``"symmetric"``, ``"regular"``, ``"self-connected"``,
        ``"nested"``, ``"deterministic"``. The function gets them as its attribute ``claims``, and
        `verify_masks` holds it to them.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    RegistrationError
        If the name is taken or not a word, or what is decorated is not a function.
    InvalidParameter
        If a claim is unknown.

    Examples
    --------
    >>> import torch
    >>> @register_mask_family("diagonal")
    ... def diagonal_mask(n, *, sparsity=0.9, seed=0):
    ...     "The self-connections alone."
    ...     return torch.eye(n, dtype=torch.bool)
    >>> mask_families()["diagonal"]
    'The self-connections alone.'
    """
    MASK_FAMILIES.check_name(name)
    claimed = check_claims(claims)

    def decorate(make: F) -> F:
        MASK_FAMILIES.add(name, make, override=override)
        make.claims = claimed  # type: ignore[attr-defined]
        return make

    return decorate


def mask_families() -> dict[str, str]:
    """Return the names of all families of masks, each with one line about it; nothing is imported."""
    return MASK_FAMILIES.describe()
