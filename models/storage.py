"""States in files: what is saved says in its header what it is of."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from torch import Tensor

from moduli.models.errors import CannotStore, DamagedState, MissingState, StateMismatch
from moduli.models.files import read_state, write_state
from moduli.models.state import IDENTITY, as_bytes


class Storable(ABC):
    """Something with a state that a file can hold.

    Attributes
    ----------
    identity : dict of str to str
        What a stored state is recognised by.
    """

    identity: dict[str, str]

    @abstractmethod
    def state_dict(self) -> dict[str, Tensor]:
        """Return the state, the identity included, as tensors."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore what ``state_dict`` returned."""

    @abstractmethod
    def settle(self) -> None:
        """Make the model agree with the state."""

    def save(self, path: str | PathLike[str]) -> None:
        """Write masks, embeddings and step count to a safetensors file, with the identity as its metadata.

        Parameters
        ----------
        path : str or path
            The file; one that is there is replaced.

        Raises
        ------
        MissingDependency
            If safetensors is not installed.
        CannotStore
            If the file cannot be written.

        Examples
        --------
        >>> from torch import nn
        >>> import torch
        >>> from moduli.models import Sparsifier
        >>> from tempfile import TemporaryDirectory
        >>> sparsifier, twin = (Sparsifier(nn.RNN(3, 64), sparsity=0.9) for _ in range(2))
        >>> sparsifier.step()
        >>> with TemporaryDirectory() as folder:
        ...     sparsifier.save(f"{folder}/masks.safetensors")
        ...     twin.load(f"{folder}/masks.safetensors")
        >>> torch.equal(twin.masks["weight_hh_l0"], sparsifier.masks["weight_hh_l0"])
        True
        """
        state = self.state_dict()
        del state[IDENTITY]
        try:
            write_state(Path(path), state, self.identity)
        except (OSError, ValueError) as error:  # ValueError: no file can have the name
            raise CannotStore(f"{path} cannot be written ({error}); choose another file.") from error

    def load(self, path: str | PathLike[str]) -> None:
        """Restore what ``save`` wrote, and cut the model's weights by the masks.

        Parameters
        ----------
        path : str or path
            The file.

        Raises
        ------
        MissingDependency
            If safetensors is not installed.
        MissingState
            If there is no such file.
        StateMismatch
            If the file is damaged, was changed since, or is of a sparsifier of another identity or shape;
            the sparsifier is as before then.
        """
        try:
            state, identity, _ = read_state(Path(path))
        except MissingState as error:
            raise MissingState(f"{error}; name a file that was saved.") from None
        except DamagedState as error:
            raise StateMismatch(f"{error}; save it again.") from None
        self.load_state_dict(state | {IDENTITY: as_bytes(identity)})
        self.settle()
