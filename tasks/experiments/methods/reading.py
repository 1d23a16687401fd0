"""Methods by name."""

from collections.abc import Sequence

from moduli.errors import suggestion
from moduli.manifolds import make as make_manifold
from moduli.models import geometric_mask
from moduli.models.masks.reading import read_mask_family
from moduli.regularizers import Regularizer, Uniform
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.methods.beforehand import Family, MaskRule, Rewired, SmallestCoefficients, Tiles
from moduli.tasks.experiments.methods.geometry import is_family, read_bridges, read_geometry
from moduli.tasks.experiments.methods.method import Method
from moduli.tasks.experiments.methods.words import (
    A_PRIORI,
    CHANGES,
    CONTROLS,
    DIAGONALS,
    LACKING,
    NARROW,
    PLAIN,
    REWIRED,
    SURVIVORS,
    TILED,
)


def method(name: str, seed: int = 0, matched: bool = True) -> Method:
    """Return the method of a name.

    Parameters
    ----------
    name : str
        ``"dense"``, ``"narrow"`` (dense, with fewer units and as many recurrent weights as a sparse network
        has), ``"none"`` (pruned without penalty), ``"l1"`` (uniform coefficients),
        ``"MANIFOLD-INHIBITOR"`` such as ``"torus-diffusion"`` or ``"klein-dog"``, or
        ``"MANIFOLD:EXPRESSION"`` such as ``"torus(dim=6):0.5*dog + 0.1*uniform"``. ``"permuted-"``
        before a geometric one gives the control that keeps the coefficients and loses the geometry,
        ``"pair-permuted-"`` the one that keeps their symmetry, too.
        What is special to a method follows an @: a scope or a schedule of its own, as in
        ``"none@layer@linear"``; ``free-diagonal`` or ``charged-diagonal``, self-connections that cost
        nothing, or as much as others on average; ``a-priori``, masks from the first step on, instead of
        penalty and schedule: those of the smallest coefficients. ``"torus-tiles@a-priori"`` has the
        tiles of the manifold, ``"torus-tiles(bridges=0.1)@a-priori"`` bridges between them;
        ``"rewired-"`` before any of these moves connections at equal degrees;
        ``"regular@a-priori"``, ``"small-world(rewiring=0.2)@a-priori"`` and so on are families of
        masks, as `moduli.models.mask_families` names them. After ``a-priori``, ``survivors`` trains the
        surviving weights alone, which is equal but for rounding.
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
    Method(name='torus(dim=6):dog + diffusion@layer', ... changes={'scope': 'layer'}, by_survivors=False)
    >>> method("l1@free-diagonal").regularizer
    Uniform().with_diagonal(share=0.0)
    >>> method("rewired-torus-tiles@a-priori").masks
    Rewired(rule=Tiles(manifold=Torus(dim=2, period=10.0), bridges=0.0))
    """
    base, *words = name.split("@")
    prefix = next((prefix for prefix in (*CONTROLS, REWIRED, *LACKING) if base.startswith(prefix)), "")
    _check_prefix(name, prefix, base.removeprefix(prefix))
    said = _said(name, base, words)
    changes = {kind: word for kind, word in said.items() if word in CHANGES}
    by_survivors = SURVIVORS in words
    if base in ("dense", NARROW, "none"):
        return Method(name, sparse=base == "none", narrow=base == NARROW, changes=changes)
    masks: MaskRule | None = None
    if is_family(base):
        masks = Family(base, read_mask_family(base))
        return Method(name, masks=masks, changes=changes, by_survivors=by_survivors)
    regularizer: Regularizer | None
    if base == "l1":
        manifold, regularizer = make_manifold("torus"), Uniform()
    else:
        manifold, regularizer = read_geometry(name, base.removeprefix(prefix))
    if regularizer is not None:
        regularizer = CONTROLS[prefix](regularizer, seed) if prefix in CONTROLS else regularizer
        regularizer = regularizer.normalized() if matched and base != "l1" else regularizer
        if "diagonal" in said:
            regularizer = regularizer.with_diagonal(DIAGONALS[said["diagonal"]])
    elif prefix in CONTROLS or prefix in LACKING:
        raise UnknownMethod(
            f"The method '{name}' has no coefficients that '{prefix}' could change; write "
            f"{REWIRED}{name.removeprefix(prefix)} for tiles whose connections are elsewhere."
        )
    if "masks" in said:
        if regularizer is None:
            masks = Tiles(manifold, read_bridges(name, base))
        else:
            masks = SmallestCoefficients(regularizer, manifold, LACKING.get(prefix, geometric_mask))
        masks = Rewired(masks) if prefix == REWIRED else masks
    return Method(
        name,
        regularizer=regularizer,
        manifold=manifold,
        masks=masks,
        changes=changes,
        by_survivors=by_survivors,
    )


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
    kinds = CHANGES | dict.fromkeys(DIAGONALS, "diagonal") | {A_PRIORI: "masks", SURVIVORS: "training"}
    masks_alone = is_family(base) or TILED.fullmatch(base) is not None
    said: dict[str, str] = {}
    for word in words:
        if word not in kinds:
            raise UnknownMethod(
                f"'{word}' in the method '{name}' is not a scope, a schedule or another word that follows "
                f"an @; {suggestion(word, kinds)}"
            )
        if word == SURVIVORS and A_PRIORI not in words:
            raise UnknownMethod(
                f"Which weights survive must be known before training for @{SURVIVORS} in the method "
                f"'{name}'; write a method that ends in @{A_PRIORI}@{SURVIVORS}."
            )
        priced = word in DIAGONALS and masks_alone
        if priced or (word not in CHANGES and base in ("dense", NARROW, "none")):
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
    if "masks" not in said and (masks_alone or base.startswith((REWIRED, *LACKING))):
        raise UnknownMethod(
            f"The masks of the method '{name}' are known beforehand, which its name says: "
            f"write {name}@{A_PRIORI}."
        )
    return said


def _check_prefix(name: str, prefix: str, rest: str) -> None:
    """Raise if what stands behind a prefix has no geometry that the prefix could take away."""
    if prefix and (rest in PLAIN or is_family(rest)):
        example = f"{prefix}torus-diffusion" + ("" if prefix in CONTROLS else f"@{A_PRIORI}")
        raise UnknownMethod(
            f"No method is called '{name}': '{prefix}' stands before a geometric method, such as {example}, "
            f"and '{rest}' is not one."
        )
