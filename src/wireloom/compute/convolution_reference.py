"""Convolutions in plain torch, receiver by receiver: the oracle, and what other devices use.

A receiver's weights are one small dense kernel, and it reads its senders' channels alone, so no
absent block is multiplied here either. Activations are [images, channels, height, width].
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn import grad

from wireloom.compute.pattern import Pattern
from wireloom.compute.window import Window


def _receivers(pattern: Pattern, device: torch.device) -> Iterator[tuple[slice, Tensor, slice]]:
    """For each receiver that reads anything: its rows, its columns, its entries."""
    columns = torch.from_numpy(pattern.columns()).to(device)
    parts = columns.split(pattern.fan_in.tolist())
    for r, part in enumerate(parts):
        if len(part):
            rows = slice(*pattern.row_starts[r : r + 2].tolist())
            yield rows, part, slice(*pattern.weight_starts[r : r + 2].tolist())


def _kernel(weight: Tensor, entries: slice, fan_in: int, window: Window) -> Tensor:
    """[rows, fan_in, kernel height, kernel width] of one receiver."""
    taps = window.taps
    return weight[entries.start * taps : entries.stop * taps].view(-1, fan_in, *window.size)


def _steps(window: Window) -> tuple[Any, Any, Any]:
    """Stride, padding and dilation, as torch's functions take them one after another."""
    return window.stride, window.padding, window.dilation


def convolution(pattern: Pattern, window: Window, weight: Tensor, x: Tensor) -> Tensor:
    """y[v] = sum over senders u of W[v, u] * x[u]."""
    images, _, height, width = x.shape
    y = x.new_zeros(pattern.shape[0], images, *window.output(height, width)).transpose(0, 1)
    if images:
        for rows, columns, entries in _receivers(pattern, x.device):
            kernel = _kernel(weight, entries, len(columns), window)
            y[:, rows] = F.conv2d(x[:, columns], kernel, None, *_steps(window))
    return y


def transposed(
    pattern: Pattern, window: Window, weight: Tensor, y: Tensor, map_size: tuple[int, int]
) -> Tensor:
    """The gradient of `convolution` for an input whose maps have ``map_size``."""
    images = len(y)
    x = y.new_zeros(images, pattern.shape[1], *map_size)
    if images:
        for rows, columns, entries in _receivers(pattern, y.device):
            kernel = _kernel(weight, entries, len(columns), window)
            shape = (images, len(columns), *map_size)
            x.index_add_(1, columns, grad.conv2d_input(shape, kernel, y[:, rows], *_steps(window)))
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def outer(pattern: Pattern, window: Window, y: Tensor, x: Tensor) -> Tensor:
    """The gradient of `convolution` for its weights: [weights * taps]."""
    gradient = y.new_zeros(pattern.weights * window.taps)
    if len(y):
        for rows, columns, entries in _receivers(pattern, y.device):
            kernel = _kernel(gradient, entries, len(columns), window)
            kernel.copy_(
                grad.conv2d_weight(x[:, columns], kernel.shape, y[:, rows], *_steps(window))
            )
    return gradient
