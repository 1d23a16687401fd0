"""Topology: the holes of embeddings, networks and activity, and those that the manifold predicts."""

from moduli.models.analysis.topology.betti import betti_numbers
from moduli.models.analysis.topology.errors import UnknownTopology
from moduli.models.analysis.topology.holes import Topology, cloud_topology, embedding_topology
from moduli.models.analysis.topology.homology import Barcode, bottleneck_distance, persistent_homology
from moduli.models.analysis.topology.networks import graph_distances, graph_topology

__all__ = [
    "Barcode",
    "Topology",
    "UnknownTopology",
    "betti_numbers",
    "bottleneck_distance",
    "cloud_topology",
    "embedding_topology",
    "graph_distances",
    "graph_topology",
    "persistent_homology",
]
