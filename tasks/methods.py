"""Methods by name: how the recurrent weights of a network are penalised."""

from dataclasses import dataclass

from moduli.manifolds import Manifold, available, make, suggestion
from moduli.regularizers import DifferenceOfGaussians, Diffusion, Inhibitor, Regularizer, Uniform
from moduli.tasks.errors import UnknownMethod

INHIBITORS: dict[str, Inhibitor] = {"diffusion": Diffusion(), "dog": DifferenceOfGaussians()}


@dataclass(frozen=True)
class Method:
    """How one row of a comparison is made.

    Parameters
    ----------
    name : str
        The name that it was asked for by.
    sparse : bool
        Whether the network is pruned at all.
    regularizer : Regularizer or None
        Coefficients of mean 1, or None for no penalty.
    manifold : Manifold or None
        Where the neurons are placed, if anywhere.
    """

    name: str
    sparse: bool = True
    regularizer: Regularizer | None = None
    manifold: Manifold | None = None


def method(name: str, seed: int = 0) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    name : str
        ``"dense"``, ``"none"`` (pruned without penalty), ``"l1"`` (uniform coefficients), or
        ``"MANIFOLD-INHIBITOR"`` such as ``"torus-diffusion"`` or ``"klein-dog"``, with
        ``"permuted-"`` before it for the control that keeps the coefficients and loses the geometry.
    seed : int
        Seed of the permutation.

    Returns
    -------
    Method

    Raises
    ------
    UnknownMethod
        If the name is none of these.

    Examples
    --------
    >>> method("permuted-torus-diffusion", seed=3).regularizer
    Diffusion().permuted(seed=3).normalized()
    """
    if name == "dense":
        return Method(name, sparse=False)
    if name == "none":
        return Method(name)
    if name == "l1":
        return Method(name, regularizer=Uniform(), manifold=make("torus"))
    space, _, inhibitor = name.removeprefix("permuted-").rpartition("-")
    if space not in available() or inhibitor not in INHIBITORS:
        options = {"dense", "none", "l1"} | {f"{m}-{i}" for m in available() for i in INHIBITORS}
        raise UnknownMethod(
            f"No method is called '{name}'; {suggestion(name, options)} "
            "Put permuted- before a geometric one for its control."
        )
    regularizer: Regularizer = INHIBITORS[inhibitor]
    if name.startswith("permuted-"):
        regularizer = regularizer.permuted(seed)
    return Method(name, regularizer=regularizer.normalized(), manifold=make(space))
