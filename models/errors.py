"""The errors of sparsification."""

from moduli.errors import ModuliError
from moduli.verification import BrokenClause


class CannotCompress(ModuliError, TypeError):
    """A model or an input does not fit the modules that are sparse."""


class CannotScript(ModuliError, TypeError):
    """TorchScript cannot read a module that is sparse."""


class CannotPrune(ModuliError, TypeError):
    """A weight that is to be pruned is not a plain parameter of its module."""


class NothingToPrune(ModuliError, ValueError):
    """A model has no weight that a sparsifier could prune."""


class TiedWeights(ModuliError, ValueError):
    """A weight that is to be pruned is shared by several modules."""


class InvalidSparsity(ModuliError, ValueError):
    """A sparsity lies outside [0, 1)."""


class InvalidSchedule(ModuliError, ValueError):
    """A schedule ends before it begins, returns something else than a fraction, or cannot be called."""


class InvalidEmbedding(ModuliError, ValueError):
    """An embedding does not match the neurons that it should place."""


class NonFiniteWeights(ModuliError, FloatingPointError):
    """A cut was due while a weight was NaN or infinite."""


class StateMismatch(ModuliError, ValueError):
    """A stored state is of another sparsifier or sparse module."""


class DamagedState(StateMismatch):
    """A file of tensors is not what was written."""


class MissingState(DamagedState, FileNotFoundError):
    """There is no file of tensors under the given name."""


class CannotStore(ModuliError, OSError):
    """A state cannot be written to a file."""


class CannotRedraw(ModuliError, TypeError):
    """A module holds weights but does not know how to draw them anew."""


class LayerCollapse(UserWarning):
    """A cut left a weight matrix without any connection."""


class BrokenMasks(BrokenClause):
    """A mask family breaks a clause of what a mask family must do."""


class BrokenSchedule(BrokenClause):
    """A schedule breaks a clause of what a schedule must do."""


class BrokenSparsifier(BrokenClause):
    """A sparsifier breaks a clause of what a sparsifier must do."""


class EarlyTicket(UserWarning):
    """A ticket is drawn before the pruning is over."""


class NotPruned(UserWarning):
    """A weight matrix stays dense, although the scope seems to cover it."""
