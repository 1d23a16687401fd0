"""Devices: gradients of a scaled loss, and formats that would lose them."""

import pytest
import torch
from torch import nn

from moduli.errors import InvalidConfiguration
from moduli.tasks.experiments.training.devices import FabricDevices, OneDevice

fabric = pytest.importorskip("lightning.fabric", reason="Fabric comes with moduli[lightning]")
NORM = 1e-3


def in_half_precision():
    """Return Fabric's devices with a scaled loss, which Fabric itself offers on accelerators alone."""
    plugin = fabric.plugins.precision.MixedPrecision(
        "16-mixed", "cpu", scaler=torch.amp.GradScaler("cpu", init_scale=2.0**10)
    )
    return FabricDevices(fabric.Fabric(accelerator="cpu", devices=1, plugins=[plugin]), "16-mixed")


def clipped_gradient(devices):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    prepared, optimizer = devices.prepare(model, torch.optim.SGD(model.parameters(), lr=1.0))
    devices.backward(prepared(x).square().mean())
    devices.clip(prepared, optimizer, NORM)
    return model.weight.grad


def test_a_scaled_loss_has_its_gradients_clipped_at_the_norm_that_was_asked_for():
    """Clipped as they are scaled, they would be a thousand times too small after the step."""
    expected, found = clipped_gradient(OneDevice()), clipped_gradient(in_half_precision())
    assert torch.allclose(found, expected, rtol=2e-2, atol=1e-6)
    assert 0.5 * NORM < found.norm() <= NORM


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_format_in_which_gradients_vanish_is_refused(kind):
    devices = FabricDevices(fabric.Fabric(accelerator="cpu", devices=1), "bf16-mixed")
    devices.device = torch.device("cuda")
    model = nn.Sequential(nn.Linear(2, 2), kind(2, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(InvalidConfiguration, match=r"float16 there.* choose '16-mixed'"):
        devices.prepare(model, optimizer)


def test_a_network_of_other_modules_has_any_format():
    devices = FabricDevices(fabric.Fabric(accelerator="cpu", devices=1), "bf16-mixed")
    devices.device = torch.device("cuda")
    model = nn.Linear(2, 2)
    prepared, _ = devices.prepare(model, torch.optim.SGD(model.parameters(), lr=1.0))
    assert prepared(torch.ones(1, 2)).shape == (1, 2)
