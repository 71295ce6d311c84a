"""Convolutions by the Triton kernels: the products of `gpu`, each weight with a pixel of its own.

As there, nothing has run on a GPU yet. Arguments are those of the operators; maps are
[channels, images, height, width].
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wireloom.compute import gpu
from wireloom.compute.window import Pair, Window


def _maps(window: Window, read: Pair, along: Pair) -> gpu.Maps:
    numbers = (window.size[1], *window.stride, *window.padding, *window.dilation)
    return gpu.Maps(window.taps, numbers, (*read, *along))


def _size(maps: Tensor) -> Pair:
    return maps.shape[2], maps.shape[3]


def convolution(
    words: Tensor,
    weight: Tensor,
    x: Tensor,
    rows: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """[rows, images, output height, output width] from [columns, images, height, width]."""
    there = Window.read(window)
    size = there.output(height, width)
    return _sums(words, weight, x, rows, size, _maps(there, _size(x), size), back=False)


def transposed(
    words: Tensor,
    weight: Tensor,
    y: Tensor,
    columns: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """The gradient of `convolution` for an input whose maps are height x width."""
    size = height, width
    maps = _maps(Window.read(window), _size(y), size)
    return _sums(words, weight, y, columns, size, maps, back=True)


def _sums(
    words: Tensor,
    weight: Tensor,
    given: Tensor,
    channels: int,
    size: Pair,
    maps: gpu.Maps,
    *,
    back: bool,
) -> Tensor:
    images = given.shape[1]
    pixels = images * size[0] * size[1]
    sums = gpu.sums(words, weight, given.flatten(1), channels, pixels, maps, back=back)
    return sums.view(channels, images, *size)


def outer(
    words: Tensor,
    y: Tensor,
    x: Tensor,
    weights: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """The gradient of `convolution` for its weights, one for each tap: [weights]."""
    there = Window.read(window)
    maps = _maps(there, _size(x), _size(y))
    return gpu.slopes(words, y.flatten(1), x.flatten(1), weights // there.taps, maps)
