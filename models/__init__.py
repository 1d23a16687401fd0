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
    StateMismatch,
    TiedWeights,
)
from moduli.models.graphs import (
    GraphStatistics,
    Overlap,
    graph_statistics,
    mask_graph,
    mask_overlap,
    wiring_length,
)
from moduli.models.masks import geometric_mask, random_mask
from moduli.models.recurrent import WeightMatrix, weight_matrices
from moduli.models.regrowth import Regrowth
from moduli.models.schedules import CubicSchedule, LinearSchedule, OneShotSchedule
from moduli.models.sparsifier import Sparsifier

__all__ = [
    "CannotRedraw",
    "CubicSchedule",
    "Embedding",
    "GraphStatistics",
    "InvalidEmbedding",
    "InvalidSchedule",
    "InvalidSparsity",
    "LayerCollapse",
    "LinearSchedule",
    "MissingDependency",
    "NonFiniteWeights",
    "NothingToPrune",
    "OneShotSchedule",
    "Overlap",
    "Regrowth",
    "Sparsifier",
    "StateMismatch",
    "TiedWeights",
    "WeightMatrix",
    "geometric_mask",
    "graph_statistics",
    "mask_graph",
    "mask_overlap",
    "random_mask",
    "weight_matrices",
    "wiring_length",
]
