"""The sparsifier: penalty, pruning schedule and masks of one model."""

import copy
import math
import warnings
import weakref
from collections.abc import Mapping
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from moduli.manifolds import InvalidParameter, InvalidPoints, Manifold, suggestion
from moduli.models.embedding import Embedding
from moduli.models.errors import (
    InvalidEmbedding,
    InvalidSchedule,
    InvalidSparsity,
    LayerCollapse,
    NonFiniteWeights,
    NothingToPrune,
)
from moduli.models.recurrent import WeightMatrix, weight_matrices
from moduli.models.schedules import OneShotSchedule, Schedule
from moduli.models.tickets import redraw_weights
from moduli.regularizers import Regularizer, penalty

Scope = Literal["layer", "global", "recurrent"]
Placement = Tensor | Embedding


class Sparsifier:
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
    regularizer : Regularizer, optional
        Coefficients of the recurrent weights; no penalty when absent.
    manifold : Manifold, optional
        Where the neurons are placed; needed with a regularizer.
    sparsity : float
        Fraction of zeros to reach, in [0, 1).
    schedule : callable, optional
        From the number of steps taken to the fraction of ``sparsity`` that is due; by default
        everything is cut at the first step.
    strength : float
        Factor of the penalty.
    scope : {"layer", "global", "recurrent"}
        ``"layer"`` prunes each weight matrix to the target, ``"global"`` all matrices together,
        so that their shares differ, and ``"recurrent"`` each recurrent matrix alone.
    embedding : Tensor, Embedding, or mapping from str to either, optional
        Points of the neurons, ``(n, *point_shape)``, for every recurrent weight or by its name;
        drawn at random when absent. Coefficients follow an `Embedding` that is learned.
    seed : int
        Seed of the random embedding.

    Attributes
    ----------
    embeddings : dict of str to Tensor
        The points of the neurons of each recurrent weight.
    coefficients : dict of str to Tensor
        The penalty coefficients of each recurrent weight.
    masks : dict of str to Tensor
        For each pruned weight matrix, True where a weight is alive.

    Raises
    ------
    NothingToPrune
        If the model holds nothing that the scope covers.
    InvalidSparsity, InvalidParameter, InvalidEmbedding
        If an argument is outside its domain.

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
        regularizer: Regularizer | None = None,
        manifold: Manifold | None = None,
        *,
        sparsity: float = 0.9,
        schedule: Schedule | None = None,
        strength: float = 1.0,
        scope: Scope = "layer",
        embedding: Placement | Mapping[str, Placement] | None = None,
        seed: int = 0,
    ) -> None:
        if not 0 <= sparsity < 1:
            raise InvalidSparsity(f"sparsity is the fraction of zeros, in [0, 1); got {sparsity!r}.")
        if not 0 <= strength < math.inf:
            raise InvalidParameter(f"strength must be a non-negative finite number, got {strength!r}.")
        if scope not in get_args(Scope):
            raise InvalidParameter(f"Unknown scope {scope!r}; {suggestion(str(scope), get_args(Scope))}")
        if regularizer is not None and manifold is None:
            raise InvalidParameter(
                f"{regularizer!r} needs a manifold to measure distances on; pass manifold=."
            )
        self.model = model
        self.regularizer = regularizer
        self.manifold = manifold
        self.target = float(sparsity)
        self.schedule: Schedule | None = schedule if schedule is not None else OneShotSchedule()
        self.strength = float(strength)
        self.scope = scope
        self.steps_taken = 0

        matrices = weight_matrices(model)
        recurrent = [matrix for matrix in matrices if matrix.neurons is not None]
        if not recurrent and (scope == "recurrent" or regularizer is not None):
            purpose = "scope='recurrent' prunes" if scope == "recurrent" else f"{regularizer!r} penalises"
            raise NothingToPrune(
                f"{purpose} recurrent weights, but the model has none, only "
                f"{', '.join(matrix.name for matrix in matrices)}."
            )
        self._learned: dict[str, Embedding] = {}
        self.embeddings = self._place(recurrent, embedding, seed) if manifold is not None else {}
        self.coefficients = self._coefficients()
        pruned = recurrent if scope == "recurrent" else matrices
        self.masks = {
            matrix.name: torch.ones_like(self._weight(matrix.name), dtype=torch.bool) for matrix in pruned
        }
        self._mask_gradients()

    def penalty(self) -> Tensor:
        """Return ``strength`` times the mean of ``C |W|``, summed over recurrent weights.

        Returns
        -------
        Tensor
            A scalar for the loss; zero without a regularizer.
        """
        if not self.coefficients or self.strength == 0:
            return self._weight(next(iter(self.masks))).new_zeros(())
        terms = [penalty(self._weight(name), self._current(name)) for name in self.coefficients]
        return self.strength * torch.stack(terms).sum()

    @torch.no_grad()
    def step(self) -> None:
        """Cut what the schedule demands, and set every cut weight to zero.

        Call it after each step of the optimizer.

        Raises
        ------
        NonFiniteWeights
            If a cut is due while a weight is NaN or infinite; the masks stay as they were.
        InvalidSchedule
            If the schedule returns what is no fraction.
        """
        self.steps_taken += 1
        self._follow_model()
        due = self._due()
        groups = [list(self.masks)] if self.scope == "global" else [[name] for name in self.masks]
        cuts = {tuple(group): self._missing_zeros(group, due) for group in groups}
        if any(count > 0 for count in cuts.values()):
            self._check_finite()
            for group, count in cuts.items():
                if count > 0:
                    self._cut(group, count)
            self._report_collapse()
        self._apply()

    def sparsity(self) -> dict[str, float]:
        """Return the fraction of zeros counted in each pruned weight matrix, and in ``"total"``.

        Returns
        -------
        dict of str to float
        """
        zeros = {name: int((self._weight(name) == 0).sum()) for name in self.masks}
        sizes = {name: mask.numel() for name, mask in self.masks.items()}
        fractions = {name: zeros[name] / sizes[name] for name in self.masks}
        return fractions | {"total": sum(zeros.values()) / sum(sizes.values())}

    def ticket(self, seed: int) -> tuple[nn.Module, "Sparsifier"]:
        """Return a lottery ticket: a copy of the model with the same masks and fresh weights.

        The ticket's sparsifier keeps masks and embedding, cuts no more, and charges no penalty:
        the penalty's work, to choose which weights survive, is done. Tickets of different methods
        thus differ in nothing but their masks.

        Parameters
        ----------
        seed : int
            Seed of the fresh weights.

        Returns
        -------
        model : nn.Module
        sparsifier : Sparsifier

        Raises
        ------
        CannotRedraw
            If a module does not know how to initialise itself.
        """
        model, sparsifier = copy.deepcopy((self.model, self))
        redraw_weights(model, seed)
        sparsifier.schedule = None
        sparsifier.strength = 0.0
        with torch.no_grad():
            sparsifier._follow_model()
            sparsifier._apply()
        return model, sparsifier

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs: the step count, the masks and the embeddings."""
        return {
            "steps_taken": torch.tensor(self.steps_taken),
            **{f"mask.{name}": mask for name, mask in self.masks.items()},
            **{f"embedding.{name}": points for name, points in self.embeddings.items()},
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned.

        Parameters
        ----------
        state : mapping from str to Tensor
            The state of a sparsifier of the same model, manifold and scope.

        Raises
        ------
        InvalidParameter
            If a tensor is missing, unknown, or of another shape; nothing is changed then.
        """
        own = self.state_dict()
        wrong = [
            name for name in own.keys() | state.keys()
            if name not in own or name not in state or own[name].shape != state[name].shape
        ]  # fmt: skip
        if wrong:
            raise InvalidParameter(
                f"The state does not belong to this sparsifier; it differs in {', '.join(sorted(wrong))}."
            )
        self.steps_taken = int(state["steps_taken"])
        self.masks = {name: state[f"mask.{name}"].clone() for name in self.masks}
        self.embeddings = {name: state[f"embedding.{name}"].clone() for name in self.embeddings}
        with torch.no_grad():
            for name, learned in self._learned.items():
                learned.points.copy_(self.embeddings[name])
                self.embeddings[name] = learned().detach()
        self.coefficients = self._coefficients()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hooks"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mask_gradients()  # copies of parameters do not carry their hooks

    def _weight(self, name: str) -> nn.Parameter:
        return self.model.get_parameter(name)

    def _place(
        self, recurrent: list[WeightMatrix], embedding: Placement | Mapping[str, Placement] | None, seed: int
    ) -> dict[str, Tensor]:
        assert self.manifold is not None
        if isinstance(embedding, Mapping):
            names = {matrix.name for matrix in recurrent}
            for name in embedding:
                if name not in names:
                    raise InvalidEmbedding(
                        f"No recurrent weight is called '{name}'; {suggestion(name, names)}"
                    )
        generator = torch.Generator().manual_seed(seed)
        placed = {}
        for matrix in recurrent:
            assert matrix.neurons is not None
            points = embedding.get(matrix.name) if isinstance(embedding, Mapping) else embedding
            if points is None:
                points = self.manifold.random_point(matrix.neurons, generator)
            if isinstance(points, Embedding):
                if points.manifold != self.manifold:
                    raise InvalidEmbedding(
                        f"The embedding of {matrix.name} is on {points.manifold!r}, but the sparsifier "
                        f"measures distances on {self.manifold!r}; give both the same manifold."
                    )
                if points.learn:
                    self._learned[matrix.name] = points
                points = points().detach()
            try:
                self.manifold.check_points(points, f"The embedding of {matrix.name}")
            except InvalidPoints as error:
                raise InvalidEmbedding(str(error)) from None
            if len(points) != matrix.neurons:
                raise InvalidEmbedding(
                    f"{matrix.name} connects {matrix.neurons} neurons, "
                    f"but the embedding places {len(points)}; give one point for each neuron."
                )
            placed[matrix.name] = points
        return placed

    def _coefficients(self) -> dict[str, Tensor]:
        if self.regularizer is None or self.manifold is None:
            return {}
        with torch.no_grad():
            return {name: self._evaluate(name, points) for name, points in self.embeddings.items()}

    def _evaluate(self, name: str, points: Tensor) -> Tensor:
        assert self.regularizer is not None
        assert self.manifold is not None
        weight = self._weight(name)
        read = weight.to(points) if self.regularizer.depends_on_weight else None
        return self.regularizer(self.manifold, points, weight=read).to(weight)

    def _current(self, name: str) -> Tensor:
        """Return the coefficients of a weight as they are now, with a gradient where they change."""
        assert self.regularizer is not None
        learned, weight = self._learned.get(name), self._weight(name)
        if learned is not None or self.regularizer.depends_on_weight:
            points = self.embeddings[name] if learned is None else learned()
            coefficients = self._evaluate(name, points)
            self.embeddings[name], self.coefficients[name] = points.detach(), coefficients.detach()
            return coefficients
        self.coefficients[name] = self.coefficients[name].to(weight)  # the model may have been moved
        return self.coefficients[name]

    def _due(self) -> float:
        """Return the sparsity that the schedule demands by now."""
        if self.schedule is None:
            return 0.0
        fraction = self.schedule(self.steps_taken)
        if not 0 <= fraction <= 1:
            raise InvalidSchedule(
                f"The schedule {self.schedule!r} returned {fraction!r} at step {self.steps_taken}; "
                "expected a fraction of the target, in [0, 1]."
            )
        return self.target * fraction

    def _missing_zeros(self, names: list[str], due: float) -> int:
        size = sum(self.masks[name].numel() for name in names)
        alive = sum(int(self.masks[name].sum()) for name in names)
        return round(due * size) - (size - alive)

    def _cut(self, names: tuple[str, ...], count: int) -> None:
        """Cut the ``count`` smallest of the surviving weights of some matrices, ties by place."""
        alive = [self.masks[name].flatten().nonzero().squeeze(1) for name in names]
        magnitudes = [
            self._weight(name).flatten()[places].abs().float()
            for name, places in zip(names, alive, strict=True)
        ]
        smallest = torch.cat(magnitudes).topk(count, largest=False, sorted=False).indices
        start = 0
        for name, places in zip(names, alive, strict=True):
            own = smallest[(smallest >= start) & (smallest < start + len(places))] - start
            mask = self.masks[name].flatten()
            mask[places[own]] = False
            self.masks[name] = mask.view_as(self.masks[name])
            start += len(places)

    def _check_finite(self) -> None:
        for name in self.masks:
            if not self._weight(name).isfinite().all():
                raise NonFiniteWeights(
                    f"{name} holds NaN or infinite weights at step {self.steps_taken}, where a cut is due; "
                    "nothing was cut. Lower the learning rate or clip gradients."
                )

    def _report_collapse(self) -> None:
        for name, mask in self.masks.items():
            if not mask.any():
                warnings.warn(
                    f"{name} has no connection left at step {self.steps_taken} "
                    f"(scope='{self.scope}', target {self.target:g}).",
                    LayerCollapse,
                    stacklevel=3,
                )

    def _apply(self) -> None:
        for name, mask in self.masks.items():
            self._weight(name).masked_fill_(~mask, 0)

    def _follow_model(self) -> None:
        """Move the masks to where the model's weights are now."""
        for name, mask in self.masks.items():
            self.masks[name] = mask.to(self._weight(name).device)

    def _mask_gradients(self) -> None:
        # A weak reference, so that a sparsifier that is gone no longer masks the model's gradients.
        this = weakref.ref(self)

        def masking(name: str) -> Any:
            def mask_gradient(gradient: Tensor) -> Tensor | None:
                sparsifier = this()
                if sparsifier is None:
                    return None
                return gradient.masked_fill(~sparsifier.masks[name].to(gradient.device), 0)

            return mask_gradient

        self._hooks = [
            self._weight(name).register_hook(masking(name))  # type: ignore[no-untyped-call]
            for name in self.masks
            if self._weight(name).requires_grad
        ]
