"""Networks as published code has them: torch's own layers, a mask multiplied onto the weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wireloom.models import Shape
from wireloom.models.parts import Chain, Largest, Layer, Mean, Part, Residual
from wireloom.wiring import Wiring


class MaskedLayer(nn.Module):
    """Linear layer or convolution, batch normalisation, activation (`Layer`)."""

    def __init__(self, layer: Layer, wiring: Wiring | None) -> None:
        super().__init__()
        self.window, self.relu = layer.window, layer.activation == "relu"
        self.groups = layer.into if layer.joins == "self" else 1
        size = () if layer.window is None else layer.window.size
        weight = torch.randn(layer.out, layer.into // self.groups, *size)
        self.weight = nn.Parameter(0.01 * weight)
        self.bias = nn.Parameter(torch.zeros(layer.out)) if layer.bias else None
        mask = None
        if wiring is not None and layer.joins == "wiring":
            mask = torch.from_numpy(layer.pattern(wiring).mask()).float()
            mask = mask.view(*mask.shape, *[1] * len(size))
        self.register_buffer("mask", mask)
        norm = nn.BatchNorm1d if layer.window is None else nn.BatchNorm2d
        self.norm = norm(layer.out) if layer.norm else nn.Identity()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        weight = self.weight if self.mask is None else self.weight * self.mask
        if self.window is None:
            x = F.linear(x, weight, self.bias)
        else:
            w = self.window
            x = F.conv2d(x, weight, self.bias, w.stride, w.padding, w.dilation, self.groups)
        x = self.norm(x)
        if residual is not None:
            x = x + residual
        return F.relu(x) if self.relu else x


class MaskedBlock(nn.Module):
    """Parts whose result is added to their input (`Residual`)."""

    def __init__(self, block: Residual, wiring: Wiring | None) -> None:
        super().__init__()
        self.body = nn.ModuleList(MaskedLayer(part, wiring) for part in block.body)
        self.skip = MaskedLayer(block.skip, wiring) if block.skip else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.body[:-1]:
            y = layer(y)
        return self.body[-1](y, self.skip(x))


def masked(shape: Shape, wiring: Wiring | None) -> nn.Sequential:
    """A network of linear layers, convolutions and residual blocks; dense without a wiring."""
    return nn.Sequential(*_modules(shape.parts(), wiring))


def _modules(parts: tuple[Part, ...], wiring: Wiring | None) -> list[nn.Module]:
    found: list[nn.Module] = []
    for part in parts:
        if isinstance(part, Chain):
            found += _modules(part.parts, wiring)
        elif isinstance(part, Layer):
            found.append(MaskedLayer(part, wiring))
        elif isinstance(part, Residual):
            found.append(MaskedBlock(part, wiring))
        elif isinstance(part, Largest):
            w = part.window
            found.append(nn.MaxPool2d(w.size, w.stride, w.padding))
        elif isinstance(part, Mean):
            found += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        else:
            raise NotImplementedError(type(part).__name__)
    return found
