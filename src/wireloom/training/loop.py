"""`fit`: the one loop that trains a population."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import cross_entropy
from wireloom.data import Samples, batches, evaluation_batches
from wireloom.models import Member, Net, Population
from wireloom.training import checkpoint as checkpoints
from wireloom.training.machine import available_memory, machine
from wireloom.training.optimiser import Optimiser
from wireloom.training.recipe import Recipe

EVALUATION_PIXELS = 512 * 32 * 32  # of a batch, with at most 512 samples
CURVES = ("epoch", "train_loss", "test_loss", "test_error")


@dataclass(frozen=True)
class Result:
    """What came of a training; vectors are over its members.

    error: top-1 test error after the last epoch, percent: float64 [members].
    loss: mean test cross-entropy, nats: float64 [members].
    epochs: evaluated epochs, counted from 1: int64 [evaluations].
    train_loss, test_loss, test_error: at those epochs: float64 [evaluations, members].
    seconds: time that the training took, all members together.
    machine: hardware and versions.
    """

    error: Tensor
    loss: Tensor
    epochs: Tensor
    train_loss: Tensor
    test_loss: Tensor
    test_error: Tensor
    seconds: float
    machine: dict[str, str | int]


class Training:
    """A training in progress: population, optimiser and curves, between two epochs."""

    def __init__(self, population: Population, data: Samples, optimiser: Optimiser) -> None:
        self.population, self.data, self.optimiser = population, data, optimiser
        self.recipe = optimiser.recipe
        self.epoch = 0
        self.seconds = 0.0
        self.curves: dict[str, list[Tensor]] = {name: [] for name in CURVES}
        parameters = dict(population.net.named_parameters())
        self.average = (
            {name: p.detach().clone() for name, p in parameters.items()}
            if self.recipe.average
            else {}
        )
        like = next(iter(parameters.values()))
        self._dtype, self._device = like.dtype, like.device

    def _placed(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        x, labels = batch
        return x.to(self._device, self._dtype), labels.to(self._device)

    def run_epoch(self) -> None:
        """Train one epoch, and evaluate after it where the recipe says so."""
        started = time.perf_counter()
        recipe, population = self.recipe, self.population
        population.train()
        losses = torch.zeros(len(population), dtype=torch.float64, device=self._device)
        steps = 0
        for batch in batches(
            self.data,
            batch=recipe.batch,
            data_seed=recipe.data_seed,
            epoch=self.epoch,
            augment=self.data.augment if recipe.augment is None else recipe.augment,
        ):
            self.optimiser.zero_grad()
            losses += self._backward(*self._placed(batch))
            self.optimiser.step(self.epoch)
            self._follow()
            steps += 1
        evaluated = recipe.evaluates(self.epoch)
        self.epoch += 1
        if evaluated:
            loss, error = self.evaluate()
            self.curves["epoch"].append(torch.tensor(self.epoch))
            self.curves["train_loss"].append((losses / steps).cpu())
            self.curves["test_loss"].append(loss)
            self.curves["test_error"].append(error)
        self.seconds += time.perf_counter() - started

    def _backward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Add the gradients of a batch, part by part; its mean loss: [members]."""
        parts = self.recipe.accumulate
        total = torch.zeros(len(self.population), device=self._device)
        for some, theirs in zip(x.chunk(parts, 1), labels.chunk(parts), strict=True):
            found = self.population.features(some.contiguous())
            loss, _ = cross_entropy(found, theirs, smoothing=self.recipe.smoothing)
            if len(theirs) < len(labels):
                loss = loss * (len(theirs) / len(labels))
            loss.sum().backward()
            total += loss.detach()
        return total

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
        losses = torch.zeros(members, dtype=torch.float64, device=self._device)
        wrong = torch.zeros(members, dtype=torch.int64, device=self._device)
        self.exchange()
        try:
            for batch in evaluation_batches(self.data, evaluation_batch(self.data.image)):
                x, labels = self._placed(batch)
                loss, missed = cross_entropy(self.population.features(x), labels)
                losses += loss.double() * len(labels)
                wrong += missed
        finally:
            self.exchange()
        count = self.data.test_count
        return (losses / count).cpu(), (100.0 * wrong.double() / count).cpu()

    def result(self) -> Result:
        """What the training has come to."""
        rows = {name: torch.stack(values) for name, values in self.curves.items()}
        return Result(
            error=rows["test_error"][-1],
            loss=rows["test_loss"][-1],
            epochs=rows["epoch"],
            train_loss=rows["train_loss"],
            test_loss=rows["test_loss"],
            test_error=rows["test_error"],
            seconds=self.seconds,
            machine=machine(self._device),
        )


def evaluation_batch(image: tuple[int, ...]) -> int:
    """Samples that are evaluated at once; of the images' size alone."""
    return max(1, min(512, EVALUATION_PIXELS // math.prod(image[1:])))


def member_bytes(member: Member, batch: int) -> int:
    """Memory that training one member takes, bytes: weights, gradients, momentum, activations."""
    cost = member.cost()
    samples = max(batch, evaluation_batch(member.shape.image) // 2)
    return 4 * (4 * cost.params + 6 * member.shape.activations() * samples)


def _of(net: Net | Population) -> Population:
    return net if isinstance(net, Population) else Population(net)


def check(population: Population, data: Samples) -> None:
    """Raise unless the population's inputs and outputs fit the data."""
    if not isinstance(data, Samples):
        raise InvalidValue(
            "`data` of fit must be a Dataset or other Samples, such as data.load gives; "
            f"got {str(data)[:100]!r}"
        )
    shape = population.members[0].shape
    channels, height, width = data.image
    if len(shape.image) == 3 and shape.image != tuple(data.image) and shape.model != "mlp":
        raise InvalidValue(
            f"the network reads images of {' x '.join(map(str, shape.image))}; data '{data.name}' "
            f"has {channels} x {height} x {width}"
        )
    if shape.inputs != channels * height * width:
        raise InvalidValue(
            f"the network reads {shape.inputs} features a sample; data '{data.name}' has "
            f"{channels * height * width} ({channels} x {height} x {width})"
        )
    if shape.classes < data.classes:
        raise InvalidValue(
            f"the network has {shape.classes} classes; data '{data.name}' has {data.classes}"
        )


def fit(
    net: Net | Population,
    data: Samples,
    recipe: Recipe | None = None,
    *,
    lr: float | Sequence[float] | Tensor | None = None,
    weight_decay: float | Sequence[float] | Tensor | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 60.0,
    progress: Callable[[int], None] | None = None,
    watch: Callable[[Training], None] | None = None,
    memory: int | None = None,
) -> Result:
    """Train a network, or a population of them, in place.

    Each member is trained on the mean loss of its own; the population's loss is their sum. A
    population too large for the memory is trained part after part, with the same result.

    Args:
        net: what to train.
        data: on what.
        recipe: how.
        lr: learning rate of the first epoch instead of the recipe's: one, or one for each member.
        weight_decay: likewise.
        checkpoint: file that holds the state between epochs; if it is there, the training goes on
            from it, to the same result as if never stopped. It is left in place at the end.
        every: seconds between two checkpoints.
        progress: called after each epoch with the number of member-epochs done by it.
        watch: called after each epoch with the training, whose curves can be looked at.
        memory: bytes that the training may take; what is available by default.

    Raises:
        InvalidValue: if network and data do not fit, or the checkpoint is of another training.

    Example:
        >>> fit(build("mlp", w, image=(1, 8, 8), width=64, stem=64), load("digits"), Recipe())
    """
    recipe = recipe or Recipe()
    population = _of(net)
    check(population, data)
    optimiser = Optimiser(population, recipe, lr=lr, weight_decay=weight_decay)
    where = next(population.net.parameters()).device
    limit = memory if memory is not None else available_memory(where) * 3 // 4
    parts = _parts([member_bytes(m, recipe.batch) for m in population.members], limit)
    results = []
    for i, ids in enumerate(parts):
        path = None
        if checkpoint is not None:
            path = Path(checkpoint) if len(parts) == 1 else Path(f"{checkpoint}.{i}")
        if len(parts) == 1:
            training = Training(population, data, optimiser)
            _train(training, path, every, progress, watch)
        else:
            part = population.keep(ids)
            training = Training(part, data, optimiser.keep(ids, part))
            _train(training, path, every, progress, watch)
            population.load(ids[0], part)
        results.append(training.result())
    return _joined(results)


def _parts(sizes: Sequence[int], limit: int) -> list[range]:
    """Consecutive ranges of members whose memory stays within ``limit``, at least one each."""
    parts, start, total = [], 0, 0
    for i, size in enumerate(sizes):
        if i > start and total + size > limit:
            parts.append(range(start, i))
            start, total = i, 0
        total += size
    return [*parts, range(start, len(sizes))]


def _train(
    training: Training,
    path: Path | None,
    every: float,
    progress: Callable[[int], None] | None,
    watch: Callable[[Training], None] | None,
) -> None:
    recipe, population = training.recipe, training.population
    identity = checkpoints.identity(training) if path else ""
    if path and path.exists():
        checkpoints.restore(training, path, identity)
        if progress:
            progress(training.epoch * len(population))
    saved = time.monotonic()
    while training.epoch < recipe.epochs:
        training.run_epoch()
        last = training.epoch == recipe.epochs
        if path and (last or time.monotonic() - saved >= every):
            checkpoints.save(training, path, identity)
            saved = time.monotonic()
        if progress:
            progress(len(population))
        if watch:
            watch(training)
    training.exchange()  # the networks end with their averages


def _joined(results: list[Result]) -> Result:
    if len(results) == 1:
        return results[0]
    return Result(
        error=torch.cat([r.error for r in results]),
        loss=torch.cat([r.loss for r in results]),
        epochs=results[0].epochs,
        train_loss=torch.cat([r.train_loss for r in results], dim=1),
        test_loss=torch.cat([r.test_loss for r in results], dim=1),
        test_error=torch.cat([r.test_error for r in results], dim=1),
        seconds=sum(r.seconds for r in results),
        machine=results[0].machine,
    )
