"""Methods by name: how the recurrent weights of a network are penalised and pruned."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_type_hints

from moduli.errors import suggestion
from moduli.manifolds import Manifold, make
from moduli.manifolds.reading import UnreadableManifold, read_manifold
from moduli.regularizers import Inhibitor, Regularizer, Uniform, make_regularizer, registered_regularizers
from moduli.requirements import require
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.settings import PruningSettings

CHANGES: dict[str, str] = {
    word: name for name in ("scope", "schedule") for word in get_args(get_type_hints(PruningSettings)[name])
}
"""What may follow an @ in a method's name, and the setting that it replaces."""

DIAGONALS: dict[str, float] = {"free-diagonal": 0.0, "charged-diagonal": 1.0}
"""What may follow an @, and the coefficient of self-connections, as a share of the others' mean."""

CONTROLS: dict[str, Callable[[Regularizer, int], Regularizer]] = {
    "permuted-": Regularizer.permuted,
    "pair-permuted-": Regularizer.permuted_in_pairs,
}
"""What may stand before a geometric method, and how it loses the geometry."""

A_PRIORI = "a-priori"
"""What follows an @ where the masks are the places of the smallest coefficients, from the first step on."""


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
        The penalty's coefficients, or None for no penalty.
    manifold : Manifold or None
        Where the neurons are placed, if anywhere.
    a_priori : bool
        Whether the masks are those of the smallest coefficients, so that the network is never dense.
    changes : dict
        Pruning settings that differ from those of the comparison.
    """

    name: str
    sparse: bool = True
    regularizer: Regularizer | None = None
    manifold: Manifold | None = None
    a_priori: bool = False
    changes: dict[str, Any] = field(default_factory=dict)

    def pruning(self, settings: PruningSettings) -> PruningSettings:
        """Return the settings of a comparison with this method's own changes.

        Raises
        ------
        InvalidConfiguration
            If masks are known a priori, but other than recurrent matrices are pruned as well.
        """
        changed = dataclasses.replace(settings, **self.changes)
        if self.a_priori:
            require(
                changed.scope == "recurrent",
                "scope",
                f"'recurrent' for the method {self.name}",
                changed.scope,
            )
        return changed


def method(name: str, seed: int = 0, matched: bool = True) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    name : str
        ``"dense"``, ``"none"`` (pruned without penalty), ``"l1"`` (uniform coefficients),
        ``"MANIFOLD-INHIBITOR"`` such as ``"torus-diffusion"`` or ``"klein-dog"``, or
        ``"MANIFOLD:EXPRESSION"`` such as ``"torus(dim=6):0.5*dog + 0.1*uniform"``. ``"permuted-"``
        before a geometric one gives the control that keeps the coefficients and loses the geometry,
        ``"pair-permuted-"`` the one that keeps their symmetry, too.
        What is special to a method follows an @: a scope or a schedule of its own, as in
        ``"none@layer@linear"``; ``free-diagonal`` or ``charged-diagonal``, self-connections that cost
        nothing, or as much as others on average; ``a-priori``, masks of the smallest coefficients from
        the first step on, instead of penalty and schedule.
    seed : int
        Seed of the permutation.
    matched : bool
        Whether coefficients are scaled to mean 1, so that every method is penalised as strongly.

    Returns
    -------
    Method

    Raises
    ------
    UnknownMethod
        If the name is none of these.
    InvalidExpression
        If an expression is none.

    Examples
    --------
    >>> method("permuted-torus-diffusion", seed=3).regularizer
    Diffusion().permuted(seed=3).normalized()
    >>> method("torus(dim=6):dog + diffusion@layer", matched=False)
    Method(name='torus(dim=6):dog + diffusion@layer', sparse=True, ... changes={'scope': 'layer'})
    >>> method("l1@free-diagonal").regularizer
    Uniform().with_diagonal(share=0.0)
    """
    base, *words = name.split("@")
    said = _said(name, base, words)
    changes = {kind: word for kind, word in said.items() if word in CHANGES}
    if base in ("dense", "none"):
        return Method(name, sparse=base == "none", changes=changes)
    if base == "l1":
        manifold: Manifold = make("torus")
        regularizer: Regularizer = Uniform()
    else:
        control = next((prefix for prefix in CONTROLS if base.startswith(prefix)), "")
        manifold, regularizer = _geometry(name, base.removeprefix(control))
        if control:
            regularizer = CONTROLS[control](regularizer, seed)
        if matched:
            regularizer = regularizer.normalized()
    if "diagonal" in said:
        regularizer = regularizer.with_diagonal(DIAGONALS[said["diagonal"]])
    return Method(name, regularizer=regularizer, manifold=manifold, a_priori="masks" in said, changes=changes)


def explained_methods() -> dict[str, str]:
    """Return the forms of a method's name, and the words in it, each with what it means.

    Examples
    --------
    >>> explained_methods()["@a-priori"]
    'never dense: the weights of the smallest coefficients are the mask from the first step on'
    """
    return {
        "dense": "no penalty, and no pruning",
        "none": "pruned without a penalty",
        "l1": "equal coefficients",
        "MANIFOLD-INHIBITOR": "coefficients of distance, such as torus-diffusion or sphere(dim=3)-gaussian",
        "MANIFOLD:EXPRESSION": "any regularizer, such as torus:0.5*dog + 0.1*uniform",
        "permuted-": "the same coefficients, dealt out at random: the control without geometry",
        "pair-permuted-": "the same, but what connects two neurons to and fro stays together",
        "@layer": "each weight matrix is pruned alone",
        "@global": "all weight matrices are pruned together",
        "@recurrent": "recurrent matrices are pruned, each alone",
        "@erk": "all weight matrices are pruned, small ones less",
        "@cubic": "pruned fast, then slower",
        "@linear": "pruned at a constant pace",
        "@one-shot": "pruned all at once",
        "@free-diagonal": "self-connections cost nothing",
        "@charged-diagonal": "self-connections cost as much as others on average",
        "@a-priori": "never dense: the weights of the smallest coefficients are the mask from the first step "
        "on",
    }


def split_methods(text: str) -> list[str]:
    """Return the names in a text, between commas that are outside parentheses.

    Examples
    --------
    >>> split_methods("dense, torus(dim=6, period=5.0)-dog,none")
    ['dense', 'torus(dim=6, period=5.0)-dog', 'none']
    """
    names, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            names.append("")
        else:
            names[-1] += character
    return [name.strip() for name in names]


def _said(name: str, base: str, words: Sequence[str]) -> dict[str, str]:
    """Return the words after an @ by what they say: the scope, the schedule, the diagonal, or the masks."""
    kinds = CHANGES | dict.fromkeys(DIAGONALS, "diagonal") | {A_PRIORI: "masks"}
    said: dict[str, str] = {}
    for word in words:
        if word not in kinds:
            raise UnknownMethod(
                f"'{word}' in the method '{name}' is not a scope, a schedule or another word that follows "
                f"an @; {suggestion(word, kinds)}"
            )
        if word not in CHANGES and base in ("dense", "none"):
            raise UnknownMethod(
                f"'@{word}' in the method '{name}' needs coefficients, and '{base}' has none; "
                f"write l1@{word} for equal ones."
            )
        if kinds[word] in said:
            raise UnknownMethod(
                f"'{said[kinds[word]]}' and '{word}' in the method '{name}' both say its {kinds[word]}; "
                "leave one of them out."
            )
        said[kinds[word]] = word
    return said


def _geometry(name: str, base: str) -> tuple[Manifold, Regularizer]:
    if ":" in base:
        space, _, expression = base.partition(":")
        return _manifold(name, space), make_regularizer(expression)
    space, dash, word = base.rpartition("-")
    inhibitors = {name for name, cls in registered_regularizers().items() if issubclass(cls, Inhibitor)}
    if not dash:
        raise UnknownMethod(
            f"No method is called '{name}'; {suggestion(base, ('dense', 'none', 'l1'))} Others are written "
            "as MANIFOLD-INHIBITOR or MANIFOLD:EXPRESSION, with permuted- or pair-permuted- before one for "
            "its control."
        )
    if word not in inhibitors:
        raise UnknownMethod(
            f"'{word}' in the method '{name}' is not an inhibitor; {suggestion(word, inhibitors)}"
        )
    return _manifold(name, space), make_regularizer(word)


def _manifold(name: str, space: str) -> Manifold:
    """Make a manifold from ``word`` or ``word(argument=value)``; see `read_manifold`."""
    try:
        return read_manifold(space)
    except UnreadableManifold:
        raise UnknownMethod(
            f"'{space}' in the method '{name}' is not a manifold; write it as torus or torus(dim=6), "
            f"for a control after {' or '.join(CONTROLS)}."
        ) from None
