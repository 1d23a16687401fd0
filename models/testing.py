"""Checks for a plugin's own tests: pytest parameters, hypothesis strategies, single clauses.

>>> from moduli.models import ring_mask
>>> from moduli.models.testing import check_count, check_masks, MaskSearch
>>> check_masks(ring_mask, cases=10).passed
True
>>> check_count(MaskSearch(ring_mask, cases=10)) > 0
True
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from hypothesis import strategies as st
from torch import nn

from moduli.models.masks.registry import MaskFamily
from moduli.models.pruning.schedules import CubicSchedule, LinearSchedule, OneShotSchedule, Schedule
from moduli.models.verification.masks import CLAUSES as MASK_CLAUSES
from moduli.models.verification.masks import (
    MaskSearch,
    check_count,
    check_masks,
    check_nested,
    check_reached,
    check_regular,
    check_seed,
    check_self_connected,
    check_symmetric,
)
from moduli.models.verification.schedules import CLAUSES as SCHEDULE_CLAUSES
from moduli.models.verification.schedules import (
    ScheduleSearch,
    check_fractions,
    check_monotone,
    check_reaches,
    check_schedule,
)
from moduli.models.verification.sparsifiers import CLAUSES as SPARSIFIER_CLAUSES
from moduli.models.verification.sparsifiers import (
    MakeModel,
    MakeSparsifier,
    SparsifierSearch,
    check_collapse,
    check_dead,
    check_gates,
    check_geometry,
    check_gradients,
    check_its_schedule,
    check_living,
    check_sparser,
    check_sparsifier,
    check_state,
    check_ticket,
    check_zeros,
    small_models,
)
from moduli.models.verification.trials import OPTIMIZERS

__all__ = [
    "MASK_CLAUSES",
    "SCHEDULE_CLAUSES",
    "SPARSIFIER_CLAUSES",
    "MaskSearch",
    "ScheduleSearch",
    "SparsifierSearch",
    "Strategies",
    "check_collapse",
    "check_count",
    "check_dead",
    "check_fractions",
    "check_gates",
    "check_geometry",
    "check_gradients",
    "check_its_schedule",
    "check_living",
    "check_masks",
    "check_monotone",
    "check_nested",
    "check_reached",
    "check_reaches",
    "check_regular",
    "check_schedule",
    "check_seed",
    "check_self_connected",
    "check_sparser",
    "check_sparsifier",
    "check_state",
    "check_symmetric",
    "check_ticket",
    "check_zeros",
    "mask_checks",
    "schedule_checks",
    "sparsifier_checks",
    "strategies",
]

Decorator = Callable[[Callable[..., Any]], Any]


def mask_checks(
    make: MaskFamily,
    *,
    claims: Collection[str] | None = None,
    unit: int = 1,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Decorator:
    """Give a pytest function one ``check`` for each clause of a mask family; see `verify_masks`.

    Parameters
    ----------
    make : callable
        The family, ``make(n, *, sparsity, seed)``.
    claims : collection of str, optional
        What its masks are beyond what all must be; what it was registered with when absent.
    unit : int
        How many weights live or die as a whole.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why.
    cases : int, optional
        How many masks each clause tries; 40 when absent.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> from moduli.models import small_world_mask
    >>> @mask_checks(small_world_mask)
    ... def test_small_world(check):
    ...     check()
    """
    return MASK_CLAUSES.parametrize(MaskSearch(make, claims, unit, cases), expected_failures)


def schedule_checks(schedule: Schedule, *, expected_failures: Mapping[str, str] | None = None) -> Decorator:
    """Give a pytest function one ``check`` for each clause of a schedule; see `verify_schedule`.

    Parameters
    ----------
    schedule : callable
        From the number of steps taken to the fraction of the target that is due.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> @schedule_checks(CubicSchedule(0, 1000))
    ... def test_cubic(check):
    ...     check()
    """
    return SCHEDULE_CLAUSES.parametrize(ScheduleSearch(schedule), expected_failures)


def sparsifier_checks(
    make: MakeSparsifier,
    *,
    model: MakeModel | None = None,
    expected_failures: Mapping[str, str] | None = None,
    cases: int | None = None,
) -> Decorator:
    """Give a pytest function one ``check`` for each clause of a sparsifier; see `verify_sparsifier`.

    Parameters
    ----------
    make : callable
        From a model to its sparsifier.
    model : callable, optional
        Returns a fresh model on which to try it; small models of all kinds when absent.
    expected_failures : mapping of str to str, optional
        Clauses that are known to fail, and why.
    cases : int, optional
        How many trials are made; 8 when absent.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> from moduli.models import Sparsifier
    >>> @sparsifier_checks(lambda model: Sparsifier(model, sparsity=0.9))
    ... def test_pruning(check):
    ...     check()
    """
    return SPARSIFIER_CLAUSES.parametrize(SparsifierSearch(make, model, cases), expected_failures)


class Strategies:
    """hypothesis strategies for what a sparsifier is made of; made by `strategies`."""

    def models(self) -> st.SearchStrategy[nn.Module]:
        """Draw small models: RNN, GRU, LSTM, of several layers, both directions, projections, and cells."""
        return st.sampled_from(list(small_models().values())).map(lambda make: make())

    def targets(self) -> st.SearchStrategy[float]:
        """Draw fractions of zeros."""
        return st.floats(0, 0.95)

    def schedules(self) -> st.SearchStrategy[Schedule]:
        """Draw built-in schedules."""
        begins, lengths = st.integers(0, 100), st.integers(1, 1000)
        return st.one_of(
            st.builds(OneShotSchedule, begins),
            st.builds(lambda begin, length: LinearSchedule(begin, begin + length), begins, lengths),
            st.builds(lambda begin, length: CubicSchedule(begin, begin + length), begins, lengths),
        )

    def optimizers(self) -> st.SearchStrategy[Callable[..., Any]]:
        """Draw functions from a list of parameters to an optimizer."""
        return st.sampled_from(list(OPTIMIZERS.values()))


def strategies() -> Strategies:
    """Return hypothesis strategies for models, targets, schedules and optimizers.

    Examples
    --------
    >>> from hypothesis import given
    >>> from moduli.models import Sparsifier
    >>> @given(strategies().models(), strategies().targets())
    ... def test_everything_is_cut_at_once(model, target):
    ...     sparsifier = Sparsifier(model, sparsity=target)
    ...     sparsifier.step()
    ...     assert abs(sparsifier.masks.sparsity() - target) < 0.05
    """
    return Strategies()
