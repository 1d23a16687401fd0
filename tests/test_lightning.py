"""The sparsifier as a callback does in Lightning's trainer what it does in a loop of one's own."""

import copy

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer, callbacks
from torch import nn

from moduli.manifolds import InvalidParameter, Torus
from moduli.models import CubicSchedule, Regrowth, Sparsifier, StateMismatch
from moduli.models.lightning import SparsifierCallback
from moduli.regularizers import Diffusion
from tests.conftest import seeded
from tests.test_sparsifier import Reader

pytestmark = [
    # What the trainer says of data that loads within the process.
    pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning"),
    # Lightning 2.6 uses what PyTorch 2.13 deprecates.
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]


class Module(LightningModule):
    """A module that knows nothing of sparsity."""

    def __init__(self):
        super().__init__()
        self.reader = Reader(nn.GRU)

    def training_step(self, batch):
        return self.reader(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def sparsifier_of(model, manifold=None, steps=4, regrowth=None):
    options = {"sparsity": 0.8, "strength": 0.5, "regrowth": regrowth}
    return Sparsifier(model, Diffusion(), manifold or Torus(), schedule=CubicSchedule(0, steps), **options)


def batches(count):
    return torch.utils.data.DataLoader(torch.randn(count, 4, 2, 3, generator=seeded()), batch_size=None)


def trainer_with(sparsifier, folder, **options):
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[SparsifierCallback(sparsifier)],
        **options,
    )


@pytest.mark.parametrize(("accumulated", "clip"), [(1, None), (3, None), (3, 0.05)])
@pytest.mark.parametrize("regrowth", [None, Regrowth(end=5, interval=2)])
def test_s10_training_equals_a_loop_of_one_s_own(tmp_path, accumulated, clip, regrowth):
    module = Module()
    own = copy.deepcopy(module)
    optimizer, sparsifier = own.configure_optimizers(), sparsifier_of(own.reader, regrowth=regrowth)
    sparsifier.attach(optimizer)
    data = batches(9)
    for _ in range(2):
        for start in range(0, len(data), accumulated):
            for batch in data.dataset[start : start + accumulated]:
                (own.training_step(batch) / accumulated).backward()
            sparsifier.penalty().backward()
            if clip:
                nn.utils.clip_grad_norm_(own.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()

    trained = sparsifier_of(module.reader, regrowth=regrowth)
    trainer = trainer_with(
        trained, tmp_path, max_epochs=2, accumulate_grad_batches=accumulated, gradient_clip_val=clip
    )
    trainer.fit(module, data)
    assert trained.steps_taken == trainer.global_step == 18 // accumulated
    for name, weight in own.named_parameters():
        torch.testing.assert_close(module.get_parameter(name), weight)
    for name, mask in sparsifier.masks.items():
        assert torch.equal(trained.masks[name], mask)
        assert abs(int((~mask).sum()) - 0.8 * mask.numel()) <= 1


def test_checkpoints_hold_the_sparsifier(tmp_path):
    data = batches(6)
    first, second = Module(), Module()
    straight = copy.deepcopy(first)
    trainer_with(sparsifier_of(straight, steps=10), tmp_path, max_epochs=2).fit(straight, data)

    trainer = trainer_with(sparsifier_of(first, steps=10), tmp_path, max_epochs=1)
    trainer.fit(first, data)
    trainer.save_checkpoint(tmp_path / "half")
    resumed = sparsifier_of(second, steps=10)
    trainer_with(resumed, tmp_path, max_epochs=2).fit(second, data, ckpt_path=tmp_path / "half")
    assert resumed.steps_taken == 12
    assert all(
        torch.equal(one, other) for one, other in zip(straight.parameters(), second.parameters(), strict=True)
    )
    with pytest.raises(StateMismatch, match=r"Torus\(.*this one's is Torus\(dim=3"):
        trainer_with(sparsifier_of(second, Torus(3)), tmp_path, max_epochs=2).fit(
            second, data, ckpt_path=tmp_path / "half"
        )


def test_the_sparsifier_of_another_model_is_refused(tmp_path):
    with pytest.raises(InvalidParameter, match="another Module than the Module that is trained"):
        trainer_with(sparsifier_of(Module()), tmp_path, max_epochs=1).fit(Module(), batches(1))


class Manual(Module):
    """Two optimizers, one of which takes two steps a batch."""

    def __init__(self, sparsifier=None):
        super().__init__()
        self.automatic_optimization = False
        self.revived = []

    def training_step(self, batch):
        for optimizer in (*self.optimizers(), self.optimizers()[0]):
            optimizer.zero_grad()
            self.manual_backward(self.reader(batch).square().mean())
            optimizer.step()
            self.revived += [bool(self.watched.model.rnn.weight_hh_l0[~self.watched.masks[HIDDEN]].any())]

    def configure_optimizers(self):
        parts = (self.reader.rnn, self.reader.out)
        return [torch.optim.SGD(part.parameters(), lr=0.1, momentum=0.9) for part in parts]


HIDDEN = "rnn.weight_hh_l0"


def test_s9_manual_optimization_with_several_steps_a_batch(tmp_path):
    module = Manual()
    object.__setattr__(module, "watched", sparsifier_of(module.reader))
    trainer_with(module.watched, tmp_path, max_epochs=1).fit(module, batches(6))
    assert len(module.revived) == 18
    assert not any(module.revived)
    assert module.watched.steps_taken == 12
    assert module.watched.sparsity()["total"] == pytest.approx(0.8, abs=0.01)


class Normed(Module):
    """Batch norm makes stochastic weight averaging run through the data once more."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)

    def training_step(self, batch):
        return self.norm(self.reader(batch).flatten(0, 1)).square().mean()


AVERAGES = {"SWA": lambda: callbacks.StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1)}
if hasattr(callbacks, "EMAWeightAveraging"):  # Lightning 2.6 has both
    AVERAGES |= {
        "all steps": callbacks.WeightAveraging,
        "EMA": lambda: callbacks.EMAWeightAveraging(decay=0.9),
    }


# SWA makes a scheduler in the middle of training.
@pytest.mark.filterwarnings("ignore::UserWarning:torch.optim")
@pytest.mark.parametrize("kind", [Module, Normed])
@pytest.mark.parametrize("average", AVERAGES)
def test_s9_averaged_weights_end_sparse(tmp_path, average, kind):
    module = kind()
    sparsifier = sparsifier_of(module.reader)
    trainer = trainer_with(sparsifier, tmp_path, max_epochs=4)
    trainer.callbacks.append(AVERAGES[average]())
    trainer.fit(module, batches(3))
    assert sparsifier.sparsity()["total"] == pytest.approx(0.8, abs=0.01)
    for name, mask in sparsifier.masks.items():
        assert torch.equal(module.reader.get_parameter(name) != 0, mask)
