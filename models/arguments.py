"""Arguments as users give them: words become what they stand for, and the wrong kind is refused at once."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.manifolds.reading import read_manifold
from moduli.manifolds.tensors import require_tensor
from moduli.models.errors import InvalidSparsity
from moduli.regularizers import Regularizer, make_regularizer
from moduli.requirements import is_number
from moduli.showing import shown

T = TypeVar("T")


def require_instance(parameter: str, value: object, kind: type[T], expected: str) -> T:
    """Return a value if it is of a kind.

    Parameters
    ----------
    parameter : str
        Its name in error messages.
    value : object
        What was given.
    kind : type
        Of what it must be an instance.
    expected : str
        What is expected, in words and with an example.

    Raises
    ------
    InvalidParameter
        If it is of another kind, or a class in place of an instance.

    Examples
    --------
    >>> require_instance("model", nn.RNN, nn.Module, "a torch.nn.Module, such as nn.RNN(3, 64)")
    Traceback (most recent call last):
        ...
    moduli.errors.InvalidParameter: model must be a torch.nn.Module, ... got the class RNN: call it, RNN(…).
    """
    if isinstance(value, kind):
        return value
    raise InvalidParameter(f"{parameter} must be {expected}; got {given(value)}.")


def given(value: object) -> str:
    """Return how an error calls what was given: a number or a word as it is, anything else by its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}: call it, {value.__name__}(…)"
    if value is None or isinstance(value, str | Real):
        return shown(value)
    return f"an object of type {type(value).__name__}"


def as_model(value: object) -> nn.Module:
    """Return a model, or raise `InvalidParameter`."""
    return require_instance("model", value, nn.Module, "a torch.nn.Module, such as nn.RNN(3, 64)")


def as_manifold(value: object) -> Manifold:
    """Return a manifold from itself or from its word, ``"torus"`` or ``"torus(dim=6)"``."""
    if isinstance(value, str):
        return read_manifold(value)
    return require_instance("manifold", value, Manifold, "a manifold, such as Torus(2), or its name, 'torus'")  # type: ignore[type-abstract]


def as_regularizer(value: object) -> Regularizer:
    """Return a regularizer from itself or from an expression, ``"dog"`` or ``"0.5*dog + 0.1*uniform"``."""
    if isinstance(value, str):
        return make_regularizer(value)
    expected = "a regularizer, such as Diffusion(), or an expression, such as 'dog'"
    return require_instance("regularizer", value, Regularizer, expected)  # type: ignore[type-abstract]


def as_sparsity(value: object) -> float:
    """Return a fraction of zeros in [0, 1), or raise `InvalidSparsity`."""
    if not is_number(value) or not 0 <= value < 1:
        raise InvalidSparsity(f"sparsity is the fraction of zeros, in [0, 1); got {given(value)}.")
    return float(value)


def as_patterns(parameter: str, value: object) -> list[str]:
    """Return names or patterns of weights from one of them or several.

    Raises
    ------
    InvalidParameter
        If it is neither a string nor a sequence of strings.

    Examples
    --------
    >>> as_patterns("recurrent", "h2h.weight")
    ['h2h.weight']
    """
    expected = "a weight's name or pattern, such as 'h2h.weight', or a sequence of these"
    if isinstance(value, str):
        return [value]
    patterns: Sequence[Any] = require_instance(parameter, value, Sequence, expected)  # type: ignore[type-abstract]
    return [
        require_instance(f"Each of {parameter}", one, str, "a weight's name or pattern") for one in patterns
    ]


def as_masks(value: object) -> dict[str, Tensor]:
    """Return masks by the names of their weights.

    Raises
    ------
    InvalidParameter
        If it is not a mapping from names to tensors of booleans, or of numbers that are 0 or 1.
    """
    expected = "a mapping from weights' names to tensors, such as {'weight_hh_l0': mask}"
    masks: Mapping[Any, Any] = require_instance("masks", value, Mapping, expected)  # type: ignore[type-abstract]
    for name, mask in masks.items():
        require_instance("Each name in masks", name, str, "a string, the name of a weight")
        require_instance(f"The mask of {name}", mask, Tensor, "a tensor, True where a weight is alive")
        require_tensor(mask, f"The mask of {name}", with_values=True)
        if mask.numel() == 0:
            raise InvalidParameter(f"The mask of {name} must have the shape of its weight; it is empty.")
        require_truths(mask, f"The mask of {name}")
    return dict(masks)


def require_truths(mask: Tensor, what: str) -> None:
    """Raise unless a mask holds booleans, or numbers that are 0 or 1.

    Parameters
    ----------
    mask : Tensor
        Of any shape.
    what : str
        Its name in error messages.

    Raises
    ------
    InvalidParameter
        If it holds another number, as a weight does.
    """
    if mask.dtype == torch.bool:
        return
    strange = mask[(mask != 0) & (mask != 1)]
    if len(strange):
        raise InvalidParameter(
            f"{what} must be booleans, or numbers that are 0 or 1; it holds {strange[0].item()!r}. Pass "
            "weight != 0 to keep the weights that are not zero."
        )
