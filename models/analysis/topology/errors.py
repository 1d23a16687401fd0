"""The errors of topology."""

from moduli.errors import ModuliError


class UnknownTopology(ModuliError, LookupError):
    """The Betti numbers of a manifold are not known."""
