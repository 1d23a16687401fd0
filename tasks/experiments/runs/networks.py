"""A trained network as it is on disk: its result, weights, masks and embedding."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from moduli.manifolds import Manifold
from moduli.models.state import part
from moduli.tasks.errors import DamagedFile
from moduli.tasks.experiments.methods import method
from moduli.tasks.experiments.runs.files import changed_files, damaged, is_there
from moduli.tasks.experiments.runs.metrics import Metrics, read_metrics
from moduli.tasks.experiments.runs.run import label
from moduli.tasks.experiments.runs.run_folder import RunFolder
from moduli.tasks.experiments.runs.stages import StageResult, recurrent_among


@dataclass(frozen=True)
class StoredNetwork:
    """What a stage of a run left in its folder; each file is read when it is first asked for.

    Parameters
    ----------
    folder : Path
        The folder of the stage.

    Raises
    ------
    DamagedFile
        On reading, if a file is missing, was changed, or belongs to another network.
    """

    folder: Path

    @cached_property
    def result(self) -> StageResult:
        """What is known of the network."""
        found = self._files.result()
        if found is None:
            raise damaged(f"{self.folder} does not hold all files of a finished network")
        return found

    @cached_property
    def weights(self) -> dict[str, Tensor]:
        """The model's state."""
        return self._tensors("weights")

    @cached_property
    def masks(self) -> dict[str, Tensor]:
        """True where a weight is alive, for each pruned matrix."""
        return part(self._state, "mask")

    @cached_property
    def embeddings(self) -> dict[str, Tensor]:
        """The points of the neurons, by the name of the matrix that connects them."""
        return part(self._state, "embedding")

    @cached_property
    def metrics(self) -> list[Metrics]:
        """The rows of ``metrics.csv``, what was noted while it was trained; none where it was deleted."""
        path = self.folder / "metrics.csv"
        if is_there(path) and path.name in (changed_files(self.folder) or ()):
            raise DamagedFile(
                f"{path} was changed after it was written; delete the folder {self.folder} and run the "
                "command again, which trains the network again."
            )
        return read_metrics(self.folder)

    @property
    def last_validation(self) -> float:
        """The validation after the last step of training.

        Raises
        ------
        DamagedFile
            If ``metrics.csv`` does not have it any more.
        """
        rows = self.metrics
        if not rows or rows[-1].get("step") != self.result.training["steps"] or "validation" not in rows[-1]:
            raise DamagedFile(
                f"{self.folder} lacks the validation after the last step, which was in metrics.csv; delete "
                "the folder and run the command again, which trains the network again."
            )
        return rows[-1]["validation"]

    @property
    def label(self) -> str:
        """How tables and figures call it, without its seed."""
        pruning = self.result.pruning
        return label(self.result.method, pruning["sparsity"] if pruning else 0.0)

    @property
    def manifold(self) -> Manifold | None:
        """Where its method places the neurons, if anywhere."""
        return method(self.result.method).manifold

    @property
    def recurrent(self) -> list[str]:
        """The names of its recurrent matrices."""
        return recurrent_among(
            (name for name, tensor in self.weights.items() if tensor.ndim == 2), self.result.recurrent
        )

    def recurrent_weight(self) -> Tensor:
        """Return the magnitudes of the first layer's recurrent weight, ``(n, n)``; of gates their sum."""
        weight = self.weights[self.recurrent[0]]
        return weight.abs().reshape(-1, weight.shape[1], weight.shape[1]).sum(dim=0)

    def points(self) -> Tensor:
        """Return where the neurons of the first layer are, ``(n, *point_shape)``."""
        return self.embeddings[self.recurrent[0]]

    @cached_property
    def _files(self) -> RunFolder:
        return RunFolder.existing(self.folder)

    @cached_property
    def _state(self) -> dict[str, Tensor]:
        return self._tensors("sparsifier")

    def _tensors(self, name: str) -> dict[str, Tensor]:
        found = self._files.load_tensors(name)
        if found is None:
            raise damaged(f"{self.folder / name}.safetensors is missing")
        return found
