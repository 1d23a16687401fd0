"""States of sparse models, and of the dense models that they came from."""

from collections.abc import Mapping

from torch import Tensor

from moduli.models.fast.block_diagonal import spread
from moduli.models.fast.kernels import expanded


def dense_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state of the dense model that a sparse model's state came from.

    Parameters
    ----------
    state : mapping from str to Tensor
        ``state_dict()`` of what ``compress`` or ``train_survivors`` returned, or a file of it.

    Returns
    -------
    dict of str to Tensor
        What the dense model's ``load_state_dict`` takes.

    Examples
    --------
    >>> from torch import nn
    >>> from moduli.models import compress
    >>> model = nn.GRU(3, 8)
    >>> model.load_state_dict(dense_state(compress(model).state_dict()))
    <All keys matched successfully>
    """
    dense: dict[str, Tensor] = {}
    diagonal = {name.removesuffix(".heights") for name in state if name.endswith(".heights")}
    for name, tensor in state.items():
        base, _, part = name.rpartition(".")
        if base in diagonal:
            if part == "heights":
                dense[base] = _spread(base, state)
        elif base.removesuffix(".rest") in diagonal:
            continue
        elif f"{base}.row_offsets" in state:
            if part == "row_offsets":
                dense[base] = _expand(base, state)
        else:
            dense[base if part == "dense" else name] = tensor
    return dense


def _expand(name: str, state: Mapping[str, Tensor]) -> Tensor:
    values, columns, row_offsets, size = (
        state[f"{name}.{part}"] for part in ("values", "columns", "row_offsets", "size")
    )
    return expanded(values, columns, row_offsets, (int(size[0]), int(size[1])))


def _spread(name: str, state: Mapping[str, Tensor]) -> Tensor:
    parts = ("values", "targets", "sources", "heights", "widths", "size")
    values, targets, sources, heights, widths, size = (state[f"{name}.{part}"] for part in parts)
    strays = None
    if f"{name}.rest.values" in state:
        rest = f"{name}.rest"
        strays = state[f"{rest}.values"], state[f"{rest}.columns"], state[f"{rest}.row_offsets"]
    return spread(values, targets, sources, heights, widths, size, strays)
