"""States of sparse models, and of the dense models that they came from."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from moduli.errors import suggestion
from moduli.manifolds.tensors import require_tensor
from moduli.models.arguments import as_model, require_instance
from moduli.models.errors import StateMismatch
from moduli.models.fast.block_diagonal import spread
from moduli.models.fast.compressed_rows import expanded
from moduli.models.fast.kernel import Kernel

COMPRESSED = ("values", "columns", "row_offsets")


def dense_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the dense model that a sparse model's state came from.

    Parameters
    ----------
    state : mapping from str to Tensor
        ``state_dict()`` of what ``compress``, ``train_survivors`` or ``sparse_rnn`` returned, or a file
        of it.

    Returns
    -------
    dict of str to Tensor
        What the dense model's ``load_state_dict`` takes. `sparse_state` is the way back.

    Raises
    ------
    InvalidParameter
        If it is not a mapping from names to tensors.
    StateMismatch
        If the tensors of a weight do not describe a matrix.

    Examples
    --------
    >>> from moduli.models import compress
    >>> model = nn.GRU(3, 8)
    >>> model.load_state_dict(dense_state(compress(model).state_dict()))
    <All keys matched successfully>
    """
    state = _as_state(state)
    dense: dict[str, Tensor] = {}
    diagonal = {name.removesuffix(".heights") for name in state if name.endswith(".heights")}
    diagonal = set(filter(_is_weight, diagonal))
    for name, tensor in state.items():
        base, _, part = name.rpartition(".")
        if not _is_weight(base.removesuffix(".rest")):
            dense[name] = tensor
        elif base in diagonal:
            if part == "heights":
                dense[base] = _matrix(base, state)
        elif base.removesuffix(".rest") in diagonal:
            continue
        elif f"{base}.row_offsets" in state:
            if part == "row_offsets":
                dense[base] = _matrix(base, state)
        else:
            dense[base if part == "dense" else name] = tensor
    return dense


def _is_weight(name: str) -> bool:
    """Tell whether a name may be a kernel's, which stands in the place of a weight of PyTorch's modules."""
    return name.rpartition(".")[2].startswith("weight")


def sparse_state(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a sparse model that has the weights of a dense one's state.

    Parameters
    ----------
    state : mapping from str to Tensor
        ``state_dict()`` of a dense model, or what `dense_state` returns. Weights are zero where the sparse
        model has none.
    model : nn.Module
        The sparse model, from ``compress``, ``train_survivors`` or ``sparse_rnn``; it is not changed.

    Returns
    -------
    dict of str to Tensor
        What the sparse model's ``load_state_dict`` takes.

    Raises
    ------
    InvalidParameter
        If the state is not a mapping from names to tensors, or the model not a module.
    StateMismatch
        If a weight is missing, unknown or of another shape, or is not zero where the model has no weight.

    Examples
    --------
    >>> from moduli.models import sparse_rnn
    >>> rnn, other = sparse_rnn("gru", 3, 64), sparse_rnn("gru", 3, 64)
    >>> other.load_state_dict(sparse_state(dense_state(rnn.state_dict()), other))
    <All keys matched successfully>
    """
    state, own = _as_state(state), as_model(model).state_dict()
    found = {
        path for path, module in model.named_modules(remove_duplicate=False) if isinstance(module, Kernel)
    }
    kernels = {path for path in found if path.removesuffix(".rest") not in found - {path}}
    stored = {name for name in own if any(name.startswith(f"{path}.") for path in kernels)}
    expected = kernels | (own.keys() - stored)
    for name in state:
        if name in stored:
            raise StateMismatch(
                f"The state holds {name}, as a sparse model's does: load it as it is, or pass "
                "dense_state(state) where its kernels are others."
            )
        if name not in expected:
            raise StateMismatch(
                f"The state holds '{name}', which the model lacks; {suggestion(name, expected)}"
            )
    for name in sorted(expected - state.keys()):
        raise StateMismatch(
            f"The state lacks {name}, which the model has; give all of the dense model's state."
        )
    sparse: dict[str, Tensor] = {name: state.get(name, tensor) for name, tensor in own.items()}
    for path in kernels:
        weight = require_tensor(state[path], f"'{path}' of a state", StateMismatch, with_values=True)
        shape = tuple(model.get_submodule(path).shape)  # type: ignore[arg-type]
        if weight.shape != shape:
            raise StateMismatch(f"{path} has shape {tuple(weight.shape)} in the state, {shape} in the model.")
        dense = f"{path}.dense"
        sparse |= {dense: weight} if dense in own else _values(path, own, weight.detach())
    return sparse


def _values(name: str, own: Mapping[str, Tensor], weight: Tensor) -> dict[str, Tensor]:
    """Return the stored values of a kernel whose weight is given as a dense matrix."""
    values = {key: own[key] for key in (f"{name}.values", f"{name}.rest.values") if key in own}
    # Each stored value has a number, which stands in the matrix where the value would; 0 is where none does.
    numbers = torch.arange(1, 1 + sum(map(torch.numel, values.values())), dtype=torch.int32)
    sizes = [tensor.numel() for tensor in values.values()]
    numbered = {
        key: part.view(tensor.shape).to(tensor.device)
        for (key, tensor), part in zip(values.items(), torch.split(numbers.clone(), sizes), strict=True)
    }
    if f"{name}.dead" in own:
        numbered[f"{name}.values"][own[f"{name}.dead"]] = 0
    places = _matrix(name, {**own, **numbered}).to(weight.device)
    outside = int(weight[places == 0].count_nonzero())
    if outside:
        raise StateMismatch(
            f"{outside} weights of {name} are not zero where the model has none; cut them by the model's "
            "mask first, or make the model with theirs."
        )
    found = weight.new_zeros(1 + len(numbers)).index_put((places.long(),), weight)[1:]
    return {
        key: part.view(tensor.shape)
        for (key, tensor), part in zip(values.items(), torch.split(found, sizes), strict=True)
    }


def _as_state(state: object) -> Mapping[str, Tensor]:
    expected = "a mapping from names to tensors, as model.state_dict() returns it"
    found: Mapping[str, Tensor] = require_instance("state", state, Mapping, expected)  # type: ignore[type-abstract]
    for name in found:
        require_instance("Each name in state", name, str, "a string, the name of a tensor")
    return found


def _matrix(name: str, state: Mapping[str, Tensor]) -> Tensor:
    """Return the matrix that tensors of a sparse kernel describe, with its zeros."""
    diagonal = f"{name}.heights" in state
    parts = ("values", "targets", "sources", "heights", "widths") if diagonal else COMPRESSED
    tensors = _tensors(name, (*parts, "size"), state)
    rest = f"{name}.rest"
    has_rest = diagonal and any(f"{rest}.{part}" in state for part in COMPRESSED)
    found = _tensors(rest, COMPRESSED, state) if has_rest else None
    strays = None if found is None else (found[0], found[1], found[2])
    try:
        if diagonal:
            values, targets, sources, heights, widths, size = tensors
            return spread(values, targets, sources, heights, widths, size, strays)
        values, columns, row_offsets, size = tensors
        return expanded(values, columns, row_offsets, (int(size[0]), int(size[1])))
    except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise StateMismatch(f"The tensors of {name} do not describe a matrix ({reason}).") from error


def _tensors(name: str, parts: Sequence[str], state: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    for part in parts:
        if f"{name}.{part}" not in state:
            raise StateMismatch(f"The state lacks {name}.{part}, without which {name} is unknown.")
    return tuple(
        require_tensor(
            state[f"{name}.{part}"], f"'{name}.{part}' of a state", StateMismatch, with_values=True
        )
        for part in parts
    )
