"""Methods by name: how the recurrent weights of a network are penalised and pruned."""

from moduli.tasks.experiments.methods.method import Method
from moduli.tasks.experiments.methods.reading import method, split_methods
from moduli.tasks.experiments.methods.words import explained_methods

__all__ = ["Method", "explained_methods", "method", "split_methods"]
