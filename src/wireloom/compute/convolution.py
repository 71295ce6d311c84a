"""Convolutions on a pattern, differentiable.

`convolution`, its transpose and `convolution_outer` are closed under differentiation, as the
products are. Maps lie channel-major in memory, [channels, images, height, width]:
`convolution_features` takes and returns them so; `convolution` has torch's shape, [images,
channels, height, width], of the same memory.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import convolution_cpu, gpu
from wireloom.compute import convolution_operators as operators
from wireloom.compute.dispatch import autocasting, plain
from wireloom.compute.normalisation import norm
from wireloom.compute.normalisation_cpu import CODES
from wireloom.compute.ops import operate, outer, product
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import plan
from wireloom.compute.window import Pair, Window


def _refuse(name: str, maps: Tensor, channels: int, axis: int, rule: str) -> None:
    wanted = ["images", "images", "height", "width"]
    wanted[axis] = str(channels)
    raise InvalidValue(
        f"`{name}` of a convolution must be [{', '.join(wanted)}]{rule}; got {list(maps.shape)}"
    )


def _check(pattern: Pattern, window: Window, x: Tensor, other: Tensor, axis: int) -> Pair:
    """Check the input, whose channels lie along an axis; the output map's height and width."""
    if x.dim() != 4 or x.shape[axis] != pattern.shape[1]:
        _refuse("x", x, pattern.shape[1], axis, f" for {pattern!r}")
    if x.device != other.device:
        raise InvalidValue(
            "the operands of a convolution must share dtype and device; got "
            f"{other.dtype} on {other.device} and {x.dtype} on {x.device}"
        )
    height, width = window.output(x.shape[2], x.shape[3])
    if x.shape[2] < 1 or x.shape[3] < 1 or height < 1 or width < 1:
        raise InvalidValue(
            f"the maps of a convolution must hold at least one window ({window}); "
            f"got {x.shape[2]} x {x.shape[3]} pixels"
        )
    return height, width


def _pixels(window: Window, maps: Tensor) -> Tensor:
    """Those pixels that a pointwise window reads: [channels, images * height * width]."""
    down, across = window.stride
    if down > 1 or across > 1:
        maps = maps[:, :, ::down, ::across]
    return maps.flatten(1)


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
    size = _check(pattern, window, x, weight, 1)
    return _convolution(pattern, window, weight, x.transpose(0, 1), size).transpose(0, 1)


def convolution_features(pattern: Pattern, window: Window, weight: Tensor, x: Tensor) -> Tensor:
    """`convolution` on channel-major maps.

    Args:
        x: [columns, images, height, width]; the other arguments are those of `convolution`.

    Returns:
        [rows, images, output height, output width].
    """
    return _convolution(pattern, window, weight, x, _check(pattern, window, x, weight, 0))


def convolution_norm(
    pattern: Pattern,
    window: Window,
    weight: Tensor,
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    *,
    activation: str = "relu",
    residual: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """`norm`, by the running values, of `convolution_features`: the same bits.

    Without gradients, natively, in one pass: the map is finished part by part while the cache holds
    it. Arguments and refusals are those of the two.
    """
    operands = weight, x, scale, shift, running_mean, running_variance, residual
    size = _check(pattern, window, x, weight, 0)
    shape = (pattern.shape[0], x.shape[1], *size)
    if (
        not window.pointwise
        and activation in CODES
        and weight.shape == (pattern.weights * window.taps,)
        and all(v.shape == shape[:1] and v.is_contiguous() for v in operands[2:6])
        and (residual is None or residual.shape == shape)
        and _native_now(operands)
    ):
        words = plan(pattern).words
        return convolution_cpu.convolution_norm(
            words, weight, x, window.numbers, operands[2:6], residual, activation, epsilon
        )
    return norm(
        _convolution(pattern, window, weight, x, size),
        scale,
        shift,
        running_mean,
        running_variance,
        training=False,
        activation=activation,
        residual=residual,
        epsilon=epsilon,
    )


def _native_now(operands: Sequence[Tensor | None]) -> bool:
    """Whether the native kernels may be called on these past torch, without gradients."""
    tensors = [t for t in operands if t is not None]
    return (
        not (torch.is_grad_enabled() and any(t.requires_grad for t in tensors))
        and plain(*tensors)
        and convolution_cpu.serves(*tensors)
        and not (torch._C._are_functorch_transforms_active() or gpu.interpreted)
        and not autocasting(tensors[0].device)
    )


def _convolution(pattern: Pattern, window: Window, weight: Tensor, x: Tensor, size: Pair) -> Tensor:
    if weight.shape != (pattern.weights * window.taps,):
        raise InvalidValue(
            f"`weight` of a convolution must have shape [{pattern.weights * window.taps}], "
            f"{window.taps} for each weight of {pattern!r}; got {list(weight.shape)}"
        )
    if window.pointwise:
        y = product(pattern, weight, _pixels(window, x))
        return y.view(pattern.shape[0], x.shape[1], *size)
    rest = window.numbers, x.shape[2], x.shape[3]
    return operate(operators.convolution, weight, x, pattern, pattern.shape[0], *rest)


def convolution_outer(pattern: Pattern, window: Window, y: Tensor, x: Tensor) -> Tensor:
    """The gradient of `convolution` for its weights, given the output's gradient y and its input.

    Args:
        y: [images, rows, output height, output width].
        x: [images, columns, height, width].

    Returns:
        [pattern.weights * taps], in the order of the weight. Cost as for `convolution`.
    """
    size = _check(pattern, window, x, y, 1)
    if y.dim() != 4 or y.shape[1] != pattern.shape[0]:
        _refuse("y", y, pattern.shape[0], 1, f" for {pattern!r}")
    if y.shape != (len(x), pattern.shape[0], *size):
        raise InvalidValue(
            f"`y` of a convolution must be {[len(x), pattern.shape[0], *size]} for this input; "
            f"got {list(y.shape)}"
        )
    y, x = y.transpose(0, 1), x.transpose(0, 1)
    if window.pointwise:
        return outer(pattern, y.flatten(1), _pixels(window, x))
    rest = window.numbers, x.shape[2], x.shape[3]
    return operate(operators.convolution_outer, y, x, pattern, pattern.weights * window.taps, *rest)
