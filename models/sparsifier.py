"""The sparsifier: penalty, pruning schedule and masks of one model, put together from their parts."""

import warnings
from collections.abc import Mapping, Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter
from moduli.manifolds import Manifold
from moduli.models.arguments import (
    as_manifold,
    as_masks,
    as_model,
    as_patterns,
    as_sparsity,
)
from moduli.models.copies import copied
from moduli.models.description import describe, disagreements, summary
from moduli.models.errors import EarlyTicket
from moduli.models.matrices import (
    check_recurrence,
    check_untied,
    matrices_in_scope,
    named_in_full,
    named_matrices,
)
from moduli.models.placement.charges import as_regularizers, placed
from moduli.models.placement.terms import Placement
from moduli.models.pruning.attachment import Attachable, Attachment
from moduli.models.pruning.living import LivingWeights
from moduli.models.pruning.masks import Masks, all_alive
from moduli.models.pruning.pruners import GradualPruner, NoPruner, Pruner
from moduli.models.pruning.regrowth import Regrowth
from moduli.models.pruning.schedules import OneShotSchedule, Schedule, as_schedule
from moduli.models.pruning.scores import Score, check_score, scored
from moduli.models.pruning.steps import cut, regrow
from moduli.models.pruning.targets import Scope, zeros_wanted
from moduli.models.pruning.tickets import correct_fan_in as correct
from moduli.models.pruning.tickets import redraw_weights
from moduli.models.pruning.units import unit_of
from moduli.models.refusals import check_named, check_prunable, warn_of_the_rest
from moduli.models.state import check_state, pack, part
from moduli.models.storage import Storable
from moduli.models.table import Table, Tabular
from moduli.regularizers import Regularizer
from moduli.requirements import require_choice, require_non_negative, require_seed

LATE_ENOUGH = 0.95
"""A ticket with less than this part of the zeros that are wanted was drawn before its time."""


class Sparsifier(Tabular, Attachable, Storable):
    """Penalise, prune and keep pruned the weights of one model.

    Recurrent weights get geometric coefficients: each hidden layer's neurons are placed on the
    manifold, and ``penalty()`` charges every recurrent weight by the distance that it bridges.
    ``step()``, called after the optimizer's, cuts the smallest weights as the schedule demands
    and sets every weight ever cut to exactly zero; gradients of cut weights are zero as well, so
    that clipping by norm sees only what is alive.

    Parameters
    ----------
    model : nn.Module
        A model that holds ``nn.RNN``, ``nn.LSTM``, ``nn.GRU``, their cells, or ``nn.Linear``.
    regularizer : Regularizer, str, or mapping from str to either or None, optional
        Coefficients of the recurrent weights, or an expression for them such as ``"dog"``; or, by patterns
        of parameter names such as ``"*.weight_hh_l*"``, coefficients of any weight matrices. A matrix of a
        module of your own is pruned if a pattern matches it; None prunes without penalty. Without any,
        there is no penalty.
    manifold : Manifold or str, optional
        Where the neurons are placed, or its name such as ``"torus"``; needed with a regularizer.
    sparsity : float
        Fraction of zeros to reach, in [0, 1); 0.9 by default.
    schedule : callable or "one-shot", optional
        From the number of steps taken to the fraction of ``sparsity`` that is due; by default
        everything is cut at the first step.
    strength : float
        Factor of the penalty.
    scope : {"layer", "global", "recurrent", "erk"}
        ``"layer"`` prunes each weight matrix to the target, ``"global"`` all matrices together,
        so that their shares differ, ``"recurrent"`` each recurrent matrix alone, and ``"erk"`` all
        together with shares that spare small matrices (arXiv 1911.11134).
    embedding : Tensor, Embedding, pair of either, or mapping from str to these, optional
        Points of the neurons, ``(n, *point_shape)``, for every recurrent weight; or by parameter name,
        where a weight between two populations takes a pair ``(targets, sources)``. Drawn at random
        when absent, and with a granularity ordered along the manifold. Coefficients follow an
        `Embedding` that is learned.
    seed : int
        Seed of the random embedding, and of random regrowth.
    score : {"magnitude", "magnitude/coefficient"} or callable
        What is cut first: small weights, or weights that are small for their coefficient, or those of
        small ``score(weight, coefficients)``; coefficients are None where there are none.
    granularity : int
        Height and width of the square blocks of weights that are kept or cut as a whole, by the mean
        of their scores; the target is reached to within one block. `order_along` numbers given neurons
        so that blocks connect neighbours; a power of two suits it.
    regrowth : Regrowth, optional
        Lets dead weights come back in the place of weak ones; without it masks only grow sparser.
    masks : mapping from str to Tensor, optional
        Masks known beforehand, by parameter name, such as `geometric_mask` makes them: the weights are
        cut at once, and nothing else ever is. They take the place of ``sparsity`` and ``schedule``.
    recurrent : str or sequence of str
        Names or patterns of recurrent weights in cells written by hand, such as ``"h2h.weight"``: square
        matrices, or stacks of up to four square gates, ``(gates · n, n)``. They are then what
        ``weight_hh_l0`` is in ``nn.RNN``, for every option.

    Attributes
    ----------
    target : float
        The fraction of zeros to reach, or that of given masks.
    pruner : Pruner
        Decides how many weights die at each step, and which.
    identity : dict of str to str
        What a stored state is recognised by: manifold, regularizers, scope and so on.

    Raises
    ------
    NothingToPrune
        If the model holds nothing that the scope covers, or a name or pattern matches nothing.
    TiedWeights
        If a weight to be pruned is shared by several modules.
    CannotPrune
        If a weight to be pruned is computed, lazy, quantized or sharded.
    ShapeMismatch
        If a given mask has another shape than its weight.
    InvalidSparsity, InvalidSchedule, InvalidEmbedding, InvalidParameter
        If an argument is of another kind or outside its domain, or contradicts another one.

    Examples
    --------
    >>> from moduli.manifolds import Torus
    >>> from moduli.regularizers import Diffusion
    >>> model = nn.RNN(3, 64)
    >>> sparsifier = Sparsifier(model, Diffusion(), Torus(2), sparsity=0.9, strength=0.1)
    >>> optimizer = torch.optim.Adam(model.parameters())
    >>> loss = model(torch.randn(5, 2, 3))[0].square().mean() + sparsifier.penalty()
    >>> loss.backward(); optimizer.step(); sparsifier.step()
    >>> {name: round(value, 2) for name, value in sparsifier.sparsity().items()}
    {'weight_ih_l0': 0.9, 'weight_hh_l0': 0.9, 'total': 0.9}
    """

    def __init__(
        self,
        model: nn.Module,
        regularizer: Regularizer | str | Mapping[str, Regularizer | str | None] | None = None,
        manifold: Manifold | str | None = None,
        *,
        sparsity: float | None = None,
        schedule: Schedule | str | None = None,
        strength: float = 1.0,
        scope: Scope = "layer",
        embedding: Placement | Mapping[str, Placement] | None = None,
        seed: int = 0,
        score: Score = "magnitude",
        granularity: int = 1,
        regrowth: Regrowth | None = None,
        masks: Mapping[str, Tensor] | None = None,
        recurrent: str | Sequence[str] = (),
    ) -> None:
        self.model = as_model(model)
        self.regularizer = as_regularizers(regularizer)
        self.manifold = None if manifold is None else as_manifold(manifold)
        self.strength = require_non_negative("strength", strength)
        require_choice("scope", scope, get_args(Scope))
        check_score(score)
        self.scope, self.score, self.regrowth = scope, score, regrowth
        self.steps_taken = 0
        given = {} if masks is None else as_masks(masks)

        check_named(model, given)
        if masks is None:
            check_prunable(model, recurrent_only=scope == "recurrent")
        patterns = [*(self.regularizer if isinstance(self.regularizer, Mapping) else ()), *given]
        matrices = named_matrices(model, patterns, as_patterns("recurrent", recurrent))
        if scope == "recurrent" and masks is None:
            check_recurrence(model, matrices, "scope='recurrent' prunes")
        if isinstance(self.regularizer, Regularizer) and self.manifold is not None:
            check_recurrence(model, matrices, f"{self.regularizer!r} penalises")
        self._seed = require_seed(seed)
        generator = torch.Generator().manual_seed(self._seed)
        ordered = granularity != 1
        self._charges = placed(matrices, self.regularizer, self.manifold, embedding, generator, ordered)
        if masks is None:
            self._pruned = matrices_in_scope(matrices, recurrent_only=scope == "recurrent")
        else:
            self._pruned = named_in_full(matrices, given)
        names = [matrix.name for matrix in self._pruned]
        check_named(model, names)
        check_untied(model, names)
        if masks is None and scope != "recurrent":
            warn_of_the_rest(model, set(names))
        unit = unit_of(granularity, regrowth, self._pruned)
        if masks is None:
            self.target = as_sparsity(0.9 if sparsity is None else sparsity)
            wanted = zeros_wanted({each.name: each.shape for each in self._pruned}, self.target, scope)
            cuts = OneShotSchedule() if schedule is None else as_schedule(schedule)
            self.pruner: Pruner = GradualPruner(cuts, wanted, unit)
            given = all_alive({each.name: model.get_parameter(each.name) for each in self._pruned})
        else:
            _refuse_beside_masks(sparsity=sparsity, schedule=schedule)
            self.target, self.pruner = Masks(given).sparsity(), NoPruner()
        self._weights = LivingWeights(model, given)
        self._attachment = Attachment()
        self._weights.records = _reads_gradient(regrowth, 1)
        if masks is not None:
            self._weights.apply()
        self.identity = {
            "manifold": repr(self.manifold),
            "regularizer": repr(self.regularizer),
            "scope": scope,
            **({"sparsity": repr(self.target)} if masks is None else {}),
            "granularity": repr(granularity),
        }

    @property
    def masks(self) -> Masks:
        """For each pruned weight matrix, booleans that are True where a weight is alive."""
        return self._weights.masks

    @property
    def embeddings(self) -> dict[str, Tensor]:
        """The points of the neurons of each weight that has some, by name; of a pair, by name and end."""
        return self._charges.points()

    @property
    def coefficients(self) -> dict[str, Tensor]:
        """Copies of the penalty coefficients of each penalised weight, as they are now.

        They are on the weight's device, in its precision or in float32: half a float cannot hold the squares
        of long distances.
        """
        return {
            term.name: term.coefficients(self._weights.weight(term.name)).detach().clone()
            for term in self._charges.penalised
        }

    def penalty(self) -> Tensor:
        """Return ``strength`` times the mean of ``C |W|``, summed over penalised weights.

        Returns
        -------
        Tensor
            A scalar for the loss; zero without a regularizer.
        """
        if not self._charges.penalised or self.strength == 0:
            return self._weights.weight(self._pruned[0].name).new_zeros(())
        return self.strength * self._charges.penalty(self._weights.apart)

    def step(self) -> None:
        """Cut what the schedule demands, and set every cut weight to zero.

        Call it after each step of the optimizer, unless the sparsifier is attached to it.

        Raises
        ------
        InvalidParameter
            If the sparsifier is attached to an optimizer, so that it steps by itself.
        NonFiniteWeights
            If a cut is due while a weight is NaN or infinite; the masks stay as they were.
        InvalidSchedule
            If the schedule returns something else than a fraction.
        """
        if self._attachment:
            raise InvalidParameter(
                "The sparsifier is attached to an optimizer and steps by itself; leave out step()."
            )
        self._advance()

    def settle(self) -> None:
        """Set every dead weight to zero, wherever the model is now."""
        self._weights.apply()

    def apply_to(self, other: nn.Module) -> None:
        """Set to zero, in a copy of the model, what is dead here: in an average of weights, for instance.

        Parameters
        ----------
        other : nn.Module
            A copy of the model, or a module that holds one, such as ``torch.optim.swa_utils.AveragedModel``.

        Raises
        ------
        InvalidParameter
            If it holds no copy.

        Examples
        --------
        >>> from torch.optim.swa_utils import AveragedModel
        >>> model = nn.RNN(3, 64)
        >>> sparsifier, average = Sparsifier(model), AveragedModel(model)
        >>> sparsifier.step()
        >>> sparsifier.apply_to(average)
        >>> torch.equal(average.module.weight_hh_l0, model.weight_hh_l0)
        True
        """
        self._weights.apply_to(as_model(other))

    @torch.no_grad()
    def _advance(self) -> None:
        self.steps_taken += 1
        weights, step, regrowth, charges = self._weights, self.steps_taken, self.regrowth, self._charges
        weights.follow_model()
        gradients = None
        if _reads_gradient(regrowth, step):
            gradients = {name: weights.recorded(name) for name in weights.masks}

        def scores(name: str) -> Tensor:
            weight = weights.weight(name).detach()
            return scored(self.score, name, weight, lambda: charges.coefficients(name, weight))

        def cheapness(name: str) -> Tensor | None:
            return charges.cheapness(name, weights.weight(name))

        # The warning blames the caller of step, below _advance and no_grad around it.
        cut(self.pruner, step, weights, scores, f"scope='{self.scope}', target {self.target:g}", stacklevel=4)
        if regrowth is not None and regrowth.is_due(step):
            merits = regrowth.merits(step, self._seed, weights.masks, gradients, cheapness)
            for name, back in regrow(regrowth, step, weights, scores, merits).items():
                self._attachment.refresh(weights.weight(name), back)
        weights.zero_dead()
        weights.records = _reads_gradient(regrowth, step + 1)

    def sparsity(self) -> dict[str, float]:
        """Return the fraction of dead weights in each pruned weight matrix, and in ``"total"``.

        A living weight that happens to be zero, as one that has just come back, is alive. A dead one is
        zero unless somebody has written into the model since, such as by ``load_state_dict``: `report` tells,
        and `settle` sets it to zero.

        Returns
        -------
        dict of str to float
        """
        return self._weights.sparsity()

    def report(self) -> str:
        """Return a text about every pruned matrix: its sparsity, and the graph of a recurrent one."""
        fractions = self.sparsity()
        text = describe(self._pruned, self.masks, fractions, self.manifold, self.embeddings)
        total = f"total: {fractions['total']:.2%} zeros after {_steps(self.steps_taken)}"
        notes = disagreements(self.masks, self._weights.weight)
        return "\n".join([text, *notes, total])

    def table(self) -> Table:
        """Return shape, zeros and target of every pruned matrix; the sparsifier's ``repr`` shows it."""
        parts = [type(self.model).__name__, repr(self.regularizer), repr(self.manifold)]
        title = f"Sparsifier({', '.join(parts)}, scope={self.scope!r}) after {_steps(self.steps_taken)}"
        return summary(title, self._pruned, self.sparsity(), self.pruner.wanted)

    def ticket(self, seed: int, *, correct_fan_in: bool = False) -> tuple[nn.Module, "Sparsifier"]:
        """Return a lottery ticket: a copy of the model with the same masks and fresh weights.

        The ticket's sparsifier keeps masks and embedding, cuts no more, and charges no penalty:
        the penalty's work, to choose which weights survive, is done. Tickets of different methods
        thus differ in nothing but their masks.

        Parameters
        ----------
        seed : int
            Seed of the fresh weights.
        correct_fan_in : bool
            Whether to scale each neuron's weights by ``sqrt(inputs / living inputs)``, so that sums of
            inputs have the variance that the dense initialisation intends (Evci et al., "Gradient flow
            in sparse neural networks", arXiv 2010.03533, section 3).

        Returns
        -------
        model : nn.Module
        sparsifier : Sparsifier

        Raises
        ------
        CannotRedraw
            If a module does not know how to initialise itself.
        """
        zeros = self.sparsity()["total"]
        if zeros < LATE_ENOUGH * self.target and not isinstance(self.pruner, NoPruner):
            warnings.warn(
                f"The ticket has {zeros:.1%} zeros after {_steps(self.steps_taken)}; the target "
                f"is {self.target:.1%}: call step() after each step of the optimizer, and draw the ticket "
                "when the schedule has ended.",
                EarlyTicket,
                stacklevel=2,
            )
        model, sparsifier = copied(self.model, self)
        redraw_weights(model, require_seed(seed))
        sparsifier.pruner, sparsifier.regrowth, sparsifier.strength = NoPruner(), None, 0.0
        sparsifier._weights.records = False
        sparsifier.settle()
        if correct_fan_in:
            correct(sparsifier._weights)
        return model, sparsifier

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs: the step count, the masks, the embeddings and the identity.

        All values are tensors that share no memory, the identity as the bytes of its JSON, so that
        safetensors can store them.
        """
        return pack(self.steps_taken, self.identity, self.masks, self.embeddings)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned.

        Parameters
        ----------
        state : mapping from str to Tensor
            The state of a sparsifier of the same model and ``identity``.

        Raises
        ------
        StateMismatch
            If the state is another sparsifier's; nothing is changed then.
        """
        check_state(state, self.state_dict())
        self.steps_taken = int(state["steps_taken"])
        masks = part(state, "mask")
        self.masks.update({name: mask.to(self.masks[name].device, copy=True) for name, mask in masks.items()})
        self._charges.load_points(part(state, "embedding"))
        self._weights.records = _reads_gradient(self.regrowth, self.steps_taken + 1)


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _refuse_beside_masks(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise InvalidParameter(
                f"Masks that are given say themselves what is cut and when; leave out {name}={value!r}."
            )


def _reads_gradient(regrowth: Regrowth | None, step: int) -> bool:
    return regrowth is not None and regrowth.reads_gradient(step)
