"""The digits as a task."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from moduli.requirements import require
from moduli.tasks.digits.images import Images, load_images
from moduli.tasks.digits.network import SequenceReader
from moduli.tasks.digits.settings import DigitsSettings
from moduli.tasks.recurrences.kinds import mixing_weights
from moduli.tasks.seeds import stream
from moduli.tasks.task import Task

TEST_SHARE = 0.2
"""Share of the images that are for the test, where nobody set any apart."""
VALIDATION_SHARE = 0.1
"""Share of the images to learn from that are for the validation instead."""
AT_ONCE = 500
"""Images that are read at once while a network is scored."""


@dataclass(frozen=True)
class Sequences:
    """Images as sequences, and what they show.

    Parameters
    ----------
    inputs : Tensor
        Brightness from 0 to 1, ``(batch, steps, numbers of a step)``.
    labels : Tensor
        Numbers of the classes, ``(batch,)``, in int64.
    """

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor | slice) -> "Sequences":
        return Sequences(self.inputs[chosen], self.labels[chosen])


class Digits(Task[Sequences]):
    """Tell which digit an image shows that is read row by row or pixel by pixel.

    Read pixel by pixel, an image is a long sequence whose answer is asked for at its end; a permutation of
    the pixels takes away what neighbours tell of one another (Le, Jaitly and Hinton, arXiv 1504.00941).
    Each seed has its own division into images to learn from, to validate and to test by, its own
    permutation and its own order of the images, which each epoch draws anew. The loss is the cross-entropy
    in nats; the score is the share of test images that are taken for another digit, in percent.

    Parameters
    ----------
    settings : DigitsSettings
        The images, how they are read, and the network's size.
    batch_size : int
        Images in a training batch.
    seed : int
        Seed of the division, the permutation and the order.
    device : torch.device or str
        Where everything is made.

    Raises
    ------
    UnusableImages, MissingDependency
        If the images cannot be had; see `moduli.tasks.digits.images.load_images`.
    InvalidConfiguration
        If a batch is larger than the set of images to learn from.
    """

    score_name = "wrong digits (%)"
    ignorance: ClassVar[str] = "always the commonest digit"

    def __init__(
        self, settings: DigitsSettings, batch_size: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.settings = settings
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.criterion = settings.criterion
        self.recurrent = mixing_weights(settings.cell, settings.layers)
        images, test = load_images(settings.images)
        order = torch.randperm(len(images), generator=stream(seed, "division"))
        if test is None:
            test, order = self._first(images, order, TEST_SHARE)
        validation, order = self._first(images, order, VALIDATION_SHARE)
        train = images[order]
        expected = f"at most {len(train)}, the number of images to learn from"
        require(0 < batch_size <= len(train), "batch", expected, batch_size)
        self.classes = 1 + int(max(images.labels.max(), test.labels.max()))
        self._pixels = torch.arange(train.pixels[0].numel())
        if settings.permuted:
            self._pixels = torch.randperm(len(self._pixels), generator=stream(seed, "pixels"))
        self._train, self._validation, self._test = map(self._sequences, (train, validation, test))
        self._epoch = lru_cache(maxsize=1)(
            lambda epoch: torch.randperm(len(self._train), generator=stream(seed, "training", epoch))
        )

    def model(self) -> SequenceReader:
        """Return a fresh network."""
        settings, inputs = self.settings, self._train.inputs.shape[-1]
        reader = SequenceReader(settings.cell, inputs, settings.units, self.classes, settings.layers)
        return reader.to(self.device)

    def batch(self, step: int) -> Sequences:
        """Return the images of a training step; each epoch reads all but a batch's remainder, once."""
        epoch, place = divmod(step, len(self._train) // self.batch_size)
        chosen = self._epoch(epoch)[place * self.batch_size : (place + 1) * self.batch_size]
        return self._train[chosen.to(self.device)]

    def part(self, batch: Sequences, index: int, count: int) -> Sequences:
        """Return every ``count``-th image of a batch."""
        return batch[index::count]

    def loss(self, model: nn.Module, batch: Sequences) -> Tensor:
        """Return the cross-entropy in nats, averaged over images."""
        return cross_entropy(model(batch.inputs), batch.labels)

    def score(self, model: nn.Module) -> float:
        """Return the share of test images that are taken for another digit, in percent."""
        return self._wrong(self._answers(model, self._test), self._test)

    def validate(self, model: nn.Module) -> float:
        """Return the share of validation images that are taken for another digit, in percent."""
        return self._wrong(self._answers(model, self._validation), self._validation)

    def references(self) -> dict[str, float]:
        """Return the scores of ignorance, of the last step alone, and of a comparison with mean images.

        The last two take what they see for the class whose mean in the training images is nearest.
        """
        commonest = self._train.labels.bincount().argmax()
        last, whole = (slice(-1, None), slice(None))
        return {
            self.ignorance: self._wrong(commonest, self._test),
            "nearest mean of the last step": self._wrong(self._nearest_mean(last), self._test),
            "nearest mean image": self._wrong(self._nearest_mean(whole), self._test),
        }

    def measurements(self, model: nn.Module) -> dict[str, Any]:
        """Return the share of test images that are told right, and of each class."""
        labels = self._test.labels
        right = (self._answers(model, self._test) == labels).double()
        return {
            "accuracy": float(right.mean()),
            "accuracy by class": {
                str(label): float(right[labels == label].mean()) for label in sorted(set(labels.tolist()))
            },
        }

    @staticmethod
    def _first(images: Images, order: Tensor, share: float) -> tuple[Images, Tensor]:
        """Return a share of the images, those first in an order, and the rest of the order."""
        count = max(1, round(share * len(order)))
        return images[order[:count]], order[count:]

    def _sequences(self, images: Images) -> Sequences:
        width = images.pixels.shape[-1] if self.settings.order == "rows" else 1
        inputs = images.pixels.flatten(1)[:, self._pixels].view(len(images), -1, width)
        return Sequences(inputs.to(self.device), images.labels.to(self.device))

    @torch.no_grad()
    def _answers(self, model: nn.Module, sequences: Sequences) -> Tensor:
        return torch.cat([model(part).argmax(dim=-1) for part in torch.split(sequences.inputs, AT_ONCE)])

    def _nearest_mean(self, steps: slice) -> Tensor:
        """Return for each test image the class whose mean over training images is nearest."""
        train, test = (part.inputs[:, steps].flatten(1) for part in (self._train, self._test))
        present = torch.arange(self.classes, device=self.device)[self._train.labels.bincount() > 0]
        means = torch.stack([train[self._train.labels == label].mean(dim=0) for label in present])
        nearest: Tensor = present[torch.cdist(test, means).argmin(dim=-1)]
        return nearest

    @staticmethod
    def _wrong(answers: Tensor, sequences: Sequences) -> float:
        return 100 * float((answers != sequences.labels).double().mean())
