"""Walks of animals: recorded positions, cut into windows that cross no gap and no fault of the sensor."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from moduli.errors import suggestion
from moduli.requirements import require_package
from moduli.tasks.arrays import read_arrays
from moduli.tasks.errors import UnusableRecording
from moduli.tasks.navigation.trajectories import Trajectories

SHIPPED = ("sargolini", "tanni")
"""Recordings that ship with RatInABox: Sargolini et al., Science 2006, 600 s in a box of 1 m; Tanni, de Cothi
and Barry, Current Biology 2022, 7,323 s in one of 3.5 by 2.5 m."""
FASTEST = 2.7
"""Speed in metres per second beyond which a step is a fault of the sensor: 99.9% of the steps of a rat that
runs in a large box (``tanni``) are slower."""
GAP = 1.5
"""A step that lasts longer than this many usual ones is a gap."""

Samples = npt.NDArray[np.float64]
Part = Literal["training", "validation", "test"]
PARTS: Mapping[Part, tuple[float, float]] = {
    "training": (0.0, 0.8),
    "validation": (0.8, 0.9),
    "test": (0.9, 1.0),
}
"""From which share of a recording's samples to which each part goes: nothing is learned from the future."""


@dataclass(frozen=True)
class Recording:
    """Where an animal was.

    Parameters
    ----------
    name : str
        Its name in error messages.
    positions : Tensor
        Positions ``(samples, 2)`` in metres from the centre of the box, in float32.
    velocities : Tensor
        Mean velocity from each sample to the next, ``(samples - 1, 2)``, in metres per second.
    usable : Tensor
        Which steps from one sample to the next are neither a gap nor a fault, ``(samples - 1,)``.
    extent : (float, float)
        Width and height of the box.
    counts : dict
        What is worth knowing of the recording, as plain values.
    """

    name: str
    positions: Tensor
    velocities: Tensor
    usable: Tensor
    extent: tuple[float, float]
    counts: dict[str, Any]

    @classmethod
    def of(
        cls,
        times: Any,
        points: Any,
        name: str,
        device: torch.device | str = "cpu",
        box: tuple[float, float] | None = None,
    ) -> "Recording":
        """Check samples and find the steps that can be used.

        Parameters
        ----------
        times : numpy.ndarray
            Seconds, increasing, ``(samples,)``.
        points : numpy.ndarray
            Positions ``(samples, 2)`` in metres.
        name : str
            Its name in error messages.
        device : torch.device or str
            Where walks are made.
        box : (float, float), optional
            Width and height of the box, whose corner is the origin; where it is not known, it is the box
            around all positions that a usable step leads from or to.

        Raises
        ------
        UnusableRecording
            If they are not numbers, one for each sample, if one is not finite or time does not increase.

        Examples
        --------
        >>> times, steps = 0.02 * np.arange(6), np.array([0.0, 0.1, 0.2, 3.0, 3.1, 3.2])
        >>> Recording.of(times, 0.1 * np.stack([steps, steps], 1), "mine").counts["sensor faults"]
        1
        """
        times, points = _checked(times, points, name)
        durations = np.diff(times)
        with np.errstate(over="ignore", invalid="ignore"):  # speeds that are not finite are faults
            velocities = np.diff(points, axis=0) / durations[:, None]
            slow = np.linalg.norm(velocities, axis=1) <= FASTEST
        gaps = durations > GAP * np.median(durations)
        faults = ~(gaps | slow)
        usable = ~(gaps | faults)
        if not usable.any():
            raise UnusableRecording(
                f"Every step of the recording '{name}' is a gap or faster than {FASTEST:g} m/s; "
                "give times in seconds and places in metres."
            )
        kept = points[np.append(usable, False) | np.append(False, usable)]
        low, high = (kept.min(axis=0), kept.max(axis=0)) if box is None else np.array([(0.0, 0.0), box])
        if not (high > low).all():
            raise UnusableRecording(
                f"The animal of the recording '{name}' moves along one line; give t, x and y of a walk in "
                "a plane."
            )
        tensors = (points - (low + high) / 2, velocities, usable)
        numbers = [torch.as_tensor(array).to(device) for array in tensors]
        counts = {
            "samples": len(times),
            "seconds": float(times[-1] - times[0]),
            "gaps": int(gaps.sum()),
            "sensor faults": int(faults.sum()),
        }
        width, height = (high - low).tolist()
        return cls(name, numbers[0].float(), numbers[1].float(), numbers[2], (width, height), counts)

    def draw(self, count: int, steps: int, part: Part, generator: torch.Generator) -> Trajectories:
        """Draw windows of a part, none of which crosses a gap or a fault.

        Parameters
        ----------
        count : int
            How many to learn from; of another part at most so many, each but once.
        steps : int
            Number of steps of each.
        part : {"training", "validation", "test"}
            Part of the recording.
        generator : torch.Generator
            Source of randomness, on the recording's device.

        Raises
        ------
        UnusableRecording
            If no window of so many steps fits.
        """
        starts = self._starts(steps, part)
        if part == "training":
            chosen = torch.randint(len(starts), (count,), generator=generator, device=generator.device)
        else:
            chosen = torch.randperm(len(starts), generator=generator, device=generator.device)[:count]
        first = starts[chosen]
        window = first[:, None] + torch.arange(steps, device=first.device)
        return Trajectories(self.positions[first], self.velocities[window], self.positions[window + 1])

    def _starts(self, steps: int, part: Part) -> Tensor:
        """Return the samples at which windows of so many usable steps begin."""
        first, last = (round(share * len(self.usable)) for share in PARTS[part])
        broken = torch.nn.functional.pad((~self.usable[first:last]).cumsum(dim=0), (1, 0))
        starts = first + (broken[steps:] == broken[: max(0, len(broken) - steps)]).nonzero().squeeze(dim=1)
        if not len(starts):
            raise UnusableRecording(
                f"The {part} part of the recording '{self.name}', {last - first} steps, has no window of "
                f"{steps} steps without one of the {self.counts['gaps']} gaps and "
                f"{self.counts['sensor faults']} sensor faults; choose shorter walks or a longer recording."
            )
        return starts


def load_recording(name: str, device: torch.device | str = "cpu") -> Recording:
    """Return the recording of a name.

    Parameters
    ----------
    name : str
        ``"sargolini"`` or ``"tanni"``, which ship with RatInABox; or the path of an ``.npz`` file with t in
        seconds, x and y in metres.
    device : torch.device or str
        Where walks are made.

    Raises
    ------
    UnusableRecording
        If nothing has that name, the file cannot be read, or its samples are not a walk.
    MissingDependency
        If RatInABox is needed and not installed.
    """
    if name in SHIPPED:
        package = require_package("ratinabox", "Recorded walks", "recordings")
        path = Path(str(package.__file__)).parent / "data" / f"{name}.npz"
        arrays = read_arrays(path, ("t", "pos"), UnusableRecording, "a recording of RatInABox")
        return Recording.of(arrays["t"], arrays["pos"], name, device)
    if not name.endswith(".npz"):
        raise UnusableRecording(
            f"'{name}' is neither a recording nor a file FILE.npz; "
            f"{suggestion(name, ('simulated', 'ratinabox', *SHIPPED))}"
        )
    arrays = read_arrays(Path(name), ("t", "x", "y"), UnusableRecording, "a file of a walk")
    for axis in ("x", "y"):
        array, shape = arrays[axis], arrays["t"].shape
        if array.ndim != 1 or array.shape != shape or array.dtype.kind not in "iuf":
            raise UnusableRecording(
                f"t, x and y of '{name}' must be one number for each sample; t has the shape {shape}, "
                f"{axis} has {array.shape} and the type {array.dtype}."
            )
    return Recording.of(arrays["t"], np.stack([arrays["x"], arrays["y"]], axis=1), name, device)


def _checked(times: Any, points: Any, name: str) -> tuple[Samples, Samples]:
    """Return times and points in double precision."""
    if times.ndim != 1 or len(times) < 2 or points.shape != (len(times), 2):
        raise UnusableRecording(
            f"The recording '{name}' must have one time and one point (x, y) for each of two samples and "
            f"more; got times of shape {times.shape} and points of shape {points.shape}."
        )
    for what, array in (("times", times), ("points", points)):
        if array.dtype.kind not in "iuf":
            raise UnusableRecording(
                f"The {what} of the recording '{name}' must be numbers, got {array.dtype}."
            )
        broken = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
        if len(broken):
            raise UnusableRecording(
                f"{len(broken)} {what} of the recording '{name}' are not finite, the first at sample "
                f"{broken[0]}; leave such samples out: what is missing is a gap, which no walk crosses."
            )
    times, points = times.astype(np.float64), points.astype(np.float64)
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        raise UnusableRecording(
            f"Time does not increase in the recording '{name}' at {len(back)} samples, the first of them "
            f"{back[0] + 1}; sort the samples and leave out those of equal time."
        )
    return times, points
