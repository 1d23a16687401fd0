"""Images with labels: scikit-learn's digits, MNIST, or a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from moduli.errors import suggestion
from moduli.requirements import require_package
from moduli.tasks.arrays import read_arrays
from moduli.tasks.errors import UnusableImages

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
"""What a file of images holds, as Keras's ``mnist.npz`` does."""
MOST_LABELS = 1000


@dataclass(frozen=True)
class Images:
    """Images and what they show.

    Parameters
    ----------
    pixels : Tensor
        Brightness from 0 to 1, ``(images, height, width)``, in float32.
    labels : Tensor
        Numbers of the classes, ``(images,)``, in int64.
    """

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor) -> "Images":
        return Images(self.pixels[chosen], self.labels[chosen])


def load_images(name: str) -> tuple[Images, Images | None]:
    """Return the images of a name: those to learn from, and those for the test, where they are set apart.

    Parameters
    ----------
    name : str
        ``"digits"``, which ships with scikit-learn: the test set of Alpaydin and Kaynak, "Optical
        recognition of handwritten digits", 1998; ``"mnist"``, which Hugging Face's ``datasets`` downloads
        and keeps; or the path of an ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test``.

    Returns
    -------
    Images
        What is learned from.
    Images or None
        What a trained network is scored on; None where nobody set any apart.

    Raises
    ------
    UnusableImages
        If nothing has that name, the file cannot be read, the download fails, or an array is not what it
        must be.
    MissingDependency
        If a package is needed and not installed.

    Examples
    --------
    >>> images, _ = load_images("digits")
    >>> images.pixels.shape, images.labels[:5].tolist()
    (torch.Size([1797, 8, 8]), [0, 1, 2, 3, 4])
    """
    if name == "digits":
        found = require_package("sklearn.datasets", "The digits", "tasks").load_digits()
        return _images(found.images, found.target, name), None
    if name == "mnist":
        arrays = _mnist()
    elif name.endswith(".npz"):
        arrays = read_arrays(Path(name), ARRAYS, UnusableImages, "a file of images")
    else:
        raise UnusableImages(
            f"'{name}' is neither a set of images nor a file FILE.npz; "
            f"{suggestion(name, ('digits', 'mnist'))}"
        )
    train, test = (_images(arrays[f"x_{part}"], arrays[f"y_{part}"], name) for part in ("train", "test"))
    if train.pixels.shape[1:] != test.pixels.shape[1:]:
        raise UnusableImages(
            f"The images of '{name}' must have one size; those to learn from have "
            f"{tuple(train.pixels.shape[1:])}, those for the test {tuple(test.pixels.shape[1:])}."
        )
    return train, test


def _mnist() -> dict[str, Any]:
    datasets = require_package("datasets", "The images of MNIST", "corpora")
    try:
        parts = datasets.load_dataset("ylecun/mnist")
    except OSError as error:
        raise UnusableImages(
            f"MNIST could not be downloaded ({error}); connect to the Internet, or pass a file FILE.npz with "
            f"{', '.join(ARRAYS)}."
        ) from error
    pictures = {f"x_{part}": np.stack(list(map(np.asarray, parts[part]["image"]))) for part in parts}
    return pictures | {f"y_{part}": np.asarray(parts[part]["label"]) for part in parts}


def _images(pixels: Any, labels: Any, name: str) -> Images:
    """Check images and labels, and scale the brightest pixel to 1."""
    if pixels.ndim != 3 or not pixels.size or pixels.dtype.kind not in "buif":
        raise UnusableImages(
            f"The images of '{name}' must be numbers (images, height, width); got {pixels.dtype} of shape "
            f"{pixels.shape}."
        )
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() <= 0:
        raise UnusableImages(
            f"The images of '{name}' must be finite, not negative and not all dark; subtract their minimum."
        )
    if labels.shape != pixels.shape[:1] or labels.dtype.kind not in "ui":
        raise UnusableImages(
            f"The labels of '{name}' must be {len(pixels)} whole numbers, one for each image; got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= MOST_LABELS:
        raise UnusableImages(
            f"The labels of '{name}' must be from 0 to {MOST_LABELS - 1}; number the classes from 0 on."
        )
    brightness = pixels.astype(np.float32)
    return Images(torch.from_numpy(brightness / brightness.max()), torch.from_numpy(labels.astype(np.int64)))
