"""Normalisation and loss of a training step against torch's own, on the same memory layout."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from common import Row, compare
from wireloom.compute import cross_entropy, norm

SHAPES = {  # features, samples: repetitions a round
    "53 MLPs, base width 64, batch 128": (3392, 128, 20),
    "one MLP, width 64, batch 128": (64, 128, 400),
    "64 maps of 56x56, 32 images": (64, 32 * 56 * 56, 2),
    "512 maps of 7x7, 32 images": (512, 32 * 49, 20),
}


def repeated(
    call: Callable[[], Tensor], leaves: list[Tensor], upstream: Tensor, times: int
) -> Callable[[], None]:
    """Forward and backward, many times."""

    def work() -> None:
        for _ in range(times):
            torch.autograd.grad(call(), leaves, upstream)

    return work


def normalisation(name: str, features: int, count: int, times: int, rounds: int) -> Row:
    """Normalisation and ReLU; torch reads [1, features, samples], the same memory."""
    x = torch.randn(features, count)
    scale, shift = torch.ones(features).requires_grad_(), torch.zeros(features).requires_grad_()
    state, upstream = (torch.zeros(features), torch.ones(features)), torch.randn(features, count)
    mine, theirs = x.requires_grad_(), x.detach()[None].requires_grad_()

    def ours() -> Tensor:
        return norm(mine, scale, shift, *state, training=True)

    def plain() -> Tensor:
        return F.relu(F.batch_norm(theirs, *state, scale, shift, True))

    return _row(
        f"normalisation and ReLU, {name}",
        repeated(ours, [mine, scale, shift], upstream, times),
        repeated(plain, [theirs, scale, shift], upstream[None], times),
        rounds,
        times,
    )


def loss(rounds: int) -> Row:
    """The loss of many members."""
    logits, labels = torch.randn(53, 10, 128).requires_grad_(), torch.arange(128) % 10
    each, upstream = labels.expand(53, 128), torch.ones(53)

    def ours() -> Tensor:
        return cross_entropy(logits, labels)[0]

    def plain() -> Tensor:
        return F.cross_entropy(logits, each, reduction="none").mean(1)

    sides = [repeated(call, [logits], upstream, 20) for call in (ours, plain)]
    return _row("loss of 53 members, 10 classes, batch 128", *sides, rounds, 20)


def layers(rounds: int) -> list[Row]:
    """Forward and backward of normalisation with ReLU, and of the loss."""
    rows = [normalisation(name, *shape, rounds) for name, shape in SHAPES.items()]
    return [*rows, loss(rounds)]


def _row(
    name: str, ours: Callable[[], None], plain: Callable[[], None], rounds: int, times: int
) -> Row:
    scale = (1e3 / times, 1e3 / times)
    mine, theirs, ratio, low, high = compare(ours, plain, rounds, scale)
    return (
        f"{name}, forward + backward, {torch.get_num_threads()} threads",
        f"{mine:.3f} ms",
        f"torch {theirs:.3f} ms",
        f"{ratio:.1f}x ({low:.1f}-{high:.1f})",
    )
