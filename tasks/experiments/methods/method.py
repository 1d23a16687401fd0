"""What a method is: how one row of a comparison is made."""

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from moduli.manifolds import Manifold
from moduli.regularizers import Regularizer
from moduli.requirements import require
from moduli.tasks.experiments.configuration.settings import Configuration, PruningSettings
from moduli.tasks.experiments.methods.beforehand import MaskRule
from moduli.tasks.experiments.methods.words import NARROW


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

    @property
    def penalised(self) -> bool:
        """Whether its networks are trained with a penalty, whose strength matters."""
        return self.regularizer is not None and not self.a_priori

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
