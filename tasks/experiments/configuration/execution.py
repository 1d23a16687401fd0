"""Where and how runs are carried out: what changes no result but by rounding; free of torch."""

from dataclasses import dataclass

from moduli.requirements import require


@dataclass(frozen=True)
class Execution:
    """The device of a run and the care that is taken of it."""

    device: str = "cpu"
    """PyTorch device; auto: the accelerator that PyTorch finds, or else the CPU."""
    devices: int = 1
    """How many devices share each run, through Lightning Fabric."""
    threads: int = 1
    """Processor threads of each run; results are equal to the bit for equal numbers."""
    checkpoint_seconds: float = 10.0
    """Seconds between two checkpoints: a run that is killed loses at most this much work."""
    tensorboard: bool = False
    """Write the metrics for TensorBoard as well."""
    logger: str = ""
    """Where else the metrics go, by the word for one of Lightning's loggers; see ``loggers``."""
    verify: bool = True
    """Verify every method on its network before anything is trained."""

    def __post_init__(self) -> None:
        require(self.devices > 0, "devices", "positive", self.devices)
        require(self.threads > 0, "threads", "positive", self.threads)
        require(self.checkpoint_seconds >= 0, "checkpoint_seconds", "non-negative", self.checkpoint_seconds)
