"""The largest value of each window of a map (max-pooling), as torch's, faster on the CPU.

`torch.ops.wireloom.largest` and `largest_backward` have native bodies for float32 on the CPU and
torch's own for everything else. Values, ties and NaN are torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import max_pool2d

from wireloom.base import InvalidValue
from wireloom.compute import cpu, defining
from wireloom.compute.dispatch import HALVES, below, call
from wireloom.compute.window import Pair, Window


def _fit(x: Tensor, window: Window) -> Pair:
    """Check the maps; the size of the pooled ones."""
    if x.dim() != 4:
        raise InvalidValue(
            f"`x` of max-pooling must be [channels, images, height, width]; got {list(x.shape)}"
        )
    if any(2 * pad > size for pad, size in zip(window.padding, window.size, strict=True)):
        raise InvalidValue(
            f"`padding` of max-pooling must be at most half of its window; got {window}"
        )
    size = window.output(x.shape[2], x.shape[3])
    if min(*size, x.shape[2], x.shape[3]) < 1:
        raise InvalidValue(
            f"the maps of max-pooling must hold at least one window ({window}); "
            f"got {x.shape[2]} x {x.shape[3]} pixels"
        )
    return size


def _serves(window: Window, *tensors: Tensor) -> bool:
    return window.dilation == (1, 1) and cpu.serves(*tensors)


def _on_cpu(x: Tensor, numbers: Sequence[int]) -> Tensor:
    window = Window.read(numbers)
    if not _serves(window, x):
        return _anywhere(x, numbers)
    _fit(x, window)
    return cpu.largest(x, None, window)


def _anywhere(x: Tensor, numbers: Sequence[int]) -> Tensor:
    window = Window.read(numbers)
    _fit(x, window)
    if x.numel() == 0:
        return _shape(x, numbers)
    return max_pool2d(x, *_geometry(window)).contiguous()


def _geometry(window: Window) -> tuple[Pair, Pair, Pair, Pair]:
    return window.size, window.stride, window.padding, window.dilation


def _shape(x: Tensor, numbers: Sequence[int]) -> Tensor:
    return x.new_empty(*x.shape[:2], *_fit(x, Window.read(numbers)))


def _fit_backward(dy: Tensor, x: Tensor, window: Window) -> None:
    size = _fit(x, window)
    if dy.shape != (*x.shape[:2], *size) or dy.dtype != x.dtype or dy.device != x.device:
        raise InvalidValue(
            f"`dy` of max-pooling must be {x.dtype} {[*x.shape[:2], *size]} on {x.device}; "
            f"got {dy.dtype} {list(dy.shape)} on {dy.device}"
        )


def _backward_on_cpu(dy: Tensor, x: Tensor, numbers: Sequence[int]) -> Tensor:
    window = Window.read(numbers)
    if not _serves(window, x, dy):
        return _backward_anywhere(dy, x, numbers)
    _fit_backward(dy, x, window)
    return cpu.largest(x, dy, window)


def _backward_anywhere(dy: Tensor, x: Tensor, numbers: Sequence[int]) -> Tensor:
    window = Window.read(numbers)
    _fit_backward(dy, x, window)
    if x.numel() == 0:
        return torch.zeros_like(x, memory_format=torch.contiguous_format)
    dx = x.new_zeros(*x.shape[:2], x.shape[2] * x.shape[3])
    return dx.scatter_add_(2, _places(x, window).flatten(2), dy.flatten(2)).view(x.shape)


def _places(x: Tensor, window: Window) -> Tensor:
    """Which pixel of its map each pooled value is: [channels, images, height, width]."""
    return max_pool2d(x, *_geometry(window), return_indices=True)[1]


def _shape_of_backward(dy: Tensor, x: Tensor, numbers: Sequence[int]) -> Tensor:
    _fit_backward(dy, x, Window.read(numbers))
    return torch.empty_like(x, memory_format=torch.contiguous_format)


class _Largest(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, numbers: Sequence[int]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.numbers = numbers
        return below(_largest, x, numbers)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return call(_largest_backward, dy, ctx.saved_tensors[0], ctx.numbers), None


class _LargestSlope(Function):
    @staticmethod
    def forward(ctx: Any, dy: Tensor, x: Tensor, numbers: Sequence[int]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.numbers = numbers
        return below(_largest_backward, dy, x, numbers)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        places = _places(ctx.saved_tensors[0], Window.read(ctx.numbers))
        return dx.flatten(2).gather(2, places.flatten(2)).view(places.shape), None, None


_largest = defining.define(
    "largest(Tensor x, int[] window) -> Tensor",
    on_cpu=_on_cpu,
    anywhere=_anywhere,
    shapes=_shape,
    gradient=_Largest,
)
_largest_backward = defining.define(
    "largest_backward(Tensor dy, Tensor x, int[] window) -> Tensor",
    on_cpu=_backward_on_cpu,
    anywhere=_backward_anywhere,
    shapes=_shape_of_backward,
    gradient=_LargestSlope,
)


def largest(x: Tensor, window: Window) -> Tensor:
    """The largest value of each window, torch's max_pool2d; the padding counts for nothing.

    Args:
        x: [channels, images, height, width].
        window: size, stride, padding (at most half of the size) and dilation.

    Returns:
        [channels, images, output height, output width], contiguous; a NaN is larger than all. Of
        equal values the first, row by row, has the gradient. Gradients to any order.

    Raises:
        InvalidValue: for another shape, too much padding or a map smaller than the window.

    Cost: one comparison for each tap of each output pixel; x is kept for the gradient.
    """
    if x.dtype in HALVES:  # exact, but for the order of the gradient's sums, which stays torch's
        _fit(x, window)
        return max_pool2d(x, *_geometry(window))
    return call(_largest, x, window.numbers)
