"""Elementwise functions and sums over pixels whose bits do not depend on the company.

torch's own sigmoid differs in the last bit between the body of a vector and its tail, and how its
sums are cut into parts depends on how many there are. Here an element's bits depend on its own
value alone, and a sum's on its own terms.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue
from wireloom.compute import cpu, defining
from wireloom.compute.dispatch import autocasting, below, call, widened


class _Sigmoid(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = below(_sigmoid, x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        y = widened(ctx.saved_tensors[0])
        return (widened(dy) * (y * (1 - y))).to(dy.dtype)


def _sigmoid_on_cpu(x: Tensor) -> Tensor:
    return cpu.sigmoid(x) if cpu.serves(x) else _sigmoid_anywhere(x)


def _sigmoid_anywhere(x: Tensor) -> Tensor:
    return x.sigmoid().contiguous()


def _shape_of_sigmoid(x: Tensor) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


_sigmoid = defining.define(
    "sigmoid(Tensor x) -> Tensor",
    on_cpu=_sigmoid_on_cpu,
    anywhere=_sigmoid_anywhere,
    shapes=_shape_of_sigmoid,
    gradient=_Sigmoid,
)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)) of any shape, contiguous; gradients to any order.

    The native exp is within one unit in the last place, this within three; NaN stays NaN.
    """
    return call(_sigmoid, x)


def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x) of any shape; gradients to any order. After a normalisation use `norm`'s."""
    return x * sigmoid(x)


# ---- sums over pixels ------------------------------------------------------------------------


class _PixelSums(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor | None) -> Tensor:
        ctx.save_for_backward(x if y is not None else None, y)
        ctx.shape = x.shape
        return below(_pixel_sums, x, y)

    @staticmethod
    def backward(ctx: Any, dsums: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y = ctx.saved_tensors
        if y is None:
            return dsums[..., None, None].expand(ctx.shape), None
        wanted = ctx.needs_input_grad
        return gated(y, dsums) if wanted[0] else None, gated(x, dsums) if wanted[1] else None


def _fit(x: Tensor, y: Tensor | None) -> None:
    if x.dim() != 4:
        raise InvalidValue(
            f"`x` of a sum over pixels must be [channels, images, height, width]; "
            f"got {list(x.shape)}"
        )
    if y is not None and (y.shape, y.dtype, y.device) != (x.shape, x.dtype, x.device):
        raise InvalidValue(
            f"the operands of a sum over pixels must agree in shape, dtype and device; got "
            f"{list(x.shape)} {x.dtype} on {x.device} and {list(y.shape)} {y.dtype} on {y.device}"
        )


def _sums_on_cpu(x: Tensor, y: Tensor | None) -> Tensor:
    _fit(x, y)
    return cpu.pixel_sums(x, y) if cpu.serves(x) else _sums_anywhere(x, y)


def _sums_anywhere(x: Tensor, y: Tensor | None) -> Tensor:
    _fit(x, y)
    return (x if y is None else x * y).sum((2, 3)).contiguous()


def _shape_of_sums(x: Tensor, y: Tensor | None) -> Tensor:
    _fit(x, y)
    return x.new_empty(x.shape[:2])


_pixel_sums = defining.define(
    "pixel_sums(Tensor x, Tensor? y) -> Tensor",
    on_cpu=_sums_on_cpu,
    anywhere=_sums_anywhere,
    shapes=_shape_of_sums,
    gradient=_PixelSums,
)


def pool(x: Tensor) -> Tensor:
    """The mean over the pixels: [channels, images, height, width] to [channels, images].

    Raises:
        InvalidValue: unless x has four dimensions and at least one pixel.
    """
    if x.dim() == 4 and x.shape[2] * x.shape[3] == 0:
        raise InvalidValue(f"`x` of pool must have at least one pixel; got {list(x.shape)}")
    mean = call(_pixel_sums, widened(x), None) / (x.shape[2] * x.shape[3])
    return mean if autocasting(x.device) else mean.to(x.dtype)


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, gate: Tensor) -> Tensor:
        ctx.save_for_backward(x, gate)
        return x * gate[..., None, None]

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, gate = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        dx = gated(dy, gate) if wanted[0] else None
        return dx, call(_pixel_sums, dy, x) if wanted[1] else None


def gated(x: Tensor, gate: Tensor) -> Tensor:
    """Each channel of each image times its gate, as squeeze-and-excite has it.

    Args:
        x: [channels, images, height, width].
        gate: [channels, images].

    Returns:
        x's shape; gradients to any order.

    Raises:
        InvalidValue: if the gate does not fit x in shape, dtype or device.
    """
    if autocasting(x.device):
        x, gate = x.float(), gate.float()
    if x.dim() != 4 or (gate.shape, gate.dtype, gate.device) != (x.shape[:2], x.dtype, x.device):
        raise InvalidValue(
            f"`gate` must be [channels, images] of x [channels, images, height, width], in its "
            f"dtype, on its device; got {list(gate.shape)} {gate.dtype} on {gate.device} and "
            f"{list(x.shape)} {x.dtype} on {x.device}"
        )
    return _Gated.apply(x, gate)  # pyright: ignore[reportReturnType]
