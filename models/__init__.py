"""Models: sparsifying any recurrent PyTorch module."""

from moduli.models.embedding import Embedding
from moduli.models.errors import (
    CannotRedraw,
    InvalidEmbedding,
    InvalidSchedule,
    InvalidSparsity,
    LayerCollapse,
    MissingDependency,
    NonFiniteWeights,
    NothingToPrune,
)
from moduli.models.recurrent import WeightMatrix, weight_matrices
from moduli.models.schedules import CubicSchedule, LinearSchedule, OneShotSchedule
from moduli.models.sparsifier import Sparsifier

__all__ = [
    "CannotRedraw",
    "CubicSchedule",
    "Embedding",
    "InvalidEmbedding",
    "InvalidSchedule",
    "InvalidSparsity",
    "LayerCollapse",
    "LinearSchedule",
    "MissingDependency",
    "NonFiniteWeights",
    "NothingToPrune",
    "OneShotSchedule",
    "Sparsifier",
    "WeightMatrix",
    "weight_matrices",
]
