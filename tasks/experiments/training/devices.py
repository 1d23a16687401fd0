"""The devices of one run: one in full precision, or several, or less precision, through Fabric."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from moduli.errors import InvalidConfiguration
from moduli.requirements import require_package
from moduli.tasks.experiments.training.interruption import end_with_parent

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Devices(ABC):
    """The devices that share each batch of a training, seen from the process of one of them.

    Attributes
    ----------
    device : torch.device
        Where this process has the data and the whole model.
    rank : int
        Which of the devices this process uses.
    count : int
        How many there are.
    """

    device: torch.device
    rank: int
    count: int

    @abstractmethod
    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return the model and the optimizer as the training loop must call them."""

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss; the mean over all devices' parts of the batch."""

    @abstractmethod
    def clip(self, model: nn.Module, optimizer: Optimizer, norm: float) -> None:
        """Scale the gradients down to a norm, both as ``prepare`` returned them."""

    @abstractmethod
    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each tensor with those of all devices stacked along a new first axis."""

    @abstractmethod
    def any(self, flag: bool) -> bool:
        """Return whether the flag is raised on any device."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until every device has come this far."""


@final
class OneDevice(Devices):
    """One device, in the model's own precision.

    Parameters
    ----------
    device : torch.device or str
        Which one.
    """

    rank = 0
    count = 1

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return both as they are."""
        return model, optimizer

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        loss.backward()  # type: ignore[no-untyped-call]

    def clip(self, model: nn.Module, optimizer: Optimizer, norm: float) -> None:
        """Scale the gradients down to a norm."""
        clip_grad_norm_(model.parameters(), norm)

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each tensor with a new first axis of length 1."""
        return {name: tensor[None] for name, tensor in tensors.items()}

    def any(self, flag: bool) -> bool:
        """Return the flag."""
        return flag

    def wait(self) -> None:
        """Go on at once."""


@final
class FabricDevices(Devices):
    """Several devices, or less precision, through Lightning Fabric.

    Parameters
    ----------
    fabric : Fabric
        A launched Fabric.
    precision : str
        Its number format.
    """

    def __init__(self, fabric: "Fabric", precision: str) -> None:
        self._fabric = fabric
        self._precision = precision
        self.device = fabric.device
        self.rank = fabric.global_rank
        self.count = fabric.world_size

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> tuple[nn.Module, Optimizer]:
        """Return both as Fabric wraps them.

        Raises
        ------
        InvalidConfiguration
            If gradients would vanish: autocast runs the recurrent modules of PyTorch in float16 on CUDA, even
            where bfloat16 is asked for, and nothing scales the loss then.
        """
        recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
        if recurrent and self.device.type == "cuda" and self._precision == "bf16-mixed":
            raise InvalidConfiguration(
                "The precision 'bf16-mixed' cannot train this network on CUDA: PyTorch computes nn.RNN, "
                "nn.GRU and nn.LSTM in float16 there, whose gradients vanish unless the loss is scaled; "
                "choose '16-mixed', which scales it, or '32-true'."
            )
        prepared: tuple[Any, Any] = self._fabric.setup(model, optimizer)
        return prepared

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, averaged over the devices."""
        self._fabric.backward(loss)

    def clip(self, model: nn.Module, optimizer: Optimizer, norm: float) -> None:
        """Scale the gradients down to a norm, those of a scaled loss once they are not scaled any more."""
        self._fabric.clip_gradients(model, optimizer, max_norm=norm, error_if_nonfinite=False)

    def gather(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return each tensor with those of all devices stacked along a new first axis."""
        if self.count == 1:  # Fabric adds no axis then
            return {name: tensor[None] for name, tensor in tensors.items()}
        gathered: Any = self._fabric.all_gather(dict(tensors))
        return {name: gathered[name] for name in tensors}

    def any(self, flag: bool) -> bool:
        """Return whether the flag is raised on any device."""
        return (
            flag if self.count == 1 else bool(self._fabric.strategy.reduce_boolean_decision(flag, all=False))
        )

    def wait(self) -> None:
        """Wait at Fabric's barrier."""
        self._fabric.barrier()


def on_devices(work: Callable[[Devices], None], device: str, count: int, precision: str) -> None:
    """Do some work on devices, in a process for each if there are several.

    Parameters
    ----------
    work : callable
        Takes the devices; with several of them it can be pickled.
    device : str
        PyTorch device, or ``"auto"``; see `resolved`.
    count : int
        How many of them.
    precision : str
        Number format, as Fabric calls it; ``"32-true"`` is the model's own.

    Raises
    ------
    InvalidConfiguration
        If no tensor can be made on the device.
    MissingDependency
        If Fabric is needed and not installed.
    """
    device = resolved(device)
    _check_device(device)
    if count == 1 and precision == "32-true":
        work(OneDevice(device))
        return
    place = torch.device(device)
    fabric = require_package(
        "lightning.fabric", "Several devices, or another precision,", "lightning"
    ).Fabric(
        accelerator=place.type,
        devices=count if count > 1 or place.index is None else [place.index],
        precision=precision,
        strategy="ddp_spawn" if count > 1 else "auto",
    )
    fabric.launch(partial(_on_fabric, work=work, precision=precision, parent=os.getpid()))


def _on_fabric(fabric: "Fabric", work: Callable[[Devices], None], precision: str, parent: int) -> None:
    end_with_parent(parent)
    work(FabricDevices(fabric, precision))


def resolved(device: str) -> str:
    """Return the accelerator that PyTorch finds for ``"auto"``, or the CPU where it finds none.

    Examples
    --------
    >>> resolved("cpu")
    'cpu'
    """
    if device != "auto":
        return device
    found = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if found is None else str(found)


def _check_device(name: str) -> None:
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidConfiguration(
            f"The device '{name}' cannot be used here ({reason}); choose cpu, or auto."
        ) from error
