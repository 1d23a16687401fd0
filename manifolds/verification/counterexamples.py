"""What a failed verification shows: the points, the numbers, and how to see them again."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from moduli.errors import ModuliError
from moduli.manifolds.manifold import Manifold


@dataclass(frozen=True)
class Counterexample:
    """Points that break a clause.

    Attributes
    ----------
    points : mapping of str to Tensor
        The points by name, each of shape ``point_shape``.
    numbers : mapping of str to float
        What was computed from them, by formula; d is the manifold's distance.
    reproduction : str
        Three lines of Python that print the numbers.
    """

    points: Mapping[str, Tensor]
    numbers: Mapping[str, float]
    reproduction: str

    def __str__(self) -> str:
        places = "\n".join(f"  {name} = {point.tolist()}" for name, point in self.points.items())
        values = "\n".join(f"  {formula} = {value:.9g}" for formula, value in self.numbers.items())
        return f"{places}\n{values}\nReproduce it with\n{self.reproduction}"


class MetricAxiomError(ModuliError, AssertionError):
    """A manifold breaks a clause of what a metric space must do.

    Attributes
    ----------
    clause : str
        The clause's name.
    counterexample : Counterexample or None
        The points that show it, where the clause is about points.
    """

    def __init__(self, clause: str, message: str, counterexample: Counterexample | None = None) -> None:
        self.clause, self.counterexample = clause, counterexample
        super().__init__(message if counterexample is None else f"{message}\n{counterexample}")


def constructor(manifold: Manifold) -> str:
    """Return the Python expression that makes a manifold; its ``repr`` where no import reaches it."""
    try:
        arguments = manifold.spec["kwargs"]
    except ModuliError:
        return repr(manifold)
    cls = type(manifold)
    if "<locals>" in cls.__qualname__:
        return repr(manifold)
    return f"make('{cls.__module__}:{cls.__qualname__}', **{arguments!r})"
