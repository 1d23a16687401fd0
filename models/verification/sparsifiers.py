"""Is it a sparsifier? The clauses that it must satisfy, each with its check."""

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from moduli.errors import InvalidParameter, ModuliError
from moduli.models.errors import BrokenSchedule, BrokenSparsifier, LayerCollapse
from moduli.models.matrices import stacked
from moduli.models.sparsifier import Sparsifier
from moduli.models.verification.ranks import chance_of_smaller
from moduli.models.verification.schedules import verify_schedule
from moduli.models.verification.subjects import Named
from moduli.models.verification.trials import OPTIMIZERS, Trial, end_of, go_to
from moduli.requirements import require_dimension
from moduli.verification import Clauses, NotApplicable, Report, Violation, search

EXAMPLES = 8
ERROR_RATE = 1e-3
"""Share of sparsifiers without any geometry that the rank test lets pass."""
SAMPLE = 20_000
"""How many weights the rank test looks at."""

MakeModel = Callable[[], nn.Module]
MakeSparsifier = Callable[[nn.Module], Sparsifier]


def small_models() -> dict[str, MakeModel]:
    """Return functions that make small models of all kinds, by the Python that makes them."""
    return {
        "nn.RNN(3, 16)": lambda: nn.RNN(3, 16),
        "nn.LSTM(3, 8)": lambda: nn.LSTM(3, 8),
        "nn.GRU(3, 8)": lambda: nn.GRU(3, 8),
        "nn.RNN(3, 8, num_layers=2)": lambda: nn.RNN(3, 8, num_layers=2),
        "nn.GRU(3, 8, bidirectional=True)": lambda: nn.GRU(3, 8, bidirectional=True),
        "nn.LSTM(3, 8, proj_size=5)": lambda: nn.LSTM(3, 8, proj_size=5),
        "nn.Sequential(nn.RNNCell(3, 8), nn.Linear(8, 2))": lambda: nn.Sequential(
            nn.RNNCell(3, 8), nn.Linear(8, 2)
        ),
    }


class SparsifierSearch:
    """What the checks of one way of making sparsifiers share: the models, and the trials on them.

    Parameters
    ----------
    make : callable
        From a model to its sparsifier; a `ModuliError` says that it is not for this model.
    model : callable, optional
        Returns a fresh model on which to try it; small models of all kinds when absent.
    cases : int, optional
        How many trials are made; 8 when absent.

    Raises
    ------
    InvalidParameter
        If one of them is not a function, or ``cases`` is not a positive integer.
    """

    def __init__(
        self, make: MakeSparsifier, model: MakeModel | None = None, cases: int | None = None
    ) -> None:
        for name, value in (("make", make), ("model", model)):
            if value is not None and not callable(value):
                raise InvalidParameter(f"{name} must be a function, got {value!r}.")
        self.make = make
        self.models = small_models() if model is None else {"model()": model}
        self.examples = EXAMPLES if cases is None else require_dimension("SparsifierSearch", cases, "cases")
        self._trials: dict[tuple[str, str, int], Trial | ModuliError] = {}

    @property
    def subject(self) -> Named:
        """What makes the sparsifiers."""
        return Named(self.make)

    def rerun(self, check: str) -> str:
        """Return three lines of Python that run a check again."""
        return (
            f"from moduli.models.testing import *\n{self.subject.definition}\n{check}(SparsifierSearch(make))"
        )

    def fresh(self, model: str, seed: int) -> nn.Module:
        """Return a fresh model; no global generator moves."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.models[model]()

    def find(self, clause: str) -> int:
        """Raise if a trial breaks a clause, and return how many were made; refused models do not count."""
        tried, silent, refusal = 0, 0, ""

        def attempt(model: str, optimizer: str, seed: int) -> None:
            nonlocal tried, silent, refusal
            trial = self._trial(model, optimizer, seed)
            if isinstance(trial, ModuliError):
                refusal = str(trial)
            elif clause in trial.faults:
                raise Violation(f"{trial.faults[clause]} The model is {model}, the optimizer {optimizer}.")
            else:
                tried += 1
                silent += clause in trial.silent

        choices: Mapping[str, Sequence[str] | range] = {
            "model": list(self.models),
            "optimizer": list(OPTIMIZERS),
            "seed": range(2**16),
        }
        # Each kind of model once, so that chance leaves none out; then whatever the search finds.
        each = list(zip(self.models, itertools.cycle(OPTIMIZERS), strict=False))[: self.examples]
        for model, optimizer in each:
            attempt(model, optimizer, 0)
        if self.examples > len(each):
            search(attempt, choices, self.examples - len(each))
        if not tried:
            raise Violation(f"It is not for any of the models that were tried: {refusal}")
        if silent == tried:
            raise NotApplicable("It does not happen in any trial.")
        return tried

    def _trial(self, model: str, optimizer: str, seed: int) -> Trial | ModuliError:
        key = (model, optimizer, seed)
        if key not in self._trials:
            refusals: list[ModuliError] = []

            def make(fresh: nn.Module) -> Sparsifier:
                try:
                    return self.make(fresh)
                except ModuliError as error:
                    refusals.append(error)
                    raise

            try:
                self._trials[key] = Trial(self.fresh(model, seed), make, optimizer, seed)
            except ModuliError as error:
                if not refusals:
                    raise
                self._trials[key] = error
        return self._trials[key]


CLAUSES: Clauses[SparsifierSearch] = Clauses(
    "sparsifier", BrokenSparsifier, ("A sparsifier.", "Not a sparsifier, as it stands.")
)
"""What a sparsifier must do."""


@CLAUSES.clause(
    "form", "masks are booleans of their weights' shapes, and every step can be taken", essential=True
)
def check_form(search: SparsifierSearch) -> int:
    """Make all trials."""
    return search.find("form")


@CLAUSES.clause("schedule", "its schedule is one: it rises from 0 to 1")
def check_its_schedule(search: SparsifierSearch) -> int:
    """Check the clauses of a schedule."""
    schedules = 0
    for name in search.models:
        try:
            schedule = getattr(search.make(search.fresh(name, 0)).pruner, "schedule", None)
        except ModuliError:
            continue
        if schedule is not None:
            try:
                verify_schedule(schedule)
            except BrokenSchedule as error:
                raise Violation(str(error)) from None
            schedules += 1
            break
    if not schedules:
        raise NotApplicable("It has no schedule.")
    return schedules


@CLAUSES.clause("zeros", "in the end the dead weights are as many as its target says, to within one unit")
def check_zeros(search: SparsifierSearch) -> int:
    """Count the dead weights of each matrix, or of all, as the scope says."""
    return search.find("zeros")


@CLAUSES.clause("sparser", "masks only grow sparser; with regrowth no matrix gets more living weights")
def check_sparser(search: SparsifierSearch) -> int:
    """Compare the masks before and after each step."""
    return search.find("sparser")


@CLAUSES.clause("dead", "dead weights are exactly zero after each step")
def check_dead(search: SparsifierSearch) -> int:
    """Look at dead weights, which an optimizer's momentum moves."""
    return search.find("dead")


@CLAUSES.clause("gradients", "the gradients of dead weights are exactly zero")
def check_gradients(search: SparsifierSearch) -> int:
    """Look at gradients after each backward pass."""
    return search.find("gradients")


@CLAUSES.clause("living", "a step leaves living weights as they are; what regrows starts at zero")
def check_living(search: SparsifierSearch) -> int:
    """Compare the weights before and after each step."""
    return search.find("living")


@CLAUSES.clause("gates", "all gates of a recurrent weight have the same coefficients")
def check_gates(search: SparsifierSearch) -> int:
    """Compare what the penalty charges equal weights of stacked gates."""
    return search.find("gates")


@CLAUSES.clause("collapse", "a matrix that loses its last connection is reported")
def check_collapse(search: SparsifierSearch) -> int:
    """Look for a `LayerCollapse` warning."""
    return search.find("collapse")


@CLAUSES.clause("geometry", "survivors lie where coefficients are small, where a penalty chose them")
def check_geometry(search: SparsifierSearch) -> int:
    """Shrink weights of almost one magnitude by the penalty's gradient alone, and cut: ranks against chance.

    The test is that of Mann and Whitney (1947), one-sided, at an error rate of 1e-3: so often a sparsifier
    whose survivors have nothing to do with its coefficients passes.
    """
    tried = 0
    for name in search.models:
        try:
            sparsifier = search.make(search.fresh(name, 0))
        except ModuliError:
            continue
        if _is_geometric(sparsifier):
            tried += _rank_survivors(sparsifier, name)
    if not tried:
        raise NotApplicable("No penalty decides by different coefficients which weights survive.")
    return tried


@CLAUSES.clause("ticket", "a ticket has the same masks, keeps them, and changes nothing")
def check_ticket(search: SparsifierSearch) -> int:
    """Draw a ticket after the last cut."""
    return search.find("ticket")


@CLAUSES.clause("state", "a stored state restores the masks and the step")
def check_state(search: SparsifierSearch) -> int:
    """Load a state into a copy that has lost its masks."""
    return search.find("state")


@CLAUSES.clause("determinism", "no global generator moves")
def check_determinism(search: SparsifierSearch) -> int:
    """Watch the generators of torch, numpy and Python during the trials."""
    return search.find("determinism")


def _is_geometric(sparsifier: Sparsifier) -> bool:
    return (
        sparsifier.strength > 0
        and isinstance(sparsifier.score, str)
        and getattr(sparsifier.pruner, "schedule", None) is not None
        and any(name in sparsifier.masks for name in sparsifier.coefficients)
    )


def _rank_survivors(sparsifier: Sparsifier, model: str) -> int:
    """Return 1, or 0 where coefficients are all alike; raise if survivors are not where they are small."""
    generator = torch.Generator().manual_seed(0)
    before = sparsifier.coefficients
    weights = {name: sparsifier.model.get_parameter(name) for name in before if name in sparsifier.masks}
    with torch.no_grad():
        for weight in weights.values():
            size = 1 + 0.1 * torch.rand(weight.shape, generator=generator)
            sign = torch.randint(2, weight.shape, generator=generator) * 2 - 1
            weight.copy_(size * sign)
    gradients = dict(
        zip(
            weights,
            torch.autograd.grad(
                sparsifier.penalty(), list(weights.values()), allow_unused=True, materialize_grads=True
            ),
            strict=True,
        )
    )
    with torch.no_grad():
        for name, weight in weights.items():
            size = gradients[name].abs()
            size = size / size.max().clamp_min(torch.finfo(size.dtype).tiny)
            weight.copy_(weight.sign() * (weight.abs() - size / 2))
    go_to(sparsifier, end_of(sparsifier) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayerCollapse)
        sparsifier.step()
    coefficients = torch.cat([stacked(before[name], weights[name]).flatten() for name in weights])
    alive = torch.cat([sparsifier.masks[name].flatten() for name in weights])
    chosen = torch.randperm(len(alive), generator=generator)[:SAMPLE]
    coefficients, alive = coefficients.cpu()[chosen].float(), alive.cpu()[chosen]
    if coefficients.std() < 0.05 * coefficients.mean() or alive.all() or not alive.any():
        return 0
    probability = chance_of_smaller(coefficients[alive], coefficients[~alive])
    if not probability < ERROR_RATE:
        means = coefficients[alive].mean(), coefficients[~alive].mean()
        raise Violation(
            f"In {model} the mean coefficient is {means[0]:.3g} of what survives, {means[1]:.3g} of what is "
            f"dead; chance alone gives that in {probability:.2g} of all cases."
        )
    return 1


def check_sparsifier(
    make: MakeSparsifier,
    *,
    model: MakeModel | None = None,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Report:
    """Check every clause of a sparsifier.

    Parameters
    ----------
    make : callable
        From a model to its sparsifier; a `ModuliError` says that it is not for this model.
    model : callable, optional
        Returns a fresh model on which to try it; small models of all kinds when absent.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why; one that passes nevertheless makes the report fail.
    cases : int, optional
        How many trials are made; 8 when absent.

    Returns
    -------
    Report

    Raises
    ------
    InvalidParameter
        If an argument is of another kind or outside its domain.

    Examples
    --------
    >>> check_sparsifier(lambda model: Sparsifier(model, "dog", "torus", sparsity=0.8), cases=4).passed
    True
    """
    return CLAUSES.report(SparsifierSearch(make, model, cases), expected_failures)


def verify_sparsifier(
    make: MakeSparsifier, *, model: MakeModel | None = None, cases: int | None = None
) -> None:
    """Raise unless a sparsifier does what sparsifiers must, as far as trials can tell.

    Parameters
    ----------
    make : callable
        From a model to its sparsifier; a `ModuliError` says that it is not for this model.
    model : callable, optional
        Returns a fresh model on which to try it; small models of all kinds when absent.
    cases : int, optional
        How many trials are made; 8 when absent.

    Raises
    ------
    BrokenSparsifier
        With the clause, the simplest model found that shows it, and three lines that run it again.
    InvalidParameter
        If an argument is of another kind or outside its domain.

    Examples
    --------
    >>> from moduli.models import BrokenSparsifier
    >>> verify_sparsifier(lambda model: Sparsifier(model, sparsity=0.5), cases=4)
    >>> try:
    ...     verify_sparsifier(lambda model: Sparsifier(model, sparsity=0.5, schedule=lambda step: 0.9))
    ... except BrokenSparsifier as error:
    ...     print(error.clause)
    schedule
    """
    CLAUSES.verify(SparsifierSearch(make, model, cases))
