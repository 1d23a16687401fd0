"""A trial: some steps of a sparsifier on a model with random gradients, watched at each step."""

import copy
import warnings
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from moduli.manifolds.verification.generators import watched_generators
from moduli.models.errors import CannotRedraw, EarlyTicket, LayerCollapse
from moduli.models.pruning.masks import emptied, zeros_in
from moduli.models.sparsifier import Sparsifier
from moduli.models.verification.schedules import LAST

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
}
"""Optimizers that move a weight after its gradient has become zero."""


class Trial:
    """What happened in some steps, from before the first cut to after the last one.

    The steps between are left out: the trial goes on from stored states, as a resumed run does.

    Parameters
    ----------
    model : nn.Module
        The model; it is trained on random gradients and changed.
    make : callable
        Makes the sparsifier of a model.
    optimizer : str
        A key of `OPTIMIZERS`.
    seed : int
        Seed of the gradients.

    Attributes
    ----------
    faults : dict of str to str
        The names of the clauses that were broken, and how.
    silent : set of str
        The names of the clauses about which the trial says nothing.
    """

    def __init__(
        self, model: nn.Module, make: Callable[[nn.Module], Sparsifier], optimizer: str, seed: int
    ) -> None:
        self.faults: dict[str, str] = {}
        self.silent = {"collapse", "ticket"}
        self._generator = torch.Generator().manual_seed(seed)
        with watched_generators() as moved:
            self.sparsifier = make(model)
            if self._masks_are_formed():
                parameters = [each for each in model.parameters() if each.requires_grad]
                self._optimizer = OPTIMIZERS[optimizer](parameters)
                for step in milestones(self.sparsifier):
                    self._take_step(step)
                self._count_zeros()
                self._compare_gates()
                self._draw_ticket()
                self._restore()
            for name in moved():
                self._fault("determinism", f"{name} moved.")

    def _fault(self, clause: str, message: str) -> None:
        self.faults.setdefault(clause, message)

    def _weight(self, name: str) -> Tensor:
        return self.sparsifier.model.get_parameter(name)

    def _masks_are_formed(self) -> bool:
        for name, mask in self.sparsifier.masks.items():
            weight = self._weight(name)
            if mask.dtype != torch.bool or mask.shape != weight.shape:
                self._fault("form", f"The mask of {name} is {tuple(mask.shape)} {mask.dtype}.")
        return "form" not in self.faults

    def _take_step(self, step: int) -> None:
        sparsifier, model = self.sparsifier, self.sparsifier.model
        if sparsifier.steps_taken != step - 1:
            go_to(sparsifier, step - 1)
        self._optimizer.zero_grad()
        random = sum(
            (each * torch.randn(each.shape, generator=self._generator).to(each)).sum()
            for each in model.parameters()
            if each.requires_grad
        )
        torch.autograd.backward(random + sparsifier.penalty())
        before = {name: mask.clone() for name, mask in sparsifier.masks.items()}
        for name, mask in before.items():
            gradient = self._weight(name).grad
            if gradient is not None and gradient[~mask].any():
                self._fault("gradients", f"Before step {step} dead weights of {name} have gradients.")
        self._optimizer.step()
        weights = {name: self._weight(name).detach().clone() for name in before}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sparsifier.step()
        if self._masks_are_formed():
            self._compare(step, before, weights, any(w.category is LayerCollapse for w in caught))

    def _compare(
        self, step: int, before: Mapping[str, Tensor], weights: Mapping[str, Tensor], reported: bool
    ) -> None:
        """Look at masks and weights after a step, and at what they were before it."""
        for name, mask in self.sparsifier.masks.items():
            weight, risen = self._weight(name).detach(), mask & ~before[name]
            if self.sparsifier.regrowth is None and risen.any():
                self._fault("sparser", f"{int(risen.sum())} weights of {name} came back at step {step}.")
            if int(mask.sum()) > int(before[name].sum()):
                self._fault("sparser", f"{name} has more living weights after step {step} than before.")
            if weight[~mask].any() or weight[~mask].isnan().any():
                self._fault("dead", f"{zeros_in(mask)} weights of {name} are dead at step {step}, not all 0.")
            stayed = mask & before[name]
            if not torch.equal(weight[stayed], weights[name][stayed]) or weight[risen].any():
                self._fault("living", f"Living weights of {name} were changed at step {step}.")
        for name in emptied(before, self.sparsifier.masks):
            self.silent.discard("collapse")
            if not reported:
                self._fault("collapse", f"{name} lost its last connection at step {step} without a warning.")

    def _count_zeros(self) -> None:
        sparsifier, masks = self.sparsifier, self.sparsifier.masks
        unit = int(sparsifier.identity.get("granularity", "1")) ** 2
        each = sparsifier.scope in ("layer", "recurrent") and _schedule(sparsifier) is not None
        for names in [[name] for name in masks] if each else [list(masks)]:
            size = sum(masks[name].numel() for name in names)
            zeros, wanted = sum(zeros_in(masks[name]) for name in names), sparsifier.target * size
            if abs(zeros - wanted) > max(1, unit):
                self._fault("zeros", f"{', '.join(names)}: {zeros} zeros in the end instead of {wanted:.1f}.")

    def _compare_gates(self) -> None:
        """Compare what the penalty charges equal weights of the gates that one weight stacks."""
        for name, coefficients in self.sparsifier.coefficients.items():
            weight, shape = self._weight(name), (-1, *coefficients.shape)
            if weight.shape == coefficients.shape or not weight.requires_grad:
                continue
            stored = weight.detach().clone()
            with torch.no_grad():
                weight.copy_(torch.ones_like(weight))
            penalty = self.sparsifier.penalty()
            if penalty.requires_grad:
                (gradient,) = torch.autograd.grad(penalty, weight, allow_unused=True)
                gates = torch.zeros_like(weight) if gradient is None else gradient
                alive = self.sparsifier.masks.get(name, torch.ones_like(weight, dtype=torch.bool))
                smallest = torch.where(alive, gates, torch.inf).view(shape).amin(dim=0)
                largest = torch.where(alive, gates, -torch.inf).view(shape).amax(dim=0)
                if (smallest < largest).any():
                    self._fault("gates", f"The gates of {name} are charged differently.")
            with torch.no_grad():
                weight.copy_(stored)

    def _draw_ticket(self) -> None:
        masks = {name: mask.clone() for name, mask in self.sparsifier.masks.items()}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", EarlyTicket)  # clause "zeros" says it
                model, ticket = self.sparsifier.ticket(seed=1)
        except CannotRedraw:
            return
        self.silent.discard("ticket")
        ticket.step()
        for name, mask in masks.items():
            if name not in ticket.masks or not torch.equal(ticket.masks[name], mask):
                self._fault("ticket", f"The ticket has another mask of {name}.")
            elif model.get_parameter(name)[~mask].any():
                self._fault("ticket", f"Dead weights of {name} live in the ticket.")
            elif not torch.equal(self.sparsifier.masks[name], mask):
                self._fault("ticket", f"Drawing the ticket changed the mask of {name}.")

    def _restore(self) -> None:
        """Load the state into a copy that has lost its masks."""
        state = self.sparsifier.state_dict()
        copied = copy.deepcopy(self.sparsifier)
        for mask in copied.masks.values():
            mask.fill_(True)
        copied.load_state_dict(state)
        if copied.steps_taken != self.sparsifier.steps_taken:
            self._fault("state", f"The step is {copied.steps_taken}, not {self.sparsifier.steps_taken}.")
        for name, mask in self.sparsifier.masks.items():
            if not torch.equal(copied.masks[name], mask):
                self._fault("state", f"The mask of {name} is not restored.")


def milestones(sparsifier: Sparsifier) -> list[int]:
    """Return the steps, from 1, that show a sparsifier at work: where it begins, cuts, regrows and ends."""
    last = end_of(sparsifier)
    steps = {1, 2, last // 4, last // 2, 3 * last // 4, last, last + 1}
    rule = sparsifier.regrowth
    if rule is not None:
        steps |= {rule.interval, min(last, rule.end) // rule.interval * rule.interval}
    return sorted(step for step in steps if step > 0)


def end_of(sparsifier: Sparsifier) -> int:
    """Return the first step at which everything is cut."""
    schedule = _schedule(sparsifier)
    if schedule is None:
        return 3
    high = 1
    while high < LAST and schedule(high) < 1:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if schedule(middle) >= 1 else (middle, high)
    return high


def go_to(sparsifier: Sparsifier, steps_taken: int) -> None:
    """Let a sparsifier believe that it has taken so many steps."""
    state = sparsifier.state_dict()
    sparsifier.load_state_dict(state | {"steps_taken": torch.tensor(steps_taken)})


def _schedule(sparsifier: Sparsifier) -> Callable[[int], float] | None:
    schedule: Callable[[int], float] | None = getattr(sparsifier.pruner, "schedule", None)
    return schedule
