"""The weights of a model that live, and those that stay dead whatever an optimizer does."""

import weakref
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from moduli.errors import InvalidParameter
from moduli.models.errors import CannotPrune, NonFiniteWeights
from moduli.models.pruning.masks import Masks, zeros_in
from moduli.models.pruning.recording import GradientRecorder
from moduli.models.refusals import check_plain
from moduli.regularizers import ShapeMismatch


class LivingWeights:
    """Some weights of a model with their masks; the gradients of dead weights are zero.

    Parameters
    ----------
    model : nn.Module
        The model.
    masks : mapping from str to Tensor
        For each weight, by its parameter's name, True where it is alive; of the weight's shape.

    Attributes
    ----------
    masks : Masks
        The masks as they are now; replace entries to change what is alive, then ``apply``.
    records : bool
        Whether backward passes record gradients of the loss, those of dead weights too.

    Raises
    ------
    ShapeMismatch
        If a mask has another shape than its weight.

    Examples
    --------
    >>> model = nn.Linear(3, 1)
    >>> living = LivingWeights(model, {"weight": torch.tensor([[True, False, True]])})
    >>> living.apply()
    >>> model(torch.ones(1, 3)).sum().backward()
    >>> model.weight.grad
    tensor([[1., 0., 1.]])
    """

    def __init__(self, model: nn.Module, masks: Mapping[str, Tensor]) -> None:
        self.model = model
        self.masks = Masks()
        for name, mask in masks.items():
            shape = self.weight(name).shape
            if mask.shape != shape:
                gates, rest = divmod(shape[0], len(mask)) if mask.dim() == 2 and len(mask) else (0, 1)
                fits = gates > 1 and not rest and mask.shape[1] == shape[1]
                remedy = f"; it stacks {gates} gates: pass mask.repeat({gates}, 1)" if fits else ""
                raise ShapeMismatch(
                    f"The mask of {name} has shape {tuple(mask.shape)}, the weight {tuple(shape)}{remedy}."
                )
        self.masks = Masks({name: mask.bool().clone() for name, mask in masks.items()})
        self.records = False
        self._recorder = GradientRecorder()
        self._hooked: dict[str, weakref.ref[nn.Parameter]] = {}
        self.follow_model()

    def weight(self, name: str) -> nn.Parameter:
        """Return a weight by its parameter's name.

        Raises
        ------
        CannotPrune
            If the model has no such parameter any more.
        ShapeMismatch
            If it has another shape than its mask by now.
        """
        try:
            weight = self.model.get_parameter(name)
        except AttributeError:
            raise CannotPrune(
                f"{name} is not a parameter of the model any more, so that its dead weights cannot stay "
                "zero: parametrize, quantize or delete it after its sparsifier has done its work."
            ) from None
        mask = self.masks.get(name)
        if mask is not None and weight.shape != mask.shape:
            raise ShapeMismatch(
                f"{name} has shape {tuple(weight.shape)} now, and had {tuple(mask.shape)} when the "
                "sparsifier was made; make another sparsifier of the changed model."
            )
        return weight

    def follow_model(self) -> None:
        """Move the masks to where the model's weights are now, and mask the gradients of new parameters."""
        for name, mask in self.masks.items():
            weight = self.weight(name)
            self._mask_gradient(name, weight)
            self.masks[name] = mask.to(weight.device)

    def apply(self) -> None:
        """Set every dead weight to zero, on the device where the model is now."""
        self.follow_model()
        self.zero_dead()

    @torch.no_grad()
    def zero_dead(self) -> None:
        """Set every dead weight to zero, where `follow_model` has found the model."""
        for name, mask in self.masks.items():
            weight = self.weight(name)
            # Takes three quarters of the time of masked_fill_, and for a gradient half of masked_fill's.
            torch.where(mask, weight, weight.new_zeros(()), out=weight)

    @torch.no_grad()
    def apply_to(self, other: nn.Module) -> None:
        """Set to zero, in a copy of the model, what is dead; the copy may be a part of the other model.

        Raises
        ------
        InvalidParameter
            If no part of the other model has parameters of the same names and shapes.
        """
        copied = next((part for part in other.modules() if self._fits(part)), None)
        if copied is None:
            raise InvalidParameter(
                f"apply_to cuts copies of the model, with {', '.join(self.masks)} of the same shapes; "
                f"{type(other).__name__} holds none."
            )
        for name, mask in self.masks.items():
            weight = copied.get_parameter(name)
            weight.masked_fill_(~mask.to(weight.device), 0)

    def sparsity(self) -> dict[str, float]:
        """Return the fraction of dead weights in each matrix, and in ``"total"``."""
        fractions = {name: zeros_in(mask) / mask.numel() for name, mask in self.masks.items()}
        return fractions | {"total": self.masks.sparsity()}

    @torch.no_grad()
    def check_finite(self, step: int) -> None:
        """Raise `NonFiniteWeights` if a weight is NaN or infinite, so that nobody can tell which is small."""
        for name in self.masks:
            # NaN where any weight is; a third of the time of isfinite().all().
            if not self.weight(name).abs().max().isfinite():
                raise NonFiniteWeights(
                    f"{name} holds NaN or infinite weights at step {step}, where a cut is due; "
                    "nothing was cut. Lower the learning rate or clip gradients."
                )

    def recorded(self, name: str) -> Tensor | None:
        """Return the magnitudes of a weight's gradient, and forget them; None without a record.

        The gradient is that of the loss without the penalty, summed over all backward passes since gradients
        were set to zero, and averaged as ``weight.grad`` is, such as by ``DistributedDataParallel``.
        Ask before the masks change.
        """
        return self._recorder.magnitudes(name, self.weight(name), self.masks[name])

    def apart(self, name: str) -> Tensor:
        """Return a weight for a penalty, whose gradient is left out of the record."""
        weight = self.weight(name)
        return self._recorder.apart(name, weight) if self.records and weight.requires_grad else weight

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_hooked"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.masks = Masks(self.masks)  # stored as a plain mapping
        self._hooked = {}
        self.follow_model()  # copies of parameters do not carry their hooks

    def _fits(self, part: nn.Module) -> bool:
        shapes = {name: parameter.shape for name, parameter in part.named_parameters()}
        return all(shapes.get(name) == mask.shape for name, mask in self.masks.items())

    def _mask_gradient(self, name: str, weight: nn.Parameter) -> None:
        """Give hooks to a weight without any: parameters that are replaced lose theirs."""
        hooked = self._hooked.get(name)
        if hooked is not None and hooked() is weight:
            return
        check_plain(name, weight)
        if not weight.requires_grad:
            return
        # A weak reference, so that masks that are gone no longer mask the model's gradients.
        this = weakref.ref(self)

        def mask_gradient(gradient: Tensor) -> Tensor | None:
            living = this()
            if living is None:
                return None
            if living.records:
                living._recorder.see(name, living.weight(name), gradient)
            return torch.where(living.masks[name].to(gradient.device), gradient, 0)

        def keep_gradient(weight: nn.Parameter) -> None:
            living = this()
            if living is not None and living.records:
                living._recorder.keep(name, weight, living.masks[name].to(weight.device))

        weight.register_hook(mask_gradient)  # type: ignore[no-untyped-call]
        weight.register_post_accumulate_grad_hook(keep_gradient)  # type: ignore[no-untyped-call]
        self._hooked[name] = weakref.ref(weight)
