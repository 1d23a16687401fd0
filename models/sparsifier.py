"""The sparsifier: penalty, pruning schedule and masks of one model."""

import copy
import json
import math
import warnings
import weakref
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter, suggestion
from moduli.manifolds import Manifold
from moduli.models.description import describe
from moduli.models.errors import (
    InvalidEmbedding,
    InvalidSchedule,
    InvalidSparsity,
    LayerCollapse,
    NonFiniteWeights,
    NothingToPrune,
    StateMismatch,
)
from moduli.models.files import read_state, write_state
from moduli.models.matrices import WeightMatrix, check_untied, weight_matrices
from moduli.models.placement.terms import PenaltyTerm, Placement
from moduli.models.pruning.blocks import Blocks
from moduli.models.pruning.cuts import cut, cut_blocks, exchange, magnitude_for_coefficient, stacked
from moduli.models.pruning.regrowth import Regrowth
from moduli.models.pruning.schedules import OneShotSchedule, Schedule
from moduli.models.pruning.targets import Scope, zeros_wanted
from moduli.models.pruning.tickets import redraw_weights
from moduli.regularizers import Regularizer, ShapeMismatch

Score = Literal["magnitude", "magnitude/coefficient"] | Callable[[Tensor, Tensor | None], Tensor]


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
    regularizer : Regularizer or mapping from str to Regularizer or None, optional
        Coefficients of the recurrent weights; or, by patterns of parameter names such as
        ``"*.weight_hh_l*"``, coefficients of any weight matrices. A matrix of a module of your own is
        pruned if a pattern matches it; None prunes without penalty. Without any, there is no penalty.
    manifold : Manifold, optional
        Where the neurons are placed; needed with a regularizer.
    sparsity : float
        Fraction of zeros to reach, in [0, 1).
    schedule : callable, optional
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
        Seed of the random embedding.
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
        cut at once, nothing else ever is, and ``sparsity`` and ``schedule`` have no say.

    Attributes
    ----------
    masks : dict of str to Tensor
        For each pruned weight matrix, True where a weight is alive.

    Raises
    ------
    NothingToPrune
        If the model holds nothing that the scope covers, or a pattern matches nothing.
    TiedWeights
        If a weight to be pruned is shared by several modules.
    ShapeMismatch
        If a given mask has another shape than its weight.
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
        regularizer: Regularizer | Mapping[str, Regularizer | None] | None = None,
        manifold: Manifold | None = None,
        *,
        sparsity: float = 0.9,
        schedule: Schedule | None = None,
        strength: float = 1.0,
        scope: Scope = "layer",
        embedding: Placement | Mapping[str, Placement] | None = None,
        seed: int = 0,
        score: Score = "magnitude",
        granularity: int = 1,
        regrowth: Regrowth | None = None,
        masks: Mapping[str, Tensor] | None = None,
    ) -> None:
        if not 0 <= sparsity < 1:
            raise InvalidSparsity(f"sparsity is the fraction of zeros, in [0, 1); got {sparsity!r}.")
        if not 0 <= strength < math.inf:
            raise InvalidParameter(f"strength must be a non-negative finite number, got {strength!r}.")
        if scope not in get_args(Scope):
            raise InvalidParameter(f"Unknown scope {scope!r}; {suggestion(str(scope), get_args(Scope))}")
        if not callable(score) and score not in ("magnitude", "magnitude/coefficient"):
            options = ("magnitude", "magnitude/coefficient")
            raise InvalidParameter(f"Unknown score {score!r}; {suggestion(str(score), options)}")
        if regularizer is not None and manifold is None:
            raise InvalidParameter(
                f"{regularizer!r} needs a manifold to measure distances on; pass manifold=."
            )
        if regrowth is not None and granularity != 1:
            raise InvalidParameter(
                f"regrowth exchanges single weights, but granularity={granularity!r} cuts blocks; "
                "leave one of them out."
            )
        self.model = model
        self.regularizer = regularizer
        self.manifold = manifold
        self.target = float(sparsity)
        self.schedule: Schedule | None = schedule if schedule is not None else OneShotSchedule()
        self.strength = float(strength)
        self.scope: Scope = scope
        self.score = score
        self.granularity = granularity
        self.regrowth = regrowth
        self.steps_taken = 0

        matrices = self._matrices([] if masks is None else list(masks))
        self._terms = self._make_terms(matrices, embedding, seed)
        if masks is not None:
            pruned = [matrices[name] for name in masks]
        else:
            pruned = [matrix for matrix in matrices.values() if scope != "recurrent" or matrix.recurrent]
            if not pruned:
                raise NothingToPrune(
                    f"scope='recurrent' prunes recurrent weights, but the model has none, only "
                    f"{', '.join(matrices)}."
                )
        check_untied(model, [matrix.name for matrix in pruned])
        self._blocks = {
            matrix.name: Blocks(matrix.shape, granularity, matrix.gates)
            for matrix in (pruned if granularity != 1 else [])
        }
        self._wanted = zeros_wanted({matrix.name: matrix.shape for matrix in pruned}, self.target, scope)
        self.masks = {
            matrix.name: torch.ones_like(self._weight(matrix.name), dtype=torch.bool) for matrix in pruned
        }
        if masks is not None:
            self._adopt(masks)
        elif self._blocks:
            self._check_blocks()
        self._dense_gradients: dict[str, Tensor] = {}
        self._mask_gradients()

    @property
    def embeddings(self) -> dict[str, Tensor]:
        """The points of the neurons of each weight that has some, by name; of a pair, by name and end."""
        return {
            f"{name}{end}": points
            for name, term in self._terms.items()
            for end, points in term.points().items()
        }

    @property
    def coefficients(self) -> dict[str, Tensor]:
        """The penalty coefficients of each penalised weight, as they are now."""
        return {
            name: term.coefficients(self._weight(name)).detach()
            for name, term in self._terms.items()
            if term.regularizer is not None
        }

    def penalty(self) -> Tensor:
        """Return ``strength`` times the mean of ``C |W|``, summed over penalised weights.

        Returns
        -------
        Tensor
            A scalar for the loss; zero without a regularizer.
        """
        penalised = [term for term in self._terms.values() if term.regularizer is not None]
        if not penalised or self.strength == 0:
            return self._weight(next(iter(self.masks))).new_zeros(())
        penalties = [term.penalty(self._weight(term.name)) for term in penalised]
        return self.strength * torch.stack(penalties).sum()

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
        fraction = self._fraction()
        cuts = {
            names: round(fraction * zeros) - sum(_zeros(self.masks[name]) for name in names)
            for names, zeros in self._wanted.items()
        }
        if any(count > 0 for count in cuts.values()):
            self._check_finite()
            changed = dict(self.masks)  # a score that fails leaves all masks as they were
            for names, count in cuts.items():
                if count > 0:
                    scores = {name: self._scores(name) for name in names}
                    masks = {name: self.masks[name] for name in names}
                    if self._blocks:
                        changed |= cut_blocks(masks, scores, self._blocks, count)
                    else:
                        changed |= cut(masks, scores, count)
            self._report_collapse(changed)
            self.masks = changed
        if self.regrowth is not None and self.regrowth.is_due(self.steps_taken):
            self._check_finite()
            self._exchange(self.regrowth)
        self._apply()

    def sparsity(self) -> dict[str, float]:
        """Return the fraction of zeros counted in each pruned weight matrix, and in ``"total"``.

        Returns
        -------
        dict of str to float
        """
        zeros = {name: _zeros(self._weight(name)) for name in self.masks}
        sizes = {name: mask.numel() for name, mask in self.masks.items()}
        fractions = {name: zeros[name] / sizes[name] for name in self.masks}
        return fractions | {"total": sum(zeros.values()) / sum(sizes.values())}

    def report(self) -> str:
        """Return a text about every pruned matrix: its sparsity, and the graph of a recurrent one."""
        return describe(self)

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
        model, sparsifier = copy.deepcopy((self.model, self))
        redraw_weights(model, seed)
        sparsifier.schedule = sparsifier.regrowth = None
        sparsifier.strength = 0.0
        with torch.no_grad():
            sparsifier._follow_model()
            sparsifier._apply()
            if correct_fan_in:
                for name, mask in sparsifier.masks.items():
                    living = mask.sum(dim=1, keepdim=True).clamp_min(1)
                    sparsifier._weight(name).mul_((mask.shape[1] / living).sqrt())
        return model, sparsifier

    @property
    def spec(self) -> dict[str, str]:
        """What a stored state is recognised by, as text: manifold, regularizers, scope and so on."""
        return {
            "manifold": repr(self.manifold),
            "regularizer": repr(self.regularizer),
            "scope": self.scope,
            "sparsity": repr(self.target),
            "granularity": repr(self.granularity),
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Return what a resumed run needs: the step count, the masks, the embeddings and the spec.

        All values are tensors that share no memory, the spec as the bytes of its JSON, so that safetensors
        can store them.
        """
        return {
            "steps_taken": torch.tensor(self.steps_taken),
            "spec": _as_bytes(self.spec),
            **{f"mask.{name}": mask for name, mask in self.masks.items()},
            **{f"embedding.{name}": points.detach().clone() for name, points in self.embeddings.items()},
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned.

        Parameters
        ----------
        state : mapping from str to Tensor
            The state of a sparsifier of the same model and ``spec``.

        Raises
        ------
        StateMismatch
            If the state is another sparsifier's; nothing is changed then.
        """
        own = self.state_dict()
        if "spec" in state:
            theirs = json.loads(bytes(state["spec"].tolist()))
            for key, value in self.spec.items():
                if theirs.get(key) != value:
                    raise StateMismatch(
                        f"The state is of a sparsifier with {key} {theirs.get(key)}, this one's is {value}."
                    )
        wrong = [
            f"{name} ({_shape(state, name)} there, {_shape(own, name)} here)"
            for name in sorted(own.keys() | state.keys())
            if name != "spec" and _shape(state, name) != _shape(own, name)
        ]
        if wrong:
            raise StateMismatch(f"The state does not belong to this sparsifier: {', '.join(wrong)}.")
        self.steps_taken = int(state["steps_taken"])
        self.masks = {name: state[f"mask.{name}"].bool().clone() for name in self.masks}
        for name, term in self._terms.items():
            term.load_points({end: state[f"embedding.{name}{end}"] for end in term.ends})

    def save(self, path: str | PathLike[str]) -> None:
        """Write masks, embeddings and step count to a safetensors file, with the spec as its metadata.

        Parameters
        ----------
        path : str or path
            The file; one that is there is replaced.

        Raises
        ------
        MissingDependency
            If safetensors is not installed.

        Examples
        --------
        >>> from tempfile import TemporaryDirectory
        >>> sparsifier, twin = (Sparsifier(nn.RNN(3, 64), sparsity=0.9) for _ in range(2))
        >>> sparsifier.step()
        >>> with TemporaryDirectory() as folder:
        ...     sparsifier.save(f"{folder}/masks.safetensors")
        ...     twin.load(f"{folder}/masks.safetensors")
        >>> torch.equal(twin.masks["weight_hh_l0"], sparsifier.masks["weight_hh_l0"])
        True
        """
        state = self.state_dict()
        del state["spec"]
        write_state(Path(path), state, self.spec)

    def load(self, path: str | PathLike[str]) -> None:
        """Restore what ``save`` wrote, and cut the model's weights by the masks.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        MissingDependency
            If safetensors is not installed.
        StateMismatch
            If the file is damaged, or of a sparsifier of another spec or shape; nothing is changed then.
        """
        state, spec = read_state(Path(path))
        self.load_state_dict(state | {"spec": _as_bytes(spec)})
        with torch.no_grad():
            self._follow_model()
            self._apply()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hooks"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._mask_gradients()  # copies of parameters do not carry their hooks

    def _weight(self, name: str) -> nn.Parameter:
        return self.model.get_parameter(name)

    def _matrices(self, named: list[str]) -> dict[str, WeightMatrix]:
        """Return the matrices of known modules, and those that patterns or names add to them."""
        patterns = [*(self.regularizer if isinstance(self.regularizer, Mapping) else ()), *named]
        shapes = {
            name: (parameter.shape[0], parameter.shape[1])
            for name, parameter in self.model.named_parameters()
            if parameter.dim() == 2
        }
        added: dict[str, WeightMatrix] = {}
        for pattern in patterns:
            matched = [name for name in shapes if fnmatchcase(name, pattern)]
            if not matched:
                raise NothingToPrune(f"No weight matrix is called '{pattern}'; {suggestion(pattern, shapes)}")
            added |= {name: WeightMatrix(name, shapes[name]) for name in matched}
        try:
            known = {matrix.name: matrix for matrix in weight_matrices(self.model)}
        except NothingToPrune:
            if not added:
                raise
            known = {}
        return added | known

    def _make_terms(
        self,
        matrices: dict[str, WeightMatrix],
        embedding: Placement | Mapping[str, Placement] | None,
        seed: int,
    ) -> dict[str, PenaltyTerm]:
        if self.manifold is None:
            return {}
        regularizers = self._regularizers(matrices)
        given = embedding if isinstance(embedding, Mapping) else {}
        for name in given:
            if name not in regularizers:
                raise InvalidEmbedding(
                    f"No weight with an embedding is called '{name}'; {suggestion(name, regularizers)}"
                )
        shared = None if isinstance(embedding, Mapping) else embedding
        generator = torch.Generator().manual_seed(seed)
        terms = {}
        for name, regularizer in regularizers.items():
            matrix = matrices[name]
            if matrix.recurrent and matrix.neurons is None and name not in given:
                raise InvalidEmbedding(
                    f"{name} of shape {matrix.shape} leads from projected units to cells: "
                    "give its embedding as a pair (targets, sources), by name."
                )
            placement = given.get(name, shared if matrix.recurrent else None)
            terms[name] = PenaltyTerm(
                name,
                matrix.shape,
                regularizer,
                self.manifold,
                placement,
                matrix.neurons,
                generator,
                ordered=self.granularity != 1,
            )
        return terms

    def _regularizers(self, matrices: dict[str, WeightMatrix]) -> dict[str, Regularizer | None]:
        """Return the regularizer of each weight that has its neurons placed."""
        if isinstance(self.regularizer, Mapping):
            chosen: dict[str, Regularizer | None] = {}
            for pattern, regularizer in self.regularizer.items():
                chosen |= {name: regularizer for name in matrices if fnmatchcase(name, pattern)}
            return {name: regularizer for name, regularizer in chosen.items() if regularizer is not None}
        recurrent = [name for name, matrix in matrices.items() if matrix.recurrent]
        if not recurrent and self.regularizer is not None:
            raise NothingToPrune(
                f"{self.regularizer!r} penalises recurrent weights, but the model has none, only "
                f"{', '.join(matrices)}; choose weights by patterns: {{'{next(iter(matrices))}': …}}."
            )
        return dict.fromkeys(recurrent, self.regularizer)

    def _adopt(self, masks: Mapping[str, Tensor]) -> None:
        for name, mask in masks.items():
            if mask.shape != self.masks[name].shape:
                raise ShapeMismatch(
                    f"The mask of {name} has shape {tuple(mask.shape)}, "
                    f"the weight {tuple(self.masks[name].shape)}."
                )
        self.masks = {name: mask.bool().clone() for name, mask in masks.items()}
        self.schedule = None
        with torch.no_grad():
            self._follow_model()
            self._apply()

    def _check_blocks(self) -> None:
        for names, zeros in self._wanted.items():
            largest = max(int(self._blocks[name].sizes.max()) for name in names)
            if 0 < zeros < largest:
                raise InvalidParameter(
                    f"granularity={self.granularity} makes blocks of {largest} weights, but only {zeros} of "
                    f"{', '.join(names)} are to be cut; choose a smaller granularity or another scope."
                )

    def _fraction(self) -> float:
        """Return the fraction of the target that the schedule demands by now."""
        if self.schedule is None:
            return 0.0
        fraction = self.schedule(self.steps_taken)
        if not 0 <= fraction <= 1:
            raise InvalidSchedule(
                f"The schedule {self.schedule!r} returned {fraction!r} at step {self.steps_taken}; "
                "expected a fraction of the target, in [0, 1]."
            )
        return fraction

    def _scores(self, name: str) -> Tensor:
        """Return what decides which weights of a matrix are cut first."""
        weight = self._weight(name).detach()
        if self.score == "magnitude":
            return weight.abs().float()
        term = self._terms.get(name)
        coefficients = None
        if term is not None and term.regularizer is not None:
            coefficients = stacked(term.coefficients(weight).detach(), weight)
        if self.score == "magnitude/coefficient":
            return magnitude_for_coefficient(weight, coefficients)
        scores = self.score(weight, coefficients)
        if scores.shape != weight.shape or scores.isnan().any():
            raise InvalidParameter(
                f"score must return numbers without NaN, of {name}'s shape {tuple(weight.shape)}; "
                f"got {tuple(scores.shape)}{', with NaN' if scores.isnan().any() else ''}."
            )
        return scores.float()

    def _exchange(self, regrowth: Regrowth) -> None:
        for name, mask in self.masks.items():
            alive = int(mask.sum())
            count = regrowth.count(self.steps_taken, alive, mask.numel() - alive)
            if regrowth.where == "gradient":
                merit = self._dense_gradients.pop(name, None)
            else:
                term = self._terms.get(name)
                if term is None or term.regularizer is None:
                    continue  # a matrix without geometry has no cheapest place
                merit = stacked(-term.coefficients(self._weight(name)).detach(), mask)
            if merit is not None and count > 0:
                self.masks[name] = exchange(mask, self._scores(name), merit, count)

    def _check_finite(self) -> None:
        for name in self.masks:
            if not self._weight(name).isfinite().all():
                raise NonFiniteWeights(
                    f"{name} holds NaN or infinite weights at step {self.steps_taken}, where a cut is due; "
                    "nothing was cut. Lower the learning rate or clip gradients."
                )

    def _report_collapse(self, changed: Mapping[str, Tensor]) -> None:
        for name, mask in changed.items():
            if self.masks[name].any() and not mask.any():
                warnings.warn(
                    f"{name} has no connection left at step {self.steps_taken} "
                    f"(scope='{self.scope}', target {self.target:g}).",
                    LayerCollapse,
                    stacklevel=4,  # the caller of step, around which no_grad is wrapped
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
                regrowth = sparsifier.regrowth
                if regrowth and regrowth.where == "gradient" and regrowth.is_due(sparsifier.steps_taken + 1):
                    sparsifier._dense_gradients[name] = gradient.detach().abs()
                return gradient.masked_fill(~sparsifier.masks[name].to(gradient.device), 0)

            return mask_gradient

        self._hooks = [
            self._weight(name).register_hook(masking(name))  # type: ignore[no-untyped-call]
            for name in self.masks
            if self._weight(name).requires_grad
        ]


def _zeros(tensor: Tensor) -> int:
    return tensor.numel() - int(tensor.count_nonzero())


def _as_bytes(spec: Mapping[str, str]) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(dict(spec)).encode()), dtype=torch.uint8)


def _shape(state: Mapping[str, Tensor], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"
