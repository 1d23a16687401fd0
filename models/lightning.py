"""A sparsifier in Lightning's trainer; needs ``pip install 'moduli[lightning]'``."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from moduli.errors import InvalidParameter
from moduli.models.arguments import require_instance
from moduli.models.sparsifier import Sparsifier
from moduli.requirements import require_package

if TYPE_CHECKING:
    from lightning.pytorch import Callback, LightningModule, Trainer
else:
    Callback = require_package("lightning.pytorch", "Callbacks of Lightning", "lightning").Callback


class SparsifierCallback(Callback):
    """Sparsify a ``LightningModule``, which stays as it is, while a trainer trains it.

    Before each step of an optimizer the penalty's gradient joins that of the loss, once, however many
    batches were accumulated, and before gradients are clipped. After it the sparsifier takes its step, in
    manual optimization as well; of several optimizers the first one's steps count. What averages of
    weights bring back in the end is cut. The trainer's checkpoints hold the sparsifier's state.

    Parameters
    ----------
    sparsifier : Sparsifier
        Made for the module that will be trained, or for a part of it.

    Examples
    --------
    >>> from lightning.pytorch import LightningModule, Trainer
    >>> class Reader(LightningModule):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = torch.nn.RNN(3, 64)
    ...     def training_step(self, batch):
    ...         return self.rnn(batch)[0].square().mean()
    ...     def configure_optimizers(self):
    ...         return torch.optim.Adam(self.parameters())
    >>> reader = Reader()
    >>> callback = SparsifierCallback(Sparsifier(reader, sparsity=0.9))
    >>> trainer = Trainer(max_steps=100, callbacks=[callback])  # doctest: +SKIP
    >>> trainer.fit(reader, loader)  # doctest: +SKIP
    """

    def __init__(self, sparsifier: Sparsifier) -> None:
        self.sparsifier = require_instance("sparsifier", sparsifier, Sparsifier, "a Sparsifier")

    def setup(self, trainer: "Trainer", pl_module: "LightningModule", stage: str) -> None:
        """Check that the trainer was given the sparsifier's model.

        Raises
        ------
        InvalidParameter
            If it is another one.
        """
        if self.sparsifier.model not in pl_module.modules():
            raise InvalidParameter(
                f"The sparsifier is of another {type(self.sparsifier.model).__name__} than the "
                f"{type(pl_module).__name__} that is trained or a part of it; make both of the same object."
            )

    def on_train_start(self, trainer: "Trainer", pl_module: "LightningModule") -> None:
        """Let the sparsifier step after every step of the trainer's optimizers."""
        self.sparsifier.detach()
        for optimizer in trainer.optimizers:
            self.sparsifier.attach(optimizer)

    def on_fit_end(self, trainer: "Trainer", pl_module: "LightningModule") -> None:
        """Leave the optimizers, and cut weights that other callbacks have replaced by their averages."""
        self.sparsifier.detach()
        self.sparsifier.apply_to(self.sparsifier.model)

    def on_before_optimizer_step(
        self, trainer: "Trainer", pl_module: "LightningModule", optimizer: torch.optim.Optimizer
    ) -> None:
        """Add the penalty's gradient to the parameters of an optimizer that is about to step."""
        penalty = self.sparsifier.penalty()
        if not penalty.requires_grad:
            return
        parameters: list[Tensor] = [
            parameter
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.requires_grad
        ]
        # Not backward(), which distributed modules expect only once for each forward pass.
        gradients = torch.autograd.grad(penalty, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)

    def state_dict(self) -> dict[str, Any]:
        """Return the sparsifier's state, for the trainer's checkpoint."""
        return dict(self.sparsifier.state_dict())

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the sparsifier's state from the trainer's checkpoint.

        Raises
        ------
        StateMismatch
            If the state is another sparsifier's.
        """
        self.sparsifier.load_state_dict(state_dict)
