"""The errors of running tasks."""

from moduli.manifolds import ModuliError


class Diverged(ModuliError, FloatingPointError):
    """Training reached a loss that is not finite."""


class UnknownMethod(ModuliError, LookupError):
    """A method's name cannot be read."""


class InvalidConfiguration(ModuliError, ValueError):
    """A configuration's values contradict one another."""


class RunMismatch(ModuliError, ValueError):
    """A run folder belongs to another configuration."""


class DamagedFile(ModuliError, OSError):
    """A file of a run folder cannot be read back."""
