"""Convolutions by the Triton kernels: the products of `gpu`, each weight with a pixel of its own.

As there, nothing has run on a GPU yet. Maps lie channel-major, [channels, images, height, width].
"""

from __future__ import annotations

from torch import Tensor

from wireloom.compute import gpu
from wireloom.compute.window import Pair, Window


def _maps(window: Window, read: Pair, along: Pair) -> gpu.Maps:
    numbers = (window.size[1], *window.stride, *window.padding, *window.dilation)
    return gpu.Maps(window.taps, numbers, (*read, *along))


def _pixels(maps: Tensor) -> Tensor:
    """[images, channels, height, width] as [channels, images * height * width]."""
    return maps.transpose(0, 1).flatten(1)


def _size(maps: Tensor) -> Pair:
    return maps.shape[2], maps.shape[3]


def convolution(words: Tensor, window: Window, weight: Tensor, x: Tensor, rows: int) -> Tensor:
    """[images, rows, output height, output width] from [images, columns, height, width]."""
    size = window.output(*_size(x))
    maps = _maps(window, _size(x), size)
    images = len(x)
    y = gpu.sums(words, weight, _pixels(x), rows, images * size[0] * size[1], maps, back=False)
    return y.view(rows, images, *size).transpose(0, 1)


def transposed(
    words: Tensor, window: Window, weight: Tensor, y: Tensor, size: Pair, columns: int
) -> Tensor:
    """The gradient of `convolution` for an input whose maps have ``size``."""
    maps = _maps(window, _size(y), size)
    images = len(y)
    x = gpu.sums(words, weight, _pixels(y), columns, images * size[0] * size[1], maps, back=True)
    return x.view(columns, images, *size).transpose(0, 1)


def outer(words: Tensor, window: Window, y: Tensor, x: Tensor, weights: int) -> Tensor:
    """The gradient of `convolution` for its weights: [weights * taps]."""
    return gpu.slopes(words, _pixels(y), _pixels(x), weights, _maps(window, _size(x), _size(y)))
