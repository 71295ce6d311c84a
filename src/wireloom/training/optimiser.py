"""One optimiser step for a whole population, each member with its own rates and clipping."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import cpu
from wireloom.compute.cpu import Stepped
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
        # As torch's optimisers, it steps the parameters that there are when it is made.
        self.parameters = dict(population.net.named_parameters())
        slots = ("velocity",) if recipe.optimiser == "sgd" else ("first", "second")
        self.state: dict[str, dict[str, Tensor]] = {
            slot: {name: torch.zeros_like(p.detach()) for name, p in self.parameters.items()}
            for slot in slots
        }
        self._owners: dict[str, Tensor] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self, epoch: int) -> None:
        """Step every parameter that has a gradient, at the rate of ``epoch``.

        Operation by operation, r being the rate, w the weight decay, c the clip's factor:

            SGD     d = g c + w p;  v = m v + d;  p = p - r (d + m v)
            Adam    d = g c + w p (AdamW: d = g c);  a = a + (1 - b1) (d - a);
                    s = b2 s + ((1 - b2) d) d;
                    p = p - (r / k1) a / (sqrt(s) / sqrt(k2) + epsilon), k = 1 - b^steps
                    (AdamW: p (1 - r w) in the place of p)

        All parameters of float32 on the CPU are stepped by one native call, one pass over memory.
        """
        self.steps += 1
        rate = self.lr * (self.recipe.rate(epoch) / self.recipe.lr)
        native: list[Stepped] = []
        others: list[tuple[str, Stepped]] = []
        slots = list(self.state.values())
        for name, p in self.parameters.items():
            if (g := p.grad) is None:
                continue
            first, second = slots[0][name], slots[-1][name]
            stepped = Stepped(self.population.spans[name], p, first, second, g.contiguous())
            if cpu.serves(p, g):
                native.append(stepped)
            else:
                others.append((name, stepped))
        clip = self._clip(native, others)
        if native:
            self._native(native, rate, clip)
        for name, stepped in others:
            self._reference(name, stepped, rate, clip)

    def _native(self, steps: list[Stepped], rate: Tensor, clip: Tensor | None) -> None:
        rate, decay = rate.float(), self.weight_decay.float()
        clip = None if clip is None else clip.float()
        momentum = self.recipe.momentum
        if self.recipe.optimiser == "sgd":
            cpu.sgd(steps, rate, decay, clip, momentum=momentum, nesterov=momentum > 0)
        else:
            cpu.adam(
                steps,
                rate,
                decay,
                clip,
                betas=BETAS,
                epsilon=EPSILON,
                step=self.steps,
                decoupled=self.recipe.optimiser == "adamw",
            )

    def _owner(self, name: str, stepped: Stepped) -> Tensor:
        """The member that each value of a parameter belongs to: int64, where the parameter is."""
        device = stepped.value.device
        if name not in self._owners or self._owners[name].device != device:
            sizes = stepped.spans[1:] - stepped.spans[:-1]
            self._owners[name] = torch.arange(len(sizes)).repeat_interleave(sizes).to(device)
        return self._owners[name]

    def _reference(self, name: str, stepped: Stepped, rate: Tensor, clip: Tensor | None) -> None:
        _, p, first, second, g = stepped
        owner = self._owner(name, stepped)

        def spread(values: Tensor) -> Tensor:
            return values.to(p)[owner]

        decay = self.weight_decay
        if clip is not None:
            g = g * spread(clip)
        if self.recipe.optimiser == "sgd":
            d = g + spread(decay) * p
            first.mul_(self.recipe.momentum).add_(d)
            p -= spread(rate) * (d + self.recipe.momentum * first)
            return
        # Rates that are computed with are rounded to the parameter's type before.
        rate, decay = rate.to(p), decay.to(p)
        if self.recipe.optimiser == "adamw":
            d, kept = g, p * (1 - rate * decay)[owner]
        else:
            d, kept = g + decay[owner] * p, p
        first += (1 - BETAS[0]) * (d - first)
        second.mul_(BETAS[1]).add_((1 - BETAS[1]) * d * d)
        root = torch.tensor(1 - BETAS[1] ** self.steps, dtype=p.dtype, device=p.device).sqrt_()
        step = rate / (1 - BETAS[0] ** self.steps)
        p.copy_(kept - step[owner] * first / (second.sqrt() / root + EPSILON))

    def _clip(
        self, native: Sequence[Stepped], others: Sequence[tuple[str, Stepped]]
    ) -> Tensor | None:
        """Factor that brings each member's gradient norm to the recipe's at the most: [members]."""
        if self.recipe.clip is None:
            return None
        sums = torch.zeros(len(self.population), dtype=torch.float64)
        if native:
            cpu.add_square_norms(sums, native)
        for _, stepped in others:
            sizes = (stepped.spans[1:] - stepped.spans[:-1]).tolist()
            parts = stepped.gradient.double().cpu().split(sizes)
            sums += torch.stack([part.square().sum() for part in parts])
        return (self.recipe.clip / (sums.sqrt() + 1e-6)).clamp(max=1.0)

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
