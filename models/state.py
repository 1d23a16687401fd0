"""What a sparsifier stores: tensors alone, and text by which the state is recognised."""

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import given
from moduli.models.errors import StateMismatch

IDENTITY = "spec"
"""The key under which stored states hold their identity."""

REMEDY = "make the sparsifier of the same model with the same arguments"
SAVED = "load the state as state_dict() returned it"


def pack(
    steps_taken: int, identity: Mapping[str, str], masks: Mapping[str, Tensor], points: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return a state as tensors, so that safetensors can store it.

    Parameters
    ----------
    steps_taken : int
        How many steps the schedule has seen.
    identity : mapping from str to str
        What the state is recognised by.
    masks, points : mapping from str to Tensor
        By the names of the weights.

    Returns
    -------
    dict of str to Tensor
        The identity is the bytes of its JSON.

    Examples
    --------
    >>> sorted(pack(3, {"scope": "layer"}, {"weight": torch.ones(2, 2) > 0}, {}))
    ['mask.weight', 'spec', 'steps_taken']
    """
    return {
        "steps_taken": torch.tensor(steps_taken),
        IDENTITY: as_bytes(identity),
        **{f"mask.{name}": mask.clone() for name, mask in masks.items()},
        **{f"embedding.{name}": each.detach().clone() for name, each in points.items()},
    }


def part(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return the tensors of one kind, such as ``"mask"`` or ``"embedding"``, by their names without it.

    Examples
    --------
    >>> part(pack(3, {}, {"weight": torch.tensor([[True]])}, {}), "mask")
    {'weight': tensor([[True]])}
    """
    start = f"{kind}."
    return {name.removeprefix(start): tensor for name, tensor in state.items() if name.startswith(start)}


def check_state(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise unless a state is of the sparsifier to which another one belongs.

    Parameters
    ----------
    state : mapping from str to Tensor
        What is to be restored; without an identity, shapes alone are compared.
    own : mapping from str to Tensor
        The sparsifier's own state.

    Raises
    ------
    StateMismatch
        Naming both sides.
    """
    if not isinstance(state, Mapping):
        raise StateMismatch(
            f"A state is a mapping from names to tensors, as state_dict() returns it; got {given(state)}."
        )
    for name, value in state.items():
        require_tensor(value, f"'{name}' of a state", StateMismatch, with_values=True)
    if IDENTITY in state:
        theirs = _identity(state[IDENTITY])
        for key, value in json.loads(bytes(own[IDENTITY].tolist())).items():
            if theirs.get(key) != value:
                raise StateMismatch(
                    f"The state is of a sparsifier with {key} {theirs.get(key)}, this one's is {value}; "
                    f"{REMEDY}."
                )
    wrong = [
        f"{name} ({_shape(state, name)} there, {_shape(own, name)} here)"
        for name in sorted(own.keys() | state.keys())
        if name != IDENTITY and _shape(state, name) != _shape(own, name)
    ]
    if wrong:
        raise StateMismatch(f"The state does not belong to this sparsifier: {', '.join(wrong)}; {REMEDY}.")
    for name, mask in part(state, "mask").items():
        if mask.dtype != torch.bool:
            raise StateMismatch(f"The mask of {name} must be boolean, got {mask.dtype}; pass mask.bool().")
    for name, points in part(state, "embedding").items():
        if not torch.isfinite(points).all():
            raise StateMismatch(f"The points of {name} are not all finite; {SAVED}.")
    if "steps_taken" in own and not _is_count(state["steps_taken"]):
        raise StateMismatch(
            f"steps_taken must be a non-negative integer, got {state['steps_taken']}; {SAVED}."
        )


def as_bytes(identity: Mapping[str, str]) -> Tensor:
    """Return the bytes of an identity's JSON."""
    return torch.frombuffer(bytearray(json.dumps(dict(identity)).encode()), dtype=torch.uint8)


def _identity(stored: Tensor) -> dict[str, Any]:
    try:
        identity = json.loads(bytes(stored.tolist()))
    except (ValueError, TypeError, RecursionError) as error:
        raise StateMismatch(f"The state's identity cannot be read ({error}); {SAVED}.") from None
    if not isinstance(identity, dict):
        raise StateMismatch(f"The state's identity is not an object, got {identity!r}; {SAVED}.")
    return identity


def _is_count(value: Tensor) -> bool:
    whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return whole and bool(value >= 0)


def _shape(state: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"
