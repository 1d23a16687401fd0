"""How many zeros each weight matrix is to hold in the end."""

from collections.abc import Mapping
from typing import Literal

Scope = Literal["layer", "global", "recurrent", "erk"]


def zeros_wanted(
    shapes: Mapping[str, tuple[int, int]], sparsity: float, scope: Scope
) -> dict[tuple[str, ...], int]:
    """Return the number of zeros wanted in each group of matrices that are pruned together.

    Parameters
    ----------
    shapes : mapping from str to (int, int)
        Shapes of the pruned matrices.
    sparsity : float
        Fraction of zeros, in [0, 1).
    scope : str
        ``"layer"`` and ``"recurrent"``: the fraction of each matrix; ``"global"``: of all together;
        ``"erk"``: of all together, shared out with densities proportional to
        ``(outputs + inputs) / (outputs · inputs)``, which spares small matrices (Mocanu et al., 2018;
        Evci et al., "Rigging the lottery", arXiv 1911.11134, section 3).

    Returns
    -------
    dict
        From the names of a group to its number of zeros; the total is exact to within half a weight
        for each group.

    Examples
    --------
    >>> shapes = {"in": (10, 2), "hidden": (10, 10)}
    >>> zeros_wanted(shapes, 0.5, "layer")
    {('in',): 10, ('hidden',): 50}
    >>> zeros_wanted(shapes, 0.5, "erk")
    {('in',): 0, ('hidden',): 60}
    """
    sizes = {name: rows * columns for name, (rows, columns) in shapes.items()}
    if scope == "global":
        return {tuple(sizes): round(sparsity * sum(sizes.values()))}
    if scope == "erk":
        alive = _share_out({name: sum(shape) for name, shape in shapes.items()}, sizes, sparsity)
        return {(name,): size - alive[name] for name, size in sizes.items()}
    return {(name,): round(sparsity * size) for name, size in sizes.items()}


def _share_out(weights: dict[str, int], sizes: dict[str, int], sparsity: float) -> dict[str, int]:
    """Share a budget of living weights out in proportion, but to no matrix more than it holds."""
    budget = sum(sizes.values()) - round(sparsity * sum(sizes.values()))
    full: set[str] = set()
    while True:
        rest = budget - sum(sizes[name] for name in full)
        total = sum(weight for name, weight in weights.items() if name not in full)
        shares = {name: rest * weight / total for name, weight in weights.items() if name not in full}
        overfull = {name for name, share in shares.items() if share > sizes[name]}
        if not overfull:
            break
        full |= overfull
    alive = {name: sizes[name] if name in full else int(shares[name]) for name in sizes}
    # Largest remainders make the total exact.
    by_remainder = sorted(shares, key=lambda name: shares[name] - alive[name], reverse=True)
    for name in by_remainder[: budget - sum(alive.values())]:
        alive[name] += 1
    return alive
