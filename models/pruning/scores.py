"""Scores: which weights are cut first."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.models.arguments import given
from moduli.requirements import require_choice

Named = Literal["magnitude", "magnitude/coefficient"]
Score = Named | Callable[[Tensor, Tensor | None], Tensor]


def check_score(score: object) -> None:
    """Raise `InvalidParameter` unless a score is a known word or a function."""
    if isinstance(score, type) or not (callable(score) or isinstance(score, str)):
        raise InvalidParameter(
            "score must be a word or a function of a weight and its coefficients, such as "
            f"lambda weight, coefficients: weight.abs(); got {given(score)}."
        )
    if not callable(score):
        require_choice("score", score, get_args(Named))


def scored(score: Score, name: str, weight: Tensor, coefficients: Callable[[], Tensor | None]) -> Tensor:
    """Return what decides which weights of a matrix are cut first: those of the smallest scores.

    Parameters
    ----------
    score : str or callable
        A word, or a function of the weight and its coefficients.
    name : str
        Its name in error messages.
    weight : Tensor
        The weight, without gradient.
    coefficients : callable
        Returns the coefficients, of the weight's shape, or None; called where the score reads them.

    Returns
    -------
    Tensor
        Scores of the weight's shape, in its precision or in float32.

    Raises
    ------
    InvalidParameter
        If a function returns another shape, or NaN.

    Examples
    --------
    >>> scored("magnitude", "w", torch.tensor([[1.0, -2.0]]), lambda: None)
    tensor([[1., 2.]])
    """
    if score == "magnitude":
        return _at_least_single(weight.abs())
    if score == "magnitude/coefficient":
        return magnitude_for_coefficient(weight, coefficients())
    assert callable(score)
    own = coefficients()
    scores = score(weight.clone(), None if own is None else own.clone())  # which it may work in
    if not isinstance(scores, Tensor):
        raise InvalidParameter(f"score must return a tensor of {name}'s shape; got {given(scores)}.")
    if scores.shape != weight.shape or scores.isnan().any():
        raise InvalidParameter(
            f"score must return numbers without NaN, of {name}'s shape {tuple(weight.shape)}; "
            f"got {tuple(scores.shape)}{', with NaN' if scores.isnan().any() else ''}."
        )
    return _at_least_single(scores)


def magnitude_for_coefficient(weight: Tensor, coefficients: Tensor | None) -> Tensor:
    """Return ``|W| / C``: a weight is worth less where it costs more.

    A weight that costs nothing is cut last, unless it is zero anyway.

    Parameters
    ----------
    weight : Tensor
        The weight.
    coefficients : Tensor or None
        Coefficients of the weight's shape; None counts as 1.

    Returns
    -------
    Tensor
        Scores in the weight's precision or in float32.
    """
    magnitude = _at_least_single(weight.abs())
    return magnitude if coefficients is None else torch.where(magnitude > 0, magnitude / coefficients, 0.0)


def _at_least_single(scores: Tensor) -> Tensor:
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
