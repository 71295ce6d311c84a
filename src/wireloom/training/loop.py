"""`fit`: the one loop that trains a population."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.data import Samples
from wireloom.models import Member, Net, Population
from wireloom.training import checkpoint as checkpoints
from wireloom.training.machine import available_memory, machine
from wireloom.training.optimiser import Optimiser
from wireloom.training.processes import Processes, current
from wireloom.training.recipe import Recipe
from wireloom.training.running import Training, evaluation_batch

SHARE = 20.0  # a checkpoint takes at most one part in so many of the time


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
    watch_step: Callable[[Training], None] | None = None,
    memory: int | None = None,
) -> Result:
    """Train a network, or a population of them, in place.

    Each member is trained on the mean loss of its own; the population's loss is their sum. A
    population too large for the memory is trained part after part, with the same result.

    In a process group of torch.distributed, each of its n processes works 1/n of the parts that
    ``recipe.accumulate`` cuts a batch into; the result is that of one process with the same recipe,
    to rounding. All call fit alike; the first writes the checkpoints, which all must see.

    Args:
        net: what to train.
        data: on what.
        recipe: how.
        lr: learning rate of the first epoch instead of the recipe's: one, or one for each member.
        weight_decay: likewise.
        checkpoint: file that holds the state between two steps; if it is there, the training goes
            on from it, to the same bits as if never stopped. It is left in place at the end.
        every: least seconds between two checkpoints; where writing one takes more than a twentieth
            of that, twenty times as long as it takes. 0 writes one after each step.
        progress: called after each epoch with the number of member-epochs done by it.
        watch: called after each epoch with the training, whose curves can be looked at.
        watch_step: called after each step with the training.
        memory: bytes that the training may take; what is available by default.

    Raises:
        InvalidValue: if network and data do not fit, the checkpoint is of another training, or a
            batch cannot be shared among the processes.
        ProcessLost: if another process of the group has ended.

    Example:
        >>> fit(build("mlp", w, image=(1, 8, 8), width=64, stem=64), load("digits"), Recipe())
    """
    recipe = recipe or Recipe()
    population = _of(net)
    check(population, data)
    processes = current()
    _check_shares(recipe, data, processes)
    optimiser = Optimiser(population, recipe, lr=lr, weight_decay=weight_decay)
    where = next(population.net.parameters()).device
    limit = memory if memory is not None else available_memory(where) * 3 // 4
    parts = _parts([member_bytes(m, recipe.batch) for m in population.members], limit)
    if processes.count > 1 and len(parts) > 1:
        raise InvalidValue(
            f"the population of {len(population)} must fit the memory to be trained by "
            f"{processes.count} processes; it would take {len(parts)} parts"
        )
    results = []
    for i, ids in enumerate(parts):
        path = None
        if checkpoint is not None:
            path = Path(checkpoint) if len(parts) == 1 else Path(f"{checkpoint}.{i}")
        some = population if len(parts) == 1 else population.keep(ids)
        its = optimiser if len(parts) == 1 else optimiser.keep(ids, some)
        training = Training(some, data, its, processes)
        _train(training, path, every, progress, watch, watch_step)
        if len(parts) > 1:
            population.load(ids[0], some)
        results.append(_result(training))
    return _joined(results)


def _check_shares(recipe: Recipe, data: Samples, processes: Processes) -> None:
    """Raise unless every process gets the same number of equal parts of a batch."""
    count, batch = processes.count, min(recipe.batch, data.train_count)
    if recipe.accumulate % count:
        raise InvalidValue(
            f"`accumulate` of a recipe must be a multiple of the {count} processes that train; "
            f"got {recipe.accumulate}"
        )
    if count > 1 and batch % recipe.accumulate:
        raise InvalidValue(
            f"`batch` of a recipe must part evenly into `accumulate` = {recipe.accumulate} where "
            f"{count} processes train; got {batch} samples"
        )


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
    watch_step: Callable[[Training], None] | None,
) -> None:
    recipe, population, processes = training.recipe, training.population, training.processes
    identity = checkpoints.identity(training) if path or processes.count > 1 else ""
    if path and path.exists():
        checkpoints.restore(training, path, identity)
        if progress and training.epoch:
            progress(training.epoch * len(population))
    processes.agree(f"{identity} {training.epoch} {training.step}")
    keeper = _Keeper(training, path if processes.rank == 0 else None, every, identity)

    def after_step() -> None:
        keeper.step()
        if watch_step:
            watch_step(training)

    while training.epoch < recipe.epochs:
        training.run_epoch(after_step)
        if training.epoch == recipe.epochs:
            keeper.save()
        else:
            keeper.step()
        if progress:
            progress(len(population))
        if watch:
            watch(training)
    training.exchange()  # the networks end with their averages


class _Keeper:
    """Writes a training's checkpoints, not so often that it would notice."""

    def __init__(self, training: Training, path: Path | None, every: float, identity: str) -> None:
        self.training, self.path, self.identity = training, path, identity
        self.every = self.pause = every
        self.saved = time.monotonic()

    def step(self) -> None:
        """Write one if it is time."""
        if self.path and time.monotonic() - self.saved >= self.pause:
            self.save()

    def save(self) -> None:
        if not self.path:
            return
        started = time.monotonic()
        checkpoints.save(self.training, self.path, self.identity)
        self.saved = time.monotonic()
        if self.every > 0:
            self.pause = max(self.every, SHARE * (self.saved - started))


def _result(training: Training) -> Result:
    """What a training has come to."""
    rows = {name: torch.stack(values) for name, values in training.curves.items()}
    return Result(
        error=rows["test_error"][-1],
        loss=rows["test_loss"][-1],
        epochs=rows["epoch"],
        train_loss=rows["train_loss"],
        test_loss=rows["test_loss"],
        test_error=rows["test_error"],
        seconds=training.seconds,
        machine=machine(training.device),
    )


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
