"""Methods by name: how the recurrent weights of a network are penalised and pruned."""

import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args, get_type_hints

from torch import Tensor

from moduli.errors import suggestion
from moduli.manifolds import Manifold
from moduli.manifolds import make as make_manifold
from moduli.manifolds.reading import UnreadableManifold, read_manifold
from moduli.models import geometric_mask, mask_families, one_way_mask, two_coloured_mask
from moduli.models.arguments import is_number
from moduli.models.masks.reading import read_mask_family
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.reading import UnreadableCall, read_call
from moduli.regularizers import Inhibitor, Regularizer, Uniform, make_regularizer, registered_regularizers
from moduli.regularizers.registry import REGULARIZERS
from moduli.requirements import require
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.beforehand import Family, MaskRule, Rewired, SmallestCoefficients, Tiles
from moduli.tasks.experiments.settings import Configuration, PruningSettings

CHANGES: dict[str, str] = {
    word: name for name in ("scope", "schedule") for word in get_args(get_type_hints(PruningSettings)[name])
}
"""What may follow an @ in a method's name, and the setting that it replaces."""

NARROW = "narrow"
"""The dense network with fewer units and as many recurrent weights as the sparse ones."""

PLAIN = ("dense", NARROW, "none", "l1")
"""Methods that have nothing but a name."""

DIAGONALS: dict[str, float] = {"free-diagonal": 0.0, "charged-diagonal": 1.0}
"""What may follow an @, and the coefficient of self-connections, as a share of the others' mean."""

CONTROLS: dict[str, Callable[[Regularizer, int], Regularizer]] = {
    "permuted-": Regularizer.permuted,
    "pair-permuted-": Regularizer.permuted_in_pairs,
}
"""What may stand before a geometric method, and how it loses the geometry."""

REWIRED = "rewired-"
"""What may stand before a geometric method whose masks are known beforehand, and moves their connections."""

LACKING: dict[str, Callable[..., Tensor]] = {
    "two-coloured-": two_coloured_mask,
    "one-way-": one_way_mask,
}
"""What may stand there, too, and which of the nearest pairs such a mask leaves out."""

TILES = "tiles"
"""What stands in an inhibitor's place where the masks are the tiles of the manifold."""

TILED = re.compile(rf"(?P<space>[^:]+)-(?P<tiles>{TILES}(\(.*\))?)")
"""A method's name where they are, such as ``torus-tiles`` or ``torus-tiles(bridges=0.1)``."""

A_PRIORI = "a-priori"
"""What follows an @ where masks are known beforehand, and the network is never dense."""


SURVIVORS = "survivors"
"""What follows an @ where such a network is trained by its surviving weights alone."""


@dataclass(frozen=True)
class Method:
    """How one row of a comparison is made.

    Parameters
    ----------
    name : str
        The name that it was asked for by.
    sparse : bool
        Whether the network is pruned at all.
    narrow : bool
        Whether it has fewer units instead, and as many recurrent weights as a pruned one.
    regularizer : Regularizer or None
        The penalty's coefficients, or None for no penalty.
    manifold : Manifold or None
        Where the neurons are placed, if anywhere.
    masks : MaskRule or None
        How the masks are made beforehand, if they are; the network is never dense then.
    changes : dict
        Pruning settings that differ from those of the comparison.
    by_survivors : bool
        Whether dead weights are left out of training, instead of kept at zero; see
        `moduli.models.train_survivors`.
    """

    name: str
    sparse: bool = True
    narrow: bool = False
    regularizer: Regularizer | None = None
    manifold: Manifold | None = None
    masks: MaskRule | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    by_survivors: bool = False

    @property
    def a_priori(self) -> bool:
        """Whether the masks are known beforehand."""
        return self.masks is not None

    @property
    def has_sparsity(self) -> bool:
        """Whether its networks are others at another sparsity."""
        return self.sparse or self.narrow

    def configuration(self, configuration: Configuration) -> Configuration:
        """Return the settings of a comparison with this method's own size of the network.

        Raises
        ------
        InvalidConfiguration
            If a network shall be narrow whose task has no setting ``units``.
        """
        if not self.narrow:
            return configuration
        task = configuration.task
        units = getattr(task, "units", None)
        expected = f"a setting of the task for the method {NARROW}, which makes fewer of them"
        require(isinstance(units, int), "units", expected, units)
        fewer = max(1, round(task.units * math.sqrt(1 - configuration.pruning.sparsity)))
        return dataclasses.replace(configuration, task=dataclasses.replace(task, units=fewer))

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
    if _is_family(base):
        masks = Family(base, read_mask_family(base))
        return Method(name, masks=masks, changes=changes, by_survivors=by_survivors)
    regularizer: Regularizer | None
    if base == "l1":
        manifold, regularizer = make_manifold("torus"), Uniform()
    else:
        manifold, regularizer = _geometry(name, base.removeprefix(prefix))
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
            masks = Tiles(manifold, _bridges(name, base))
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


def explained_methods() -> dict[str, str]:
    """Return the forms of a method's name, and the words in it, each with what it means.

    Examples
    --------
    >>> explained_methods()["@a-priori"]
    'never dense: the weights of the smallest coefficients are the mask from the first step on'
    """
    return {
        "dense": "no penalty, and no pruning",
        NARROW: "dense, with fewer units and as many recurrent weights as a sparse network has",
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
        f"@{A_PRIORI}@{SURVIVORS}": "the same network, trained by its surviving weights alone: equal but for "
        "rounding, and faster where these are few, or dense blocks",
        "MANIFOLD-tiles@a-priori": "never dense: the neurons of one tile of the manifold are connected; "
        "tiles(bridges=0.1) spends a tenth of the weights between tiles",
        "rewired-": "before a geometric method @a-priori: its connections at random places, at equal degrees",
        "two-coloured-": "before one: pairs of two colours only, which leaves out all triangles",
        "one-way-": "before one: each pair in one direction only, and twice as many pairs",
        **{
            f"{name}@{A_PRIORI}": f"never dense: {line.removeprefix('Return ').rstrip('.')}"
            for name, line in mask_families().items()
        },
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
    kinds = CHANGES | dict.fromkeys(DIAGONALS, "diagonal") | {A_PRIORI: "masks", SURVIVORS: "training"}
    masks_alone = _is_family(base) or TILED.fullmatch(base) is not None
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
    if prefix and (rest in PLAIN or _is_family(rest)):
        example = f"{prefix}torus-diffusion" + ("" if prefix in CONTROLS else f"@{A_PRIORI}")
        raise UnknownMethod(
            f"No method is called '{name}': '{prefix}' stands before a geometric method, such as {example}, "
            f"and '{rest}' is not one."
        )


def _is_family(base: str) -> bool:
    """Tell whether a method's name is a family of masks, with or without arguments."""
    if base in PLAIN:
        return False
    try:
        word = read_call(base)[0]
    except UnreadableCall:
        return False
    if word in MASK_FAMILIES.registered():
        return True
    *_, last = word.rpartition("-")
    return last != TILES and last not in registered_regularizers() and word in MASK_FAMILIES.names()


def _is_inhibitor(word: str) -> bool:
    """Tell whether a word is an inhibitor's; a plugin is imported where it is named."""
    if word not in registered_regularizers() and word not in REGULARIZERS.names():
        return False
    return issubclass(REGULARIZERS.get(word), Inhibitor)


def _geometry(name: str, base: str) -> tuple[Manifold, Regularizer | None]:
    """Return the manifold and the regularizer of a geometric method; tiles have no regularizer."""
    if ":" in base:
        space, _, expression = base.partition(":")
        return _manifold(name, space), make_regularizer(expression)
    tiled = TILED.fullmatch(base)
    if tiled:
        return _manifold(name, tiled["space"]), None
    space, dash, word = base.rpartition("-")
    if dash and _is_inhibitor(word):
        return _manifold(name, space), make_regularizer(word)
    families, plain = mask_families(), base.partition("(")[0]
    if dash and not get_close_matches(plain, families):
        inhibitors = {word for word, cls in registered_regularizers().items() if issubclass(cls, Inhibitor)}
        raise UnknownMethod(
            f"'{word}' in the method '{name}' is not an inhibitor; {suggestion(word, {*inhibitors, TILES})}"
        )
    raise UnknownMethod(
        f"No method is called '{name}'; {suggestion(plain, (*PLAIN, *families))} Others are "
        "written as MANIFOLD-INHIBITOR or MANIFOLD:EXPRESSION, with permuted- or pair-permuted- before one "
        f"for its control; families of masks as FAMILY@{A_PRIORI}."
    )


def _bridges(name: str, base: str) -> float:
    """Return the share of the weights that connect different tiles, from the name of a method of tiles."""
    tiled = TILED.fullmatch(base)
    assert tiled is not None
    try:
        arguments = read_call(tiled["tiles"])[1]
    except UnreadableCall:
        raise UnknownMethod(
            f"'{tiled['tiles']}' in the method '{name}' cannot be read; write {TILES}(bridges=0.1)."
        ) from None
    for given in arguments:
        if given != "bridges":
            raise UnknownMethod(
                f"'{given}' in the method '{name}' is not a parameter of {TILES}; "
                f"{suggestion(given, ['bridges'])}"
            )
    bridges = arguments.get("bridges", 0.0)
    if not is_number(bridges) or not 0 <= bridges < 1:
        raise UnknownMethod(f"bridges in the method '{name}' is a share of the weights, in [0, 1).")
    return float(bridges)


def _manifold(name: str, space: str) -> Manifold:
    """Make a manifold from ``word`` or ``word(argument=value)``; see `read_manifold`."""
    try:
        return read_manifold(space)
    except UnreadableManifold:
        raise UnknownMethod(
            f"'{space}' in the method '{name}' is not a manifold; write it as torus or torus(dim=6), "
            f"for a control after {' or '.join((*CONTROLS, REWIRED, *LACKING))}."
        ) from None
