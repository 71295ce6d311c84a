"""One optimiser step for a whole population, each member with its own rates and clipping."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import cpu
from wireloom.models import Population
from wireloom.nn.spans import take
from wireloom.training.recipe import Recipe

BETAS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


def per_member(name: str, value: float | Sequence[float] | Tensor, members: int) -> Tensor:
    """``value`` for every member, as float64 [members]; a number serves all."""
    given = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    if given.dim() == 0:
        given = given.expand(members)
    if given.shape != (members,) or not bool((given >= 0).all()) or not given.isfinite().all():
        raise InvalidValue(
            f"`{name}` must be one number from 0, or one for each of {members} members; "
            f"got {given.tolist() if given.numel() < 9 else list(given.shape)}"
        )
    return given.contiguous().clone()


class Optimiser:
    """SGD or Adam over a population, elementwise, so a member's step is that which it takes alone.

    Args:
        population: whose parameters it steps, in place.
        recipe: kind of optimiser, momentum, clipping.
        lr: factor on the recipe's schedule: learning rate of the first epoch, one or [members].
        weight_decay: one or [members].
    """

    def __init__(
        self,
        population: Population,
        recipe: Recipe,
        *,
        lr: float | Sequence[float] | Tensor | None = None,
        weight_decay: float | Sequence[float] | Tensor | None = None,
    ) -> None:
        members = len(population)
        self.population, self.recipe = population, recipe
        self.lr = per_member("lr", recipe.lr if lr is None else lr, members)
        self.weight_decay = per_member(
            "weight_decay", recipe.weight_decay if weight_decay is None else weight_decay, members
        )
        self.steps = 0
        slots = ("velocity",) if recipe.optimiser == "sgd" else ("first", "second")
        self.state: dict[str, dict[str, Tensor]] = {
            slot: {name: torch.zeros_like(p.detach()) for name, p in self._parameters()}
            for slot in slots
        }

    def _parameters(self) -> Iterable[tuple[str, torch.nn.Parameter]]:
        return self.population.net.named_parameters()

    def step(self, epoch: int) -> None:
        """Step every parameter that has a gradient, at the rate of ``epoch``."""
        self.steps += 1
        factor = self.recipe.rate(epoch) / self.recipe.lr
        rate = self.lr * factor
        clip = None if self.recipe.clip is None else self._clip(self.recipe.clip)
        for name, parameter in self._parameters():
            if parameter.grad is None:
                continue
            spans = self.population.spans[name]
            slots = [self.state[slot][name] for slot in self.state]
            p, g = parameter.detach(), parameter.grad.contiguous()
            if cpu.serves(p, g):
                self._native(spans, p, slots, g, rate, clip)
            else:
                self._reference(spans, p, slots, g, rate, clip)

    def _native(
        self,
        spans: Tensor,
        p: Tensor,
        slots: list[Tensor],
        g: Tensor,
        rate: Tensor,
        clip: Tensor | None,
    ) -> None:
        rate, decay = rate.float(), self.weight_decay.float()
        clip = None if clip is None else clip.float()
        if self.recipe.optimiser == "sgd":
            cpu.sgd(
                spans,
                p,
                slots[0],
                g,
                rate,
                decay,
                clip,
                momentum=self.recipe.momentum,
                nesterov=self.recipe.momentum > 0,
            )
        else:
            first, second = slots
            cpu.adam(
                spans,
                p,
                first,
                second,
                g,
                rate,
                decay,
                clip,
                betas=BETAS,
                epsilon=EPSILON,
                step=self.steps,
                decoupled=self.recipe.optimiser == "adamw",
            )

    def _reference(
        self,
        spans: Tensor,
        p: Tensor,
        slots: list[Tensor],
        g: Tensor,
        rate: Tensor,
        clip: Tensor | None,
    ) -> None:
        def spread(values: Tensor) -> Tensor:
            return values.to(p).repeat_interleave((spans[1:] - spans[:-1]).to(p.device))

        rates, decays = spread(rate), spread(self.weight_decay)
        if clip is not None:
            g = g * spread(clip)
        if self.recipe.optimiser == "sgd":
            (velocity,) = slots
            d = g + decays * p
            velocity.mul_(self.recipe.momentum).add_(d)
            p -= rates * (d + self.recipe.momentum * velocity)
            return
        first, second = slots
        if self.recipe.optimiser == "adamw":
            p -= rates * decays * p
        else:
            g = g + decays * p
        first.lerp_(g, 1 - BETAS[0])
        second.mul_(BETAS[1]).add_((1 - BETAS[1]) * g * g)
        root = (second / (1 - BETAS[1] ** self.steps)).sqrt_() + EPSILON
        p -= rates * (first / (1 - BETAS[0] ** self.steps)) / root

    def _clip(self, most: float) -> Tensor:
        """Factor that brings each member's gradient norm to ``most`` at the most: [members]."""
        members = len(self.population)
        sums = torch.zeros(members, dtype=torch.float64)
        for name, parameter in self._parameters():
            if parameter.grad is None:
                continue
            g, spans = parameter.grad.contiguous(), self.population.spans[name]
            if cpu.serves(g):
                cpu.add_square_norms(sums, spans, g)
            else:
                parts = g.double().cpu().split((spans[1:] - spans[:-1]).tolist())
                sums += torch.stack([part.square().sum() for part in parts])
        return (most / (sums.sqrt() + 1e-6)).clamp(max=1.0)

    def keep(self, ids: Sequence[int], population: Population) -> Optimiser:
        """The optimiser of ``population``: this one's members ``ids``, with their state."""
        kept = Optimiser(
            population,
            self.recipe,
            lr=self.lr[list(ids)],
            weight_decay=self.weight_decay[list(ids)],
        )
        kept.steps = self.steps
        for slot, tensors in self.state.items():
            for name, tensor in tensors.items():
                kept.state[slot][name] = take(tensor, self.population.spans[name], ids)
        return kept

    @staticmethod
    def merge(parts: Sequence[Optimiser], population: Population) -> Optimiser:
        """The optimiser of ``population``, which is the parts' populations merged.

        Raises:
            InvalidValue: if the parts have not taken the same number of steps, or differ in recipe.
        """
        if len({(part.steps, part.recipe) for part in parts}) != 1:
            raise InvalidValue(
                "optimisers can be merged when they have one recipe and equal steps; "
                f"got steps {[part.steps for part in parts]}"
            )
        merged = Optimiser(
            population,
            parts[0].recipe,
            lr=torch.cat([part.lr for part in parts]),
            weight_decay=torch.cat([part.weight_decay for part in parts]),
        )
        merged.steps = parts[0].steps
        for slot, tensors in merged.state.items():
            for name in tensors:
                tensors[name] = torch.cat([part.state[slot][name] for part in parts])
        return merged
