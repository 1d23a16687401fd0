"""Models: sparsifying any recurrent PyTorch module."""

from moduli.errors import MissingDependency
from moduli.models.analysis.graphs import (
    GraphStatistics,
    Overlap,
    graph_statistics,
    mask_graph,
    mask_overlap,
    spectral_radius,
    wiring_length,
)
from moduli.models.errors import (
    BrokenMasks,
    BrokenSchedule,
    BrokenSparsifier,
    CannotCompress,
    CannotPrune,
    CannotRedraw,
    CannotScript,
    EarlyTicket,
    InvalidEmbedding,
    InvalidSchedule,
    InvalidSparsity,
    LayerCollapse,
    NonFiniteWeights,
    NothingToPrune,
    NotPruned,
    StateMismatch,
    TiedWeights,
)
from moduli.models.fast.born_sparse import TiledRecurrent, sparse_rnn
from moduli.models.fast.compression import compress
from moduli.models.fast.sparse_training import train_survivors
from moduli.models.fast.stored import dense_state, sparse_state
from moduli.models.masks.families import geometric_mask, random_mask
from moduli.models.masks.graphs import regular_mask, ring_mask, small_world_mask
from moduli.models.masks.groups import clique_mask, community_mask, twin_mask
from moduli.models.masks.lacking import one_way_mask, two_coloured_mask
from moduli.models.masks.registry import UnknownMaskFamily, mask_families, register_mask_family
from moduli.models.masks.rewiring import rewired_mask
from moduli.models.masks.tiles import tile_mask
from moduli.models.matrices import WeightMatrix, weight_matrices
from moduli.models.placement.embedding import Embedding
from moduli.models.placement.ordering import order_along
from moduli.models.pruning.regrowth import Regrowth
from moduli.models.pruning.schedules import CubicSchedule, LinearSchedule, OneShotSchedule
from moduli.models.sparsifier import Sparsifier
from moduli.models.verification.masks import verify_masks
from moduli.models.verification.schedules import verify_schedule
from moduli.models.verification.sparsifiers import verify_sparsifier

__all__ = [
    "BrokenMasks",
    "BrokenSchedule",
    "BrokenSparsifier",
    "CannotCompress",
    "CannotPrune",
    "CannotRedraw",
    "CannotScript",
    "CubicSchedule",
    "EarlyTicket",
    "Embedding",
    "GraphStatistics",
    "InvalidEmbedding",
    "InvalidSchedule",
    "InvalidSparsity",
    "LayerCollapse",
    "LinearSchedule",
    "MissingDependency",
    "NonFiniteWeights",
    "NotPruned",
    "NothingToPrune",
    "OneShotSchedule",
    "Overlap",
    "Regrowth",
    "Sparsifier",
    "StateMismatch",
    "TiedWeights",
    "TiledRecurrent",
    "UnknownMaskFamily",
    "WeightMatrix",
    "clique_mask",
    "community_mask",
    "compress",
    "dense_state",
    "geometric_mask",
    "graph_statistics",
    "mask_families",
    "mask_graph",
    "mask_overlap",
    "one_way_mask",
    "order_along",
    "random_mask",
    "register_mask_family",
    "regular_mask",
    "rewired_mask",
    "ring_mask",
    "small_world_mask",
    "sparse_rnn",
    "sparse_state",
    "spectral_radius",
    "tile_mask",
    "train_survivors",
    "twin_mask",
    "two_coloured_mask",
    "verify_masks",
    "verify_schedule",
    "verify_sparsifier",
    "weight_matrices",
    "wiring_length",
]
