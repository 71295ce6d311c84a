"""Convolutions on wirings against dense ones of equal multiply-adds, and against masked ones.

    python benchmarks/convolutions.py [--quick] [--images N] [--out FILE]

3 x 3 at ResNet-34's four stages, on WS-flex wirings of 64 nodes. The wired width is the least that
has as many weights as the dense layer of the base width; the masked layer multiplies a mask onto
dense weights of the wired width, as published code does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from common import Row, compare, show
from wireloom.compute import Pattern, Window, convolution
from wireloom.wiring import ws_flex

STAGES = ((64, 56), (128, 28), (256, 14), (512, 7))
DENSITIES = (0.1, 0.2, 0.4)
WINDOW = Window.of(3, padding=1)


def matched(density: float, base: int) -> Pattern:
    """The narrowest square pattern of a share of blocks with base^2 weights or more."""
    wiring = ws_flex(nodes=64, degree=64 * density - 1, rewire=0.2, seed=0)
    width = base
    while Pattern.from_wiring(wiring, out=width, into=width).weights < base**2:
        width += 1
    return Pattern.from_wiring(wiring, out=width, into=width)


def job(
    call: Callable[[Tensor, Tensor], Tensor], weight: Tensor, x: Tensor, backward: bool
) -> Callable[[], object]:
    """A forward pass, or one with the gradients of weight and input."""
    if not backward:
        return lambda: call(weight, x)
    leaves = [weight.requires_grad_(), x.requires_grad_()]
    slope = torch.randn_like(call(*leaves).detach())
    return lambda: torch.autograd.grad(call(*leaves), leaves, slope)


def convolutions(rounds: int, images: int = 16) -> list[Row]:
    """Forward, and forward and backward, at every stage and density."""
    rows = []
    for base, size in STAGES:
        for density in DENSITIES:
            pattern = matched(density, base)
            width = pattern.shape[0]
            mask = torch.from_numpy(pattern.mask()).float()[:, :, None, None]
            for backward in (False, True):
                ours = job(
                    lambda w, x, on=pattern: convolution(on, WINDOW, w, x),
                    torch.randn(pattern.weights * 9),
                    torch.randn(width, images, size, size).transpose(0, 1),
                    backward,
                )
                dense = job(
                    lambda w, x: F.conv2d(x, w, padding=1),
                    torch.randn(base, base, 3, 3),
                    torch.randn(images, base, size, size),
                    backward,
                )
                masked = job(
                    lambda w, x, mask=mask: F.conv2d(x, w * mask, padding=1),
                    torch.randn(width, width, 3, 3),
                    torch.randn(images, width, size, size),
                    backward,
                )
                for name, plain in (("dense", dense), ("masked", masked)):
                    scale = (1e3 / images, 1e3 / images)
                    mine, theirs, ratio, low, high = compare(ours, plain, rounds, scale)
                    rows.append(
                        (
                            f"3 x 3 convolution {'and gradients' if backward else 'forward'}, "
                            f"{size} x {size}, base width {base}, share of blocks "
                            f"{pattern.density:.2f}, width {width}, {images} images, "
                            f"{torch.get_num_threads()} threads",
                            f"{mine:.2f} ms an image",
                            f"{name} {theirs:.2f} ms",
                            f"{1 / ratio:.2f}x its time ({1 / high:.2f}-{1 / low:.2f})"
                            if name == "dense"
                            else f"{ratio:.1f}x ({low:.1f}-{high:.1f})",
                        )
                    )
    return rows


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three rounds instead of nine")
    parser.add_argument("--images", type=int, default=16, help="images of a batch")
    parser.add_argument("--out", type=Path, help="write the table here as Markdown")
    options = parser.parse_args()
    rounds = 3 if options.quick else 9
    show(
        convolutions(rounds, options.images),
        f"medians of {rounds} rounds, ranges in brackets; equal multiply-adds",
        options.out,
    )


if __name__ == "__main__":
    main()
