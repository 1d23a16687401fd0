"""What dies as a whole: a single weight, or a square block of weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.models.arguments import require_instance
from moduli.models.matrices import WeightMatrix
from moduli.models.pruning.blocks import Blocks
from moduli.models.pruning.cuts import cut, cut_blocks
from moduli.models.pruning.regrowth import Regrowth
from moduli.requirements import require_dimension


class Unit(Protocol):
    """What is cut as a whole."""

    def cut(self, masks: Mapping[str, Tensor], scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Return masks in which so many more weights are dead, those of the lowest scores."""

    def check_targets(self, wanted: Mapping[tuple[str, ...], int]) -> None:
        """Raise `InvalidParameter` if a number of zeros is too small to cut anything."""


@dataclass(frozen=True)
class SingleWeights:
    """Every weight lives or dies by itself; see ``moduli.models.pruning.cuts.cut``."""

    def cut(self, masks: Mapping[str, Tensor], scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Return masks in which so many more weights are dead, those of the lowest scores."""
        return cut(masks, scores, count)

    def check_targets(self, wanted: Mapping[tuple[str, ...], int]) -> None:
        """Accept all targets: any number of single weights can be cut."""


@dataclass(frozen=True)
class WholeBlocks:
    """Square blocks live or die by the mean of their scores; see ``moduli.models.pruning.cuts.cut_blocks``.

    Parameters
    ----------
    blocks : mapping from str to Blocks
        How each matrix is divided.
    """

    blocks: Mapping[str, Blocks]

    def cut(self, masks: Mapping[str, Tensor], scores: Mapping[str, Tensor], count: int) -> dict[str, Tensor]:
        """Return masks in which at most so many more weights are dead, in blocks of the lowest mean."""
        return cut_blocks(masks, scores, self.blocks, count)

    def check_targets(self, wanted: Mapping[tuple[str, ...], int]) -> None:
        """Raise `InvalidParameter` if fewer weights are to be cut than a block holds."""
        for names, zeros in wanted.items():
            largest = max(int(self.blocks[name].sizes.max()) for name in names)
            if 0 < zeros < largest:
                raise InvalidParameter(
                    f"The granularity makes blocks of {largest} weights, but only {zeros} of "
                    f"{', '.join(names)} are to be cut; choose a smaller granularity or another scope."
                )


def unit_of(granularity: int, regrowth: Regrowth | None, matrices: list[WeightMatrix]) -> Unit:
    """Return single weights for a granularity of 1, and whole blocks otherwise.

    Raises
    ------
    InvalidParameter
        If the granularity is not a positive integer, or blocks are to regrow.
    """
    granularity = require_dimension("Sparsifier", granularity, "granularity")
    if regrowth is not None:
        require_instance("regrowth", regrowth, Regrowth, "a Regrowth, such as Regrowth(end=1000)")
    if granularity == 1:
        return SingleWeights()
    if regrowth is not None:
        raise InvalidParameter(
            f"regrowth exchanges single weights, but granularity={granularity} cuts blocks; "
            "leave one of them out."
        )
    return WholeBlocks({each.name: Blocks(each.shape, granularity, each.gates) for each in matrices})
