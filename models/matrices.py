"""Which tensors of a model are weight matrices, and which of them are recurrent."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from moduli.errors import InvalidParameter, suggestion
from moduli.models.errors import NothingToPrune, TiedWeights
from moduli.models.fast.kernel import Kernel

MOST_GATES = 4
"""An LSTM's; a matrix that is taller still is one factor of a product of low rank."""


@dataclass(frozen=True)
class WeightMatrix:
    """A weight matrix of a model.

    Parameters
    ----------
    name : str
        The parameter's name, as in ``model.named_parameters()``.
    shape : tuple of int
        Its shape, ``(outputs, inputs)``; the gates of an LSTM or GRU are stacked in the first.
    recurrent : bool
        Whether it leads from a hidden state to the next one.
    neurons : int or None
        Number of neurons that a recurrent weight connects to one another; None for any other, and
        for an LSTM with projections, whose hidden state has other units than its cells.
    gates : int
        Number of gates that the rows stack.
    """

    name: str
    shape: tuple[int, int]
    recurrent: bool = False
    neurons: int | None = None
    gates: int = 1


def weight_matrices(model: nn.Module) -> list[WeightMatrix]:
    """Return the weight matrices of a model's recurrent and linear modules, in the model's order.

    Biases are not weight matrices.

    Parameters
    ----------
    model : nn.Module
        Any module that holds ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, their cells, or ``nn.Linear``.

    Returns
    -------
    list of WeightMatrix

    Raises
    ------
    NothingToPrune
        If there is none.

    Examples
    --------
    >>> [matrix.name for matrix in weight_matrices(nn.Sequential(nn.Linear(3, 4), nn.RNN(4, 5)))]
    ['0.weight', '1.weight_ih_l0', '1.weight_hh_l0']
    """
    found = [
        replace(matrix, name=f"{path}.{matrix.name}" if path else matrix.name)
        for path, module in model.named_modules()
        for matrix in _matrices_of(module)
    ]
    if not found:
        kinds = sorted({type(module).__name__ for module in model.modules()})
        raise NothingToPrune(
            "The model holds no nn.RNN, nn.LSTM, nn.GRU, recurrent cell or nn.Linear, so that nothing can be "
            f"pruned; it consists of {', '.join(kinds)}. {_advice(model)}"
        )
    return found


def is_recurrent(name: str) -> bool:
    """Tell whether a weight of this name leads from a hidden state to the next one.

    PyTorch's modules call such weights ``weight_hh`` and ``weight_hh_l0``, whatever module holds them. Where
    the model is at hand, ``WeightMatrix.recurrent`` says the same of it; masks on disk have names alone.

    Parameters
    ----------
    name : str
        The parameter's name, as in ``model.named_parameters()``.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_recurrent("encoder.weight_hh_l0"), is_recurrent("encoder.weight_ih_l0")
    (True, False)
    """
    return name.rpartition(".")[2].startswith("weight_hh")


def named_matrices(
    model: nn.Module, patterns: Iterable[str] = (), recurrent: Iterable[str] = ()
) -> dict[str, WeightMatrix]:
    """Return the weight matrices of known modules, and those that patterns add to them, by name.

    Parameters
    ----------
    model : nn.Module
        The model.
    patterns : iterable of str
        Names or patterns of parameters of two axes, in modules of any kind.
    recurrent : iterable of str
        Names or patterns of those that lead from hidden units to themselves, in cells written by hand.

    Returns
    -------
    dict of str to WeightMatrix

    Raises
    ------
    NothingToPrune
        If there is none, or a pattern matches none.
    InvalidParameter
        If a weight that is called recurrent is neither square nor a stack of square gates, or leads from
        the inputs of a module of PyTorch.

    Examples
    --------
    >>> list(named_matrices(nn.Embedding(5, 2), ["w*"]))
    ['weight']
    >>> named_matrices(nn.Linear(4, 8), recurrent=["weight"])["weight"]
    WeightMatrix(name='weight', shape=(8, 4), recurrent=True, neurons=4, gates=2)
    """
    shapes = _shapes(model)
    found = {name: WeightMatrix(name, shapes[name]) for name in _matching(patterns, shapes)}
    called_recurrent = _matching(recurrent, shapes)
    try:
        found |= {matrix.name: matrix for matrix in weight_matrices(model)}
    except NothingToPrune:
        if not found and not called_recurrent:
            raise
    for name in called_recurrent:
        owner = model.get_submodule(name.rpartition(".")[0])
        if not isinstance(owner, nn.RNNBase | nn.RNNCellBase):
            found[name] = _stack_of_gates(name, shapes[name])
        elif not found[name].recurrent:
            raise InvalidParameter(
                f"{name} is not recurrent: it belongs to {type(owner).__name__}, whose recurrent weights are "
                "known without recurrent=."
            )
    return found


def check_recurrence(model: nn.Module, matrices: Mapping[str, WeightMatrix], what: str) -> None:
    """Raise unless some matrix is recurrent.

    Parameters
    ----------
    model : nn.Module
        The model.
    matrices : mapping from str to WeightMatrix
        Its matrices, by name.
    what : str
        What needs a recurrent weight, and for what.

    Raises
    ------
    NothingToPrune
        Naming the matrices that may be recurrent.
    """
    if not any(matrix.recurrent for matrix in matrices.values()):
        raise NothingToPrune(
            f"{what} recurrent weights, but the model has none, only {', '.join(matrices)}. {_advice(model)}"
        )


def named_in_full(matrices: Mapping[str, WeightMatrix], names: Iterable[str]) -> list[WeightMatrix]:
    """Return the matrices of some names, which are not patterns.

    Raises
    ------
    NothingToPrune
        If there is none, or a name is not of a matrix.
    """
    chosen = list(names)
    for name in chosen:
        if name not in matrices:
            raise NothingToPrune(f"No weight matrix is called '{name}'; {suggestion(name, matrices)}")
    if not chosen:
        raise NothingToPrune(f"No weight is named; name some of {', '.join(matrices)}.")
    return [matrices[name] for name in chosen]


def matrices_in_scope(matrices: Mapping[str, WeightMatrix], recurrent_only: bool) -> list[WeightMatrix]:
    """Return the matrices that are pruned: all, or the recurrent ones alone."""
    return [matrix for matrix in matrices.values() if matrix.recurrent or not recurrent_only]


def stacked(gate: Tensor, weight: Tensor) -> Tensor:
    """Return values of one gate repeated for every gate that a weight stacks."""
    return gate.repeat(len(weight) // len(gate), 1)


def names_of_parameters(model: nn.Module) -> dict[nn.Parameter, list[str]]:
    """Return all names of each parameter; a module that is used twice is one module, listed once."""
    names: dict[nn.Parameter, list[str]] = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(path, recurse=False, remove_duplicate=False):
            names.setdefault(parameter, []).append(name)
    return names


def check_untied(model: nn.Module, names: list[str]) -> None:
    """Raise if a weight that is to be pruned is used under another name as well.

    Raises
    ------
    TiedWeights
        Naming all its names.
    """
    owners = names_of_parameters(model)
    for name in names:
        shared = owners[model.get_parameter(name)]
        if len(shared) > 1:
            raise TiedWeights(
                f"{' and '.join(shared)} are one tensor; pruning it would prune both. Untie them by a copy, "
                "nn.Parameter(weight.detach().clone()), or leave them out by scope='recurrent' or by masks."
            )


def plain_weights(module: nn.Module) -> Iterator[str]:
    """Return the names that the weights of a known module have while nothing wraps them."""
    if isinstance(module, nn.RNNBase):
        yield from (name for name in module._flat_weights_names if name.startswith("weight"))
    elif isinstance(module, nn.RNNCellBase):
        yield from ("weight_ih", "weight_hh")
    elif isinstance(module, nn.Linear):
        yield "weight"


def _matrices_of(module: nn.Module) -> Iterator[WeightMatrix]:
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        names = set(plain_weights(module))
        for name, weight in module.named_parameters(recurse=False):
            if name in names:
                recurrent = is_recurrent(name)
                square = recurrent and weight.shape[1] == module.hidden_size
                yield WeightMatrix(
                    name,
                    (weight.shape[0], weight.shape[1]),
                    recurrent,
                    neurons=weight.shape[1] if square else None,
                    gates=1 if name.startswith("weight_hr") else weight.shape[0] // module.hidden_size,
                )
    elif isinstance(module, nn.Linear) and "weight" in module._parameters:
        yield WeightMatrix("weight", (module.out_features, module.in_features))


def _shapes(model: nn.Module) -> dict[str, tuple[int, int]]:
    """Return the shapes of all parameters of two axes; what is lazy has none yet."""
    return {
        name: (parameter.shape[0], parameter.shape[1])
        for name, parameter in model.named_parameters()
        if not is_lazy(parameter) and parameter.dim() == 2
    }


def _matching(patterns: Iterable[str], shapes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Return the names that patterns match, each of which matches one at least."""
    names: dict[str, None] = {}
    for pattern in patterns:
        matched = [name for name in shapes if fnmatchcase(name, pattern)]
        if not matched:
            raise NothingToPrune(f"No weight matrix is called '{pattern}'; {suggestion(pattern, shapes)}")
        names |= dict.fromkeys(matched)
    return list(names)


def _stack_of_gates(name: str, shape: tuple[int, int]) -> WeightMatrix:
    rows, columns = shape
    if not rows or not columns or rows % columns or rows // columns > MOST_GATES:
        raise InvalidParameter(
            f"{name} of shape {shape} cannot be recurrent: it must be square, or stack up to {MOST_GATES} "
            "square gates in its rows. Charge a weight between two populations by a pattern, "
            f"{{'{name}': …}}, with a pair of embeddings."
        )
    return WeightMatrix(name, shape, recurrent=True, neurons=columns, gates=rows // columns)


def _advice(model: nn.Module) -> str:
    """Return what a user may do whose recurrent weights are unknown."""
    if any(isinstance(module, Kernel) for module in model.modules()):
        return "Those of its modules that are sparse already stay so in training, without a sparsifier."
    square = [name for name, (rows, columns) in _shapes(model).items() if rows == columns]
    candidates = f"its square matrices are {', '.join(square)}" if square else "it has no square matrix"
    return f"Name the recurrent weights of a cell written by hand by recurrent=; {candidates}."
