"""Topology: the holes of embeddings, networks and activity, and those that the manifold predicts."""

from moduli.tasks.topology.betti import betti_numbers
from moduli.tasks.topology.errors import UnknownTopology
from moduli.tasks.topology.holes import Topology, cloud_topology, embedding_topology
from moduli.tasks.topology.homology import Barcode, bottleneck_distance, persistent_homology
from moduli.tasks.topology.networks import graph_distances, graph_topology

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
