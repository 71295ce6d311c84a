"""Speed on this machine, as ratios against the plain alternatives, both sides in one run.

    python benchmarks/run.py [--quick] [--out FILE]

Medians of several rounds, the two sides taking turns; the spread is the range of the rounds'
ratios. The table is printed and, with --out, written as Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import torch
from torch import nn

from wireloom.base import write_whole
from wireloom.compute import Pattern
from wireloom.data import Dataset, batches, load
from wireloom.models import Build, Population
from wireloom.training import Recipe, machine
from wireloom.training.loop import Training
from wireloom.training.optimiser import Optimiser
from wireloom.wiring import Wiring, complete, measure, published_sample

Row = tuple[str, str, str, str]


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(
    ours: Callable[[], object], plain: Callable[[], object], rounds: int, scale: tuple[float, float]
) -> tuple[float, float, float, float, float]:
    """Median seconds of both, scaled, and median, least and largest ratio plain / ours."""
    ours(), plain()  # warm-up
    pairs = [(seconds(ours) * scale[0], seconds(plain) * scale[1]) for _ in range(rounds)]
    ratios = [b / a for a, b in pairs]
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return mine, theirs, statistics.median(ratios), min(ratios), max(ratios)


def graphs(rounds: int) -> list[Row]:
    """C and L of 64-node graphs: the published 449 against networkx on 12 of them."""
    wirings = list(published_sample(64, 449).values())
    few = [w.to_networkx() for w in wirings[::38]]

    def plain() -> None:
        for graph in few:
            nx.average_clustering(graph)
            nx.average_shortest_path_length(graph)

    rows = []
    for threads in (1, 2):
        mine, theirs, ratio, low, high = compare(
            lambda threads=threads: measure(wirings, threads=threads),
            plain,
            rounds,
            (1e6 / len(wirings), 1e6 / len(few)),
        )
        rows.append(
            (
                f"C and L of a 64-node graph, {threads} thread{'s' * (threads > 1)}",
                f"{mine:.1f} us",
                f"networkx {theirs:,.0f} us",
                f"{ratio:,.0f}x ({low:,.0f}-{high:,.0f})",
            )
        )
    return rows


class MaskedMLP(nn.Module):
    """The same network as the published code has it: a mask multiplied onto dense weights."""

    def __init__(self, patterns: list[Pattern]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(
            nn.Linear(p.shape[1], p.shape[0], bias=p is patterns[-1]) for p in patterns
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(p.shape[0]) for p in patterns[:-1])
        for linear, pattern in zip(self.linears, patterns, strict=True):
            wired = 0 < pattern.density < 1
            mask = torch.from_numpy(pattern.mask()).float() if wired else None
            linear.register_buffer("mask", mask)
            nn.init.normal_(linear.weight, std=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, linear in enumerate(self.linears):
            weight = linear.weight if linear.mask is None else linear.weight * linear.mask
            x = nn.functional.linear(x, weight, linear.bias)
            if i < len(self.norms):
                x = nn.functional.relu(self.norms[i](x))
        return x


def train_masked(net: MaskedMLP, data: Dataset, batch: int, steps: int) -> None:
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
        masked = [MaskedMLP(build.shape(w).patterns(w)) for w in sample]

        def plain(masked: list[MaskedMLP] = masked, batch: int = batch, steps: int = steps) -> None:
            for net in masked:
                train_masked(net, data, batch, steps)

        def ours(together: Population = together, batch: int = batch, steps: int = steps) -> None:
            train_ours(together, data, batch, steps)

        scale = (1e3 / (members * steps), 1e3 / (len(masked) * steps))
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


def startup(rounds: int) -> list[Row]:
    """Wall time of `wireloom --help`."""
    command = [str(Path(sys.executable).with_name("wireloom")), "--help"]
    times = [
        seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        for _ in range(rounds + 1)
    ][1:]
    spread = f"{min(times):.3f}-{max(times):.3f} s"
    return [("`wireloom --help`", f"{statistics.median(times):.3f} s", "", spread)]


def main() -> None:
    """Run every benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    options = parser.parse_args()
    rounds = 3 if options.quick else 9
    rows = [*graphs(rounds), *populations(rounds), *startup(rounds)]
    about = ", ".join(f"{k} {v}" for k, v in machine().items() if k != "threads")
    lines = [
        f"{about}; medians of {rounds} rounds, ranges in brackets; networkx {nx.__version__}",
        "",
        "| what | Wireloom | plain | ratio |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    print("\n".join(lines))
    if options.out:
        write_whole(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
