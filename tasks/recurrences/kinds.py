"""The recurrences without a recurrent matrix, by name."""

from moduli.tasks.recurrences.lru import LRU
from moduli.tasks.recurrences.mingru import MinGRU

DIAGONAL: dict[str, type[MinGRU] | type[LRU]] = {"mingru": MinGRU, "lru": LRU}


def mixing_weights(cell: str, layers: int) -> tuple[str, ...]:
    """Return the names of the weights between layers, in a network that calls its layers ``recurrent``.

    They take the place of recurrent weights where there are none. Square, or stacks of two square matrices,
    they lead from the units of a layer to those of the next, which have the same places; see
    `moduli.tasks.task.Task`.

    Parameters
    ----------
    cell : str
        Name of the recurrence.
    layers : int
        Number of layers.

    Examples
    --------
    >>> mixing_weights("mingru", 3)
    ('recurrent.layers.1.weight', 'recurrent.layers.2.weight')
    >>> mixing_weights("lru", 1), mixing_weights("gru", 2)
    ((), ())
    """
    names = DIAGONAL[cell].mixing(layers) if cell in DIAGONAL else ()
    return tuple(f"recurrent.{name}" for name in names)
