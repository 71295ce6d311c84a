"""Whole networks on wirings: against the dense one of equal multiply-adds, and the masked one.

    python benchmarks/networks.py [--quick] [--images N] [--size PIXELS] [--threads N] [--out FILE]

A ResNet-34 on a wiring of the consistent sweet spot (C .43-.50, L 1.8-2.3), inference and a
training step (forward, backward, SGD with momentum). The dense network is torch's own layers, in
both memory formats; for inference its normalisations are folded into the convolutions. The masked
one multiplies a mask onto dense weights of the wired widths, as published code does.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from common import Row, compare, show
from masked import MaskedLayer, masked
from wireloom.models import Build, Population
from wireloom.training import Recipe
from wireloom.training.optimiser import Optimiser
from wireloom.wiring import Wiring, published_sample


def sweet() -> Wiring:
    """The published wiring of 64 nodes nearest to the middle of the consistent sweet spot."""
    wirings = published_sample(64, 449).values()
    return min(
        wirings, key=lambda w: abs(w.clustering - 0.465) / 0.07 + abs(w.path_length - 2.05) / 0.46
    )


def folded(net: nn.Module) -> nn.Module:
    """A copy for inference, normalisations folded into the convolutions before them."""
    net = copy.deepcopy(net).eval()
    for layer in [m for m in net.modules() if isinstance(m, MaskedLayer)]:
        norm = layer.norm
        if isinstance(norm, nn.BatchNorm2d):
            layer.weight, layer.bias = fuse_conv_bn_weights(
                layer.weight,
                layer.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            layer.norm = nn.Identity()
    return net


def inferred(net: nn.Module, x: Tensor) -> Callable[[], object]:
    """A forward pass for inference."""

    def run() -> None:
        with torch.inference_mode():
            net(x)

    return run


def stepped(net: nn.Module, x: Tensor, labels: Tensor) -> Callable[[], object]:
    """A training step in torch."""
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, nesterov=True)
    net.train()

    def run() -> None:
        optimiser.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(x), labels).backward()
        optimiser.step()

    return run


def stepped_here(net: Population, x: Tensor, labels: Tensor) -> Callable[[], object]:
    """A training step of Wireloom's."""
    optimiser = Optimiser(net, Recipe(lr=1e-3))
    net.train()

    def run() -> None:
        for parameter in net.parameters():
            parameter.grad = None
        nn.functional.cross_entropy(net(x)[0], labels).backward()
        optimiser.step(0)

    return run


def networks(rounds: int, images: int, size: int) -> list[Row]:
    """Inference and training of the wired, the dense and the masked ResNet-34."""
    wiring = sweet()
    build = Build("resnet34", image=(3, size, size), classes=1000)
    member = build.member(wiring, 0)
    wired = Population([member])
    dense, plain = masked(build.baseline, None), masked(member.shape, wiring)
    x = torch.randn(images, 3, size, size)
    labels = torch.arange(images) % 1000
    last = {"memory_format": torch.channels_last}
    dense_last, x_last = copy.deepcopy(dense).to(**last), x.contiguous(**last)
    wired.eval()
    jobs = {
        "inference": (
            inferred(wired, x),
            {
                "dense": inferred(folded(dense), x),
                "dense, channels last": inferred(folded(dense).to(**last), x_last),
                "masked": inferred(plain.eval(), x),
            },
        )
    }
    rows = _rows(jobs, wiring, member.shape.widths, rounds, images, size)
    jobs = {
        "training step": (
            stepped_here(wired, x, labels),
            {
                "dense": stepped(dense, x, labels),
                "dense, channels last": stepped(dense_last, x_last, labels),
                "masked": stepped(plain, x, labels),
            },
        )
    }
    return rows + _rows(jobs, wiring, member.shape.widths, rounds, images, size)


def _rows(
    jobs: dict[str, tuple[Callable[[], object], dict[str, Callable[[], object]]]],
    wiring: Wiring,
    widths: tuple[int, ...],
    rounds: int,
    images: int,
    size: int,
) -> list[Row]:
    """A row for each job and each network that ours is held against."""
    rows = []
    for job, (ours, others) in jobs.items():
        for name, theirs in others.items():
            scale = (1e3 / images, 1e3 / images)
            mine, plain, ratio, low, high = compare(ours, theirs, rounds, scale)
            rows.append(
                (
                    f"ResNet-34, {job}, {size} x {size}, {images} images, "
                    f"C {wiring.clustering:.2f} L {wiring.path_length:.2f} share "
                    f"{wiring.density:.2f}, widths {' '.join(map(str, widths))}, "
                    f"{torch.get_num_threads()} threads",
                    f"{mine:.0f} ms an image",
                    f"{name} {plain:.0f} ms",
                    f"{ratio:.2f}x ({low:.2f}-{high:.2f})"
                    if name == "masked"
                    else f"{1 / ratio:.2f}x its time ({1 / high:.2f}-{1 / low:.2f})",
                )
            )
    return rows


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--images", type=int, default=4, help="images of a batch")
    parser.add_argument("--size", type=int, default=224, help="pixels of a side")
    parser.add_argument("--threads", type=int, default=0, help="of torch, 0 for one a core")
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rounds = 3 if options.quick else 9
    rows = networks(rounds, options.images, options.size)
    show(rows, f"medians of {rounds} rounds, ranges in brackets; equal multiply-adds", options.out)


if __name__ == "__main__":
    main()
