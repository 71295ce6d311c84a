"""The native convolutions on torch tensors: float32, on the CPU, channel-major.

As in `cpu`, type, layout and length of every array are checked before an address is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wireloom.compute.cpu import address
from wireloom.compute.plan import Plan
from wireloom.compute.window import Pair, Window
from wireloom.native import _native


def _maps(window: Window, images: int, x_size: Pair, y_size: Pair) -> Tensor:
    """The numbers that describe a convolution's maps: int64 [13]."""
    parts = (window.size, window.stride, window.padding, window.dilation)
    return torch.tensor([images, *x_size, *y_size, *(v for pair in parts for v in pair)])


def _major(maps: Tensor) -> Tensor:
    """[images, channels, height, width] as it lies in memory, channels first."""
    return maps.transpose(0, 1).contiguous()


def convolution(plan: Plan, window: Window, weight: Tensor, x: Tensor) -> Tensor:
    """[images, rows, output height, output width] from [images, columns, height, width]."""
    return _convolution(plan, window, weight, x, window.output(*x.shape[2:]), back=False)


def transposed(plan: Plan, window: Window, weight: Tensor, y: Tensor, map_size: Pair) -> Tensor:
    """The gradient of `convolution` for an input whose maps have ``map_size``."""
    return _convolution(plan, window, weight, y, map_size, back=True)


def _convolution(
    plan: Plan, window: Window, weight: Tensor, x: Tensor, size: Pair, *, back: bool
) -> Tensor:
    images, inputs, height, width = x.shape
    rows, columns = (plan.columns, plan.rows) if back else (plan.rows, plan.columns)
    assert inputs == columns
    if plan.weights == 0 or images == 0:  # empty lists have no address
        return torch.zeros(rows, images, *size).transpose(0, 1)
    x, weight = _major(x), weight.contiguous()
    y = torch.empty(rows, images, *size)
    lists = plan.transposed if back else plan.forward
    spans = plan.transposed_spans if back else plan.forward_spans
    here = (height, width)
    maps = _maps(window, images, size if back else here, here if back else size)
    _native.convolution(
        *lists.addresses,
        *spans.addresses,
        address(weight, plan.weights * window.taps),
        address(x, columns, images, height, width),
        address(y, rows, images, *size),
        address(maps, 13, dtype=torch.int64),
        back,
        torch.get_num_threads(),
    )
    return y.transpose(0, 1)


def outer(plan: Plan, window: Window, y: Tensor, x: Tensor) -> Tensor:
    """The gradient of `convolution` for its weights: [weights * taps]."""
    images = len(x)
    if plan.weights == 0 or images == 0:
        return torch.zeros(plan.weights * window.taps)
    y, x = _major(y), _major(x)
    gradient = torch.empty(plan.weights * window.taps)
    x_size, y_size = (x.shape[2], x.shape[3]), (y.shape[2], y.shape[3])
    maps = _maps(window, images, x_size, y_size)
    groups, row_start, input_start, inputs, _, weight_first, _ = plan.forward.addresses
    _native.convolution_outer(
        groups,
        row_start,
        input_start,
        inputs,
        weight_first,
        *plan.forward_spans.addresses,
        address(y, plan.rows, images, *y_size),
        address(x, plan.columns, images, *x_size),
        address(gradient, plan.weights * window.taps),
        address(maps, 13, dtype=torch.int64),
        torch.get_num_threads(),
    )
    return gradient
