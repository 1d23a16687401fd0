"""Where the neurons of a model are, and what its weights are charged for it."""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter, suggestion
from moduli.manifolds import Manifold
from moduli.models.arguments import as_regularizer, require_instance
from moduli.models.errors import InvalidEmbedding
from moduli.models.matrices import WeightMatrix, stacked
from moduli.models.placement.terms import PenaltyTerm, Placement
from moduli.regularizers import Regularizer

Regularizers = Regularizer | Mapping[str, Regularizer | None] | None
"""One regularizer for all recurrent weights, or regularizers by patterns of names."""


class Charges:
    """The penalty's terms, one for each weight whose neurons are placed.

    Parameters
    ----------
    terms : iterable of PenaltyTerm
        A term without a regularizer places its neurons and charges nothing.
    """

    def __init__(self, terms: Iterable[PenaltyTerm] = ()) -> None:
        self.terms = {term.name: term for term in terms}
        self.penalised = [term for term in self.terms.values() if term.regularizer is not None]

    def penalty(self, weight: Callable[[str], Tensor]) -> Tensor:
        """Return the sum of the means of ``C |W|``; there is at least one penalised weight.

        Parameters
        ----------
        weight : callable
            From a weight's name to the weight.
        """
        return torch.stack([term.penalty(weight(term.name)) for term in self.penalised]).sum()

    def coefficients(self, name: str, weight: Tensor) -> Tensor | None:
        """Return the coefficients of a weight, of its shape, without gradient; None where it is free."""
        term = self.terms.get(name)
        if term is None or term.regularizer is None:
            return None
        return stacked(term.coefficients(weight).detach(), weight)

    def cheapness(self, name: str, weight: Tensor) -> Tensor | None:
        """Return how little each element of a weight costs; None where it is free."""
        coefficients = self.coefficients(name, weight)
        return None if coefficients is None else -coefficients

    def points(self) -> dict[str, Tensor]:
        """Return the points of the neurons of each weight by name; of a pair, by name and end."""
        return {
            f"{name}{end}": points
            for name, term in self.terms.items()
            for end, points in term.points().items()
        }

    def load_points(self, points: Mapping[str, Tensor]) -> None:
        """Put all neurons where they are said to be, as ``points`` names them."""
        for name, term in self.terms.items():
            term.load_points({end: points[f"{name}{end}"] for end in term.ends})


def as_regularizers(value: Any) -> Regularizers:
    """Return regularizers as they are meant: a word becomes the regularizer that it describes.

    Raises
    ------
    InvalidParameter
        If there is something else than a regularizer, an expression or None.
    """
    if not isinstance(value, Mapping):
        return None if value is None else as_regularizer(value)
    for pattern in value:
        require_instance("Each key of regularizer", pattern, str, "a pattern of weights' names")
    return {pattern: None if one is None else as_regularizer(one) for pattern, one in value.items()}


def placed(
    matrices: Mapping[str, WeightMatrix],
    regularizer: Regularizers,
    manifold: Manifold | None,
    embedding: Placement | Mapping[str, Placement] | None,
    generator: torch.Generator,
    ordered: bool,
) -> Charges:
    """Place the neurons of the weights that are penalised, and of all recurrent ones.

    Parameters
    ----------
    matrices : mapping from str to WeightMatrix
        The model's matrices, by name.
    regularizer : Regularizer, mapping from str to Regularizer or None, or None
        Coefficients of recurrent weights, or of weights by patterns.
    manifold : Manifold or None
        Where the neurons are; None places none.
    embedding : Tensor, Embedding, pair of either, mapping from str to these, or None
        Points that are given.
    generator : torch.Generator
        Source of all other points.
    ordered : bool
        Whether random points are ordered along the manifold.

    Returns
    -------
    Charges

    Raises
    ------
    InvalidParameter
        If there is a regularizer or an embedding, but no manifold.
    InvalidEmbedding
        If points do not fit, or no weight would use them.
    """
    if manifold is None:
        charged = regularizer.values() if isinstance(regularizer, Mapping) else [regularizer]
        if any(one is not None for one in charged):
            raise InvalidParameter(
                f"{regularizer!r} needs a manifold to measure distances on; pass manifold=."
            )
        if embedding is not None:
            raise InvalidParameter("An embedding needs the manifold on which its points are; pass manifold=.")
        return Charges()
    chosen = _regularizers(matrices, regularizer)
    given = embedding if isinstance(embedding, Mapping) else {}
    for name in given:
        if name not in chosen:
            raise InvalidEmbedding(
                f"No weight with an embedding is called '{name}'; {suggestion(name, chosen)}"
            )
    shared = None if isinstance(embedding, Mapping) else embedding
    if shared is not None and not any(matrices[name].recurrent for name in chosen):
        raise InvalidEmbedding(
            "No recurrent weight is placed that would use the embedding: name recurrent weights of a cell "
            "written by hand by recurrent=, or give points by the names of weights that have a regularizer."
        )
    terms = []
    for name, one in chosen.items():
        matrix = matrices[name]
        if matrix.recurrent and matrix.neurons is None and name not in given:
            raise InvalidEmbedding(
                f"{name} of shape {matrix.shape} leads from projected units to cells: "
                "give its embedding as a pair (targets, sources), by name."
            )
        placement = given.get(name, shared if matrix.recurrent else None)
        terms.append(PenaltyTerm(matrix, one, manifold, placement, generator, ordered))
    return Charges(terms)


def _regularizers(
    matrices: Mapping[str, WeightMatrix], regularizer: Regularizers
) -> dict[str, Regularizer | None]:
    """Return the regularizer of each weight that has its neurons placed."""
    if isinstance(regularizer, Mapping):
        chosen: dict[str, Regularizer | None] = {}
        for pattern, one in regularizer.items():
            chosen |= {name: one for name in matrices if fnmatchcase(name, pattern)}
        return {name: one for name, one in chosen.items() if one is not None}
    return dict.fromkeys((name for name, matrix in matrices.items() if matrix.recurrent), regularizer)
