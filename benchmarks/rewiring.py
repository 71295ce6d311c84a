"""How long `rewire` takes at a matched budget, and how near it comes.

    python benchmarks/rewiring.py

A hand-written ResNet-50, and a list of timm's models where timm can be imported.
"""

from __future__ import annotations

import importlib
import time

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue
from wireloom.models import rewire, rewired
from wireloom.training import machine
from wireloom.wiring import ws_flex

TIMM = (
    *("resnet18", "resnet50", "resnext50_32x4d", "densenet121", "mobilenetv2_100", "vgg11_bn"),
    *("efficientnet_b0", "regnety_004", "convnext_tiny", "vit_tiny_patch16_224", "mixer_s16_224"),
)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1, and the input beside them."""

    def __init__(self, into: int, inner: int, stride: int) -> None:
        super().__init__()
        out = 4 * inner
        self.body = nn.Sequential(
            nn.Conv2d(into, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, out, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        self.short = nn.Identity()
        if stride > 1 or into != out:
            self.short = nn.Sequential(
                nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.short(x))


def resnet50() -> nn.Module:
    """ResNet-50 for ImageNet."""
    parts: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    ]  # fmt: skip
    into = 64
    for inner, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(depth):
            parts.append(Bottleneck(into, inner, stride if i == 0 else 1))
            into = 4 * inner
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(into, 1000))


def show(name: str, model: nn.Module) -> None:
    """One line: time, layers wired, multiply-adds before and after."""
    wiring = ws_flex(nodes=32, degree=9, rewire=0.3, seed=0)
    started = time.perf_counter()
    try:
        wired = rewire(model.eval(), wiring, budget="macs", example=torch.zeros(1, 3, 224, 224))
    except InvalidValue as error:
        print(f"| {name} | {time.perf_counter() - started:.1f} s | refused: {error} | | |")
        return
    taken, table = time.perf_counter() - started, rewired(wired)
    before, after = table.macs or (0, 0)
    count = sum(row.wired for row in table.rows)
    print(
        f"| {name} | {taken:.1f} s | {count} of {len(table.rows)} | {before:,} | "
        f"{after - before:+,} ({100 * (after / before - 1):+.4f} %) |"
    )


def main() -> None:
    """Print the table."""
    print(", ".join(f"{k} {v}" for k, v in machine().items()))
    print("\n| model | time | layers wired | multiply-adds | off |\n|---|---|---|---|---|")
    show("ResNet-50, by hand", resnet50())
    try:
        timm = importlib.import_module("timm")
    except Exception as error:  # beside CPU builds of torch it fails in ways of its own
        print(f"\ntimm cannot be imported here: {type(error).__name__}: {error}")
        return
    for name in TIMM:
        show(name, timm.create_model(name))


if __name__ == "__main__":
    main()
