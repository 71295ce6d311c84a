"""A training in progress: what one step and one epoch do, and what of it must be kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from wireloom.compute import cross_entropy
from wireloom.data import Samples, batches, evaluation_batches, steps_per_epoch
from wireloom.models import Population
from wireloom.nn import FeatureNorm
from wireloom.training.optimiser import Optimiser
from wireloom.training.processes import Processes

EVALUATION_PIXELS = 512 * 32 * 32  # of a batch, with at most 512 samples
CURVES = ("epoch", "train_loss", "test_loss", "test_error")


class Training:
    """A training in progress, between two steps: population, optimiser, curves.

    Attributes:
        epoch, step: whole epochs done, and steps done of the next.
        losses: sums of the step's mean losses in that epoch so far: float64 [members].
        curves: what each evaluation found.
        average: running averages of the parameters, if the recipe has them.
        seconds: time taken.
        processes: that train together; each has its own `Training`, alike after every step.
    """

    def __init__(
        self,
        population: Population,
        data: Samples,
        optimiser: Optimiser,
        processes: Processes | None = None,
    ) -> None:
        self.population, self.data, self.optimiser = population, data, optimiser
        self.processes = processes or Processes()
        self.recipe = optimiser.recipe
        self.epoch = self.step = 0
        self.seconds = 0.0
        self.curves: dict[str, list[Tensor]] = {name: [] for name in CURVES}
        parameters = dict(population.net.named_parameters())
        self.average = (
            {name: p.detach().clone() for name, p in parameters.items()}
            if self.recipe.average
            else {}
        )
        like = next(iter(parameters.values()))
        self.dtype, self.device = like.dtype, like.device
        self.losses = torch.zeros(len(population), dtype=torch.float64, device=self.device)
        self._norms = [m for m in population.net.modules() if isinstance(m, FeatureNorm)]

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(self.data, self.recipe.batch)

    def _precision(self) -> AbstractContextManager[object]:
        """Where forward passes run, so that products have the recipe's precision."""
        if self.recipe.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, getattr(torch, self.recipe.precision))

    def _placed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, labels = batch
        return x.to(self.device, self.dtype), labels.to(self.device)

    def run_epoch(self, after_step: Callable[[], None] | None = None) -> None:
        """Train to the end of the epoch, and evaluate there where the recipe says so.

        ``after_step`` is called after each step, when the training may be kept.
        """
        recipe = self.recipe
        self.population.train()
        mark = time.perf_counter()
        for batch in batches(
            self.data,
            batch=recipe.batch,
            data_seed=recipe.data_seed,
            epoch=self.epoch,
            augment=self.data.augment if recipe.augment is None else recipe.augment,
            start=self.step,
            share=self.processes.share,
        ):
            self._step(*self._placed(batch))
            self.step += 1
            now = time.perf_counter()
            self.seconds, mark = self.seconds + now - mark, now
            if after_step:
                after_step()
        evaluated = recipe.evaluates(self.epoch)
        self.epoch += 1
        if evaluated:
            loss, error = self.evaluate()
            self.curves["epoch"].append(torch.tensor(self.epoch))
            self.curves["train_loss"].append((self.losses / self.steps).cpu())
            self.curves["test_loss"].append(loss)
            self.curves["test_error"].append(error)
        self.step = 0
        self.losses.zero_()
        self.seconds += time.perf_counter() - mark

    def _step(self, x: Tensor, labels: Tensor) -> None:
        self.optimiser.zero_grad()
        if self.processes.count == 1:
            loss = self._backward(x, labels)
        else:
            before = [(n.running_mean.clone(), n.running_variance.clone()) for n in self._norms]
            loss = self._backward(x, labels)
            self._join(loss, before)
        self.optimiser.step(self.epoch)
        self._follow()
        self.losses += loss

    def _backward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Add the gradients of this process's parts of a batch; its share of the mean loss."""
        parts = self.recipe.accumulate // self.processes.count
        count = len(labels) * self.processes.count
        total = torch.zeros(len(self.population), device=self.device)
        for some, theirs in zip(x.chunk(parts, 1), labels.chunk(parts), strict=True):
            with self._precision():
                found = self.population.features(some.contiguous())
                loss, _ = cross_entropy(found, theirs, smoothing=self.recipe.smoothing)
            if len(theirs) < count:
                loss = loss * (len(theirs) / count)
            loss.sum().backward()
            total += loss.detach()
        return total

    @torch.no_grad()
    def _join(self, loss: Tensor, before: list[tuple[Tensor, Tensor]]) -> None:
        """Give every process the sums of gradients and losses, and one run of running values.

        One process would update the running values r part after part, r <- (1 - m) r + m s. With
        its own k parts each process has added a sum that later parts shrink by (1 - m) each, so the
        sums, shrunk by the parts of the processes behind, add up to what one process would have.
        """
        own, count = self.recipe.accumulate // self.processes.count, self.processes.count
        values, starts = [], []
        for norm, first in zip(self._norms, before, strict=True):
            kept = (1.0 - norm.momentum) ** own
            for value, start in zip((norm.running_mean, norm.running_variance), first, strict=True):
                value.sub_(start * kept).mul_(kept ** (count - 1 - self.processes.rank))
                values.append(value)
                starts.append(start * kept**count)
        gradients = [p.grad for p in self.population.parameters() if p.grad is not None]
        self.processes.add([*gradients, *values, loss])
        for value, start in zip(values, starts, strict=True):
            value.add_(start)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the averages follow the parameters a step."""
        for name, mean in self.average.items():
            parameter = self.population.net.get_parameter(name)
            # One rounding an operation: fused ones differ between a vector's body and its tail.
            mean += (parameter - mean) * (1.0 - self.recipe.average)

    @torch.no_grad()
    def exchange(self) -> None:
        """Swap the parameters and their averages; twice is nothing."""
        for name, mean in self.average.items():
            parameter = self.population.net.get_parameter(name)
            own = parameter.clone()
            parameter.copy_(mean)
            mean.copy_(own)

    @torch.no_grad()
    def evaluate(self) -> tuple[Tensor, Tensor]:
        """Mean test loss and top-1 test error in percent: float64 [members] each."""
        self.population.eval()
        members = len(self.population)
        losses = torch.zeros(members, dtype=torch.float64, device=self.device)
        wrong = torch.zeros(members, dtype=torch.int64, device=self.device)
        self.exchange()
        try:
            size = evaluation_batch(self.data.image)
            for batch in evaluation_batches(self.data, size, share=self.processes.share):
                x, labels = self._placed(batch)
                with self._precision():
                    loss, missed = cross_entropy(self.population.features(x), labels)
                losses += loss.double() * len(labels)
                wrong += missed
        finally:
            self.exchange()
        self.processes.add([losses, wrong])
        count = self.data.test_count
        return (losses / count).cpu(), (100.0 * wrong.double() / count).cpu()


def evaluation_batch(image: tuple[int, ...]) -> int:
    """Samples that are evaluated at once; of the images' size alone."""
    return max(1, min(512, EVALUATION_PIXELS // math.prod(image[1:])))
