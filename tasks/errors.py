"""The errors of running tasks."""

from moduli.errors import ModuliError
from moduli.verification import BrokenClause


class Diverged(ModuliError, FloatingPointError):
    """Training reached a loss that is not finite."""


class UnknownTask(ModuliError, LookupError):
    """Nobody registered a task of this name."""


class UnknownPreset(ModuliError, LookupError):
    """A task has no preset of this name."""


class UnknownMethod(ModuliError, LookupError):
    """A method's name cannot be read."""


class BrokenMethod(BrokenClause):
    """A method breaks a clause of what must hold before anything is trained with it."""


class UnknownSubject(ModuliError, LookupError):
    """What is to be checked is not a thing that can be checked."""


class UnusableCorpus(ModuliError, OSError):
    """A corpus is not there, cannot be read or downloaded, or holds no words."""


class UnusableImages(ModuliError, OSError):
    """A set of images is not there, cannot be read or downloaded, or is not one."""


class UnusableRecording(ModuliError, OSError):
    """A recorded walk is not there, cannot be read, or is not a walk."""


class RunMismatch(ModuliError, ValueError):
    """A run folder belongs to another configuration."""


class CannotWrite(ModuliError, OSError):
    """A file of a run folder cannot be written."""


class WorkerDied(ModuliError, RuntimeError):
    """A process of a sweep was killed."""


class OutOfMemory(ModuliError, MemoryError):
    """A run needs more memory than there is."""


class LeftOut(UserWarning):
    """A report lacks what cannot be computed any more."""


class NothingToReport(ModuliError, LookupError):
    """A folder holds no finished experiment."""


class DamagedFile(ModuliError, OSError):
    """A file of a run folder cannot be read back."""
