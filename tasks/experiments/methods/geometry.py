"""What stands in front in the name of a method: a family of masks, or a manifold and an inhibitor."""

from difflib import get_close_matches

from moduli.errors import suggestion
from moduli.manifolds import Manifold, UnknownManifold
from moduli.manifolds.reading import UnreadableManifold, read_manifold
from moduli.models import mask_families
from moduli.models.masks.registry import MASK_FAMILIES
from moduli.reading import UnreadableCall, read_call
from moduli.regularizers import Inhibitor, Regularizer, make_regularizer, registered_regularizers
from moduli.regularizers.registry import REGULARIZERS
from moduli.requirements import is_number
from moduli.showing import shown
from moduli.tasks.errors import UnknownMethod
from moduli.tasks.experiments.methods.words import A_PRIORI, CONTROLS, LACKING, PLAIN, REWIRED, TILED, TILES


def is_family(base: str) -> bool:
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


def read_geometry(name: str, base: str) -> tuple[Manifold, Regularizer | None]:
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


def read_bridges(name: str, base: str) -> float:
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
        raise UnknownMethod(
            f"bridges in the method '{name}' is a share of the weights, in [0, 1); got {shown(bridges)}."
        )
    return float(bridges)


def _is_inhibitor(word: str) -> bool:
    """Tell whether a word is an inhibitor's; a plugin is imported where it is named."""
    if word not in registered_regularizers() and word not in REGULARIZERS.names():
        return False
    return issubclass(REGULARIZERS.get(word), Inhibitor)


def _manifold(name: str, space: str) -> Manifold:
    """Make a manifold from ``word`` or ``word(argument=value)``; see `read_manifold`."""
    try:
        return read_manifold(space)
    except (UnreadableManifold, UnknownManifold) as error:
        if isinstance(error, UnknownManifold) and "-" not in space:
            raise
        raise UnknownMethod(
            f"'{space}' in the method '{name}' is not a manifold; write it as torus or torus(dim=6), "
            f"for a control after {' or '.join((*CONTROLS, REWIRED, *LACKING))}."
        ) from None
