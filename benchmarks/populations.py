"""Throughput of populations against the same networks trained one after another."""

from __future__ import annotations

import torch
from torch import nn

from common import Row, compare
from masked import masked
from wireloom.data import Dataset, batches, load
from wireloom.models import Build, Population
from wireloom.training import Recipe
from wireloom.training.optimiser import Optimiser
from wireloom.training.running import Training
from wireloom.wiring import Wiring, complete, published_sample


def train_masked(net: nn.Module, data: Dataset, batch: int, steps: int) -> None:
    """Steps of ordinary torch training."""
    optimiser = torch.optim.SGD(
        net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    done = 0
    while done < steps:
        for x, labels in batches(data, batch=batch, data_seed=0, epoch=0, augment=()):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x.t()), labels).backward()
            optimiser.step()
            done += 1
            if done == steps:
                return


def train_ours(population: Population, data: Dataset, batch: int, steps: int) -> None:
    """Whole steps of a population: forward, loss, backward, optimiser."""
    recipe = Recipe(batch=batch, epochs=10**6, evaluate=10**6, augment=())
    few = Dataset(
        name=data.name,
        train_images=data.train_images[: batch * steps],
        train_labels=data.train_labels[: batch * steps],
        test_images=data.test_images,
        test_labels=data.test_labels,
        classes=data.classes,
        mean=data.mean,
        std=data.std,
    )
    Training(population, few, Optimiser(population, recipe)).run_epoch()


def populations(rounds: int) -> list[Row]:
    """Throughput of a population against its networks trained one after another, masked."""
    data = load("patches")
    rows = []
    wirings: list[Wiring] = [complete(nodes=64), *published_sample().values()]
    for width, members, batch, steps in (
        (64, 53, 32, 40),
        (64, 53, 128, 20),
        (128, 53, 128, 20),
        (512, 24, 128, 8),
    ):
        build = Build(image=data.image, classes=data.classes, width=width, stem=width)
        chosen = wirings[:members]
        together = Population([build.member(w, 0) for w in chosen])
        sample = chosen[1 :: max(1, members // 6)][:6]
        plain_nets = [masked(build.shape(w), w) for w in sample]

        def plain(
            nets: list[nn.Sequential] = plain_nets, batch: int = batch, steps: int = steps
        ) -> None:
            for net in nets:
                train_masked(net, data, batch, steps)

        def ours(together: Population = together, batch: int = batch, steps: int = steps) -> None:
            train_ours(together, data, batch, steps)

        scale = (1e3 / (members * steps), 1e3 / (len(plain_nets) * steps))
        mine, theirs, ratio, low, high = compare(ours, plain, rounds, scale)
        widths = [m.shape.width for m in together.members]
        rows.append(
            (
                f"training step, {members} wired MLPs as a population: base width {width}, matched "
                f"{min(widths)}-{max(widths)}, batch {batch}, {torch.get_num_threads()} threads",
                f"{mine:.3f} ms a network",
                f"masked, one by one {theirs:.3f} ms",
                f"{ratio:.1f}x ({low:.1f}-{high:.1f})",
            )
        )
    return rows
