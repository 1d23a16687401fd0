"""The words of which the names of methods are made, each with what it means."""

import re
from collections.abc import Callable
from typing import get_args, get_type_hints

from torch import Tensor

from moduli.models import mask_families, one_way_mask, two_coloured_mask
from moduli.regularizers import Regularizer
from moduli.tasks.experiments.configuration.settings import PruningSettings

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
