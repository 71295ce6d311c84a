"""Convolutions on a pattern, differentiable, on channel-major activations.

`convolution`, its transpose and `convolution_outer` are closed under differentiation, as the
products are. Maps are torch's [images, channels, height, width]; results lie channel-major in
memory ([channels, images, height, width]), and such inputs are read without a copy.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue
from wireloom.compute import convolution_cpu as cpu
from wireloom.compute import convolution_gpu as on_gpu
from wireloom.compute import convolution_reference as reference
from wireloom.compute import gpu
from wireloom.compute.cpu import serves
from wireloom.compute.ops import outer, product
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import plan, words_on
from wireloom.compute.window import Window


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor, pattern: Pattern, window: Window) -> Tensor:
        ctx.save_for_backward(weight, x)
        ctx.pattern, ctx.window = pattern, window
        if gpu.serves(weight, x):
            words = words_on(pattern, x.device)
            return on_gpu.convolution(words, window, weight, x, pattern.shape[0])
        if serves(weight, x):
            return cpu.convolution(plan(pattern), window, weight, x)
        return reference.convolution(pattern, window, weight, x)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (weight, x), on = ctx.saved_tensors, (ctx.pattern, ctx.window)
        size = tuple(x.shape[2:])
        dweight = _Outer.apply(dy, x, *on) if ctx.needs_input_grad[0] else None
        dx = _Transposed.apply(weight, dy, *on, size) if ctx.needs_input_grad[1] else None
        return dweight, dx, None, None


class _Transposed(Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        y: Tensor,
        pattern: Pattern,
        window: Window,
        size: tuple[int, int],
    ) -> Tensor:
        ctx.save_for_backward(weight, y)
        ctx.pattern, ctx.window = pattern, window
        if gpu.serves(weight, y):
            words = words_on(pattern, y.device)
            return on_gpu.transposed(words, window, weight, y, size, pattern.shape[1])
        if serves(weight, y):
            return cpu.transposed(plan(pattern), window, weight, y, size)
        return reference.transposed(pattern, window, weight, y, size)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (weight, y), on = ctx.saved_tensors, (ctx.pattern, ctx.window)
        dweight = _Outer.apply(y, dx, *on) if ctx.needs_input_grad[0] else None
        dy = _Convolution.apply(weight, dx, *on) if ctx.needs_input_grad[1] else None
        return dweight, dy, None, None, None


class _Outer(Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, pattern: Pattern, window: Window) -> Tensor:
        ctx.save_for_backward(y, x)
        ctx.pattern, ctx.window = pattern, window
        if gpu.serves(y, x):
            words = words_on(pattern, x.device)
            return on_gpu.outer(words, window, y, x, pattern.weights)
        if serves(y, x):
            return cpu.outer(plan(pattern), window, y, x)
        return reference.outer(pattern, window, y, x)

    @staticmethod
    def backward(ctx: Any, dweight: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (y, x), on = ctx.saved_tensors, (ctx.pattern, ctx.window)
        size = tuple(x.shape[2:])
        dy = _Convolution.apply(dweight, x, *on) if ctx.needs_input_grad[0] else None
        dx = _Transposed.apply(dweight, y, *on, size) if ctx.needs_input_grad[1] else None
        return dy, dx, None, None


def _check_maps(name: str, maps: Tensor, channels: int, rule: str) -> None:
    if maps.dim() != 4 or maps.shape[1] != channels:
        raise InvalidValue(
            f"`{name}` of a convolution must be [images, {channels}, height, width]{rule}; "
            f"got {list(maps.shape)}"
        )


def _check(pattern: Pattern, window: Window, x: Tensor, other: Tensor) -> tuple[int, int]:
    """Check the input; the output map's height and width."""
    _check_maps("x", x, pattern.shape[1], f" for {pattern!r}")
    if x.dtype != other.dtype or x.device != other.device:
        raise InvalidValue(
            "the operands of a convolution must share dtype and device; got "
            f"{other.dtype} on {other.device} and {x.dtype} on {x.device}"
        )
    height, width = window.output(*x.shape[2:])
    if min(x.shape[2:]) < 1 or min(height, width) < 1:
        raise InvalidValue(
            f"the maps of a convolution must hold at least one window ({window}); "
            f"got {x.shape[2]} x {x.shape[3]} pixels"
        )
    return height, width


def _pixels(maps: Tensor) -> Tensor:
    """[images, channels, height, width] as feature-major [channels, images * height * width]."""
    return maps.transpose(0, 1).flatten(1)


def convolution(pattern: Pattern, window: Window, weight: Tensor, x: Tensor) -> Tensor:
    """y[v] = sum over the senders u of v of W[v, u] * x[u], torch's conv2d on existing blocks.

    Args:
        pattern: the blocks that exist, rows by columns of channels.
        window: kernel size, stride, padding, dilation.
        weight: [pattern.weights * taps]: the pattern's entries row by row (see `Pattern`), each
            with its kernel row by row, so that `weight.view(-1, *window.size)` is one kernel an
            entry and one receiver's part is a dense [rows, fan_in, *window.size].
        x: [images, columns, height, width], read without a copy if it lies channel-major.

    Returns:
        [images, rows, output height, output width], channel-major in memory.

    Raises:
        InvalidValue: for a wrong shape, a map smaller than the window, or operands of different
            dtype or device.

    Cost: pattern.weights * taps multiply-adds an output pixel, and a padded copy of a part of x.
    """
    size = _check(pattern, window, x, weight)
    if weight.shape != (pattern.weights * window.taps,):
        raise InvalidValue(
            f"`weight` of a convolution must have shape [{pattern.weights * window.taps}], "
            f"{window.taps} for each weight of {pattern!r}; got {list(weight.shape)}"
        )
    if window.plain:
        return product(pattern, weight, _pixels(x)).unflatten(1, (len(x), *size)).transpose(0, 1)
    return _Convolution.apply(weight, x, pattern, window)  # pyright: ignore[reportReturnType]


def convolution_outer(pattern: Pattern, window: Window, y: Tensor, x: Tensor) -> Tensor:
    """The gradient of `convolution` for its weights, given the output's gradient y and its input.

    Args:
        y: [images, rows, output height, output width].
        x: [images, columns, height, width].

    Returns:
        [pattern.weights * taps], in the order of the weight. Cost as for `convolution`.
    """
    size = _check(pattern, window, x, y)
    _check_maps("y", y, pattern.shape[0], f" for {pattern!r}")
    if y.shape != (len(x), pattern.shape[0], *size):
        raise InvalidValue(
            f"`y` of a convolution must be {[len(x), pattern.shape[0], *size]} for this input; "
            f"got {list(y.shape)}"
        )
    if window.plain:
        return outer(pattern, _pixels(y), _pixels(x))
    return _Outer.apply(y, x, pattern, window)  # pyright: ignore[reportReturnType]
