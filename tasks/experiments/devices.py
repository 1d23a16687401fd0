"""The devices of one run: one in full precision, or several, or less precision, through Fabric."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from moduli.errors import InvalidConfiguration, MissingDependency

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class OneDevice:
    """One device, in the model's own precision.

    Attributes
    ----------
    rank : int
        Which of the devices this process uses.
    count : int
        How many there are.
    """

    rank = 0
    count = 1

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return the model and the optimizer as the training loop must call them."""
        return model, optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss; the mean over all devices' parts of the batch."""
        loss.backward()  # type: ignore[no-untyped-call]

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each tensor with those of all devices stacked along a new first axis."""
        return {name: tensor[None] for name, tensor in tensors.items()}

    def any(self, flag: bool) -> bool:
        """Return whether the flag is raised on any device."""
        return flag

    def wait(self) -> None:
        """Wait until every device has come this far."""


class FabricDevices(OneDevice):
    """Several devices, or less precision, through Lightning Fabric.

    Parameters
    ----------
    fabric : Fabric
        A launched Fabric.
    """

    def __init__(self, fabric: "Fabric") -> None:
        self._fabric = fabric
        self.rank = fabric.global_rank
        self.count = fabric.world_size

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return the model and the optimizer as the training loop must call them."""
        prepared: tuple[Any, Any] = self._fabric.setup(model, optimizer)
        return prepared

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss; the mean over all devices' parts of the batch."""
        self._fabric.backward(loss)

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each tensor with those of all devices stacked along a new first axis."""
        if self.count == 1:
            return super().gather(tensors)
        gathered: Any = self._fabric.all_gather(dict(tensors))
        return {name: gathered[name] for name in tensors}

    def any(self, flag: bool) -> bool:
        """Return whether the flag is raised on any device."""
        return (
            flag if self.count == 1 else bool(self._fabric.strategy.reduce_boolean_decision(flag, all=False))
        )

    def wait(self) -> None:
        """Wait until every device has come this far."""
        self._fabric.barrier()


def check_device(name: str) -> None:
    """Refuse a device that PyTorch does not know, or cannot use here.

    Raises
    ------
    InvalidConfiguration
        If no tensor can be made there.
    """
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidConfiguration(f"The device '{name}' cannot be used here ({reason}).") from error


def make_fabric(device: str, count: int, precision: str) -> "Fabric":
    """Return a Fabric for so many devices, which starts a process for each when launched.

    Raises
    ------
    MissingDependency
        If Lightning is not installed.
    """
    try:
        from lightning.fabric import Fabric
    except ImportError as error:
        raise MissingDependency(
            "Several devices, or another precision, need Lightning Fabric: pip install 'moduli[lightning]'."
        ) from error
    place = torch.device(device)
    return Fabric(
        accelerator=place.type,
        devices=count if count > 1 or place.index is None else [place.index],
        precision=precision,  # type: ignore[arg-type]
        strategy="ddp_spawn" if count > 1 else "auto",
    )
