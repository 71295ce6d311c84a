"""The native kernels on torch tensors: float32, on the CPU, contiguous; products in bfloat16 too.

The one caller of the native module's kernels. The functions here hold what the kernels rely on:
type, layout and length of every array are checked before an address is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wireloom.compute.window import Window
from wireloom.native import _native

WORTH_TURNING = 8192  # numbers of a matrix that the kernel turns faster than torch copies it


def serves(*tensors: Tensor) -> bool:
    """Whether the native kernels can take these tensors."""
    # A loop, since this is asked at every call and `all` of a generator takes thrice as long.
    for tensor in tensors:  # noqa: SIM110
        if tensor.dtype != torch.float32 or not tensor.is_cpu:
            return False
    return True


def multiplies(weight: Tensor, x: Tensor) -> bool:
    """Whether the native products take these: float32, or bfloat16 where the processor has it."""
    if weight.dtype == torch.bfloat16 and _native.bf16_served():
        return x.dtype == torch.bfloat16 and weight.is_cpu and x.is_cpu
    return serves(weight, x)


def address(tensor: Tensor, *shape: int, dtype: torch.dtype = torch.float32) -> int:
    """Where a contiguous tensor of this shape and type lies."""
    assert tensor.dtype == dtype, tensor.dtype
    assert tensor.shape == shape, (tensor.shape, shape)
    assert tensor.is_contiguous()
    return tensor.data_ptr()


def feature_major(x: Tensor) -> Tensor:
    """[features, batch], contiguous; what lies as [batch, features] is turned in whole vectors."""
    if x.is_contiguous() or x.numel() < WORTH_TURNING or not (serves(x) and x.t().is_contiguous()):
        return x.contiguous()
    y = torch.empty(x.shape)
    _native.turn(x.data_ptr(), y.data_ptr(), x.shape[1], x.shape[0], torch.get_num_threads())
    return y


def product(plan: Tensor, weight: Tensor, x: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """y = W x (+ bias): [rows, batch] from [columns, batch]; ``plan`` is a plan's words."""
    return _product(plan, weight, x, bias, rows, back=False)


def transposed_product(plan: Tensor, weight: Tensor, y: Tensor, columns: int) -> Tensor:
    """x = W^T y: [columns, batch] from [rows, batch]."""
    return _product(plan, weight, y, None, columns, back=True)


def _product(
    plan: Tensor, weight: Tensor, x: Tensor, bias: Tensor | None, outputs: int, *, back: bool
) -> Tensor:
    assert multiplies(weight, x)
    weight, x = weight.contiguous(), feature_major(x)
    (size,), (inputs, batch) = weight.shape, x.shape
    y = torch.empty(outputs, batch, dtype=x.dtype)
    if x.dtype == torch.bfloat16:
        assert bias is None
        _native.product_bf16(
            plan.data_ptr(),
            plan.numel(),
            back,
            weight.data_ptr(),
            x.data_ptr(),
            y.data_ptr(),
            outputs,
            inputs,
            size,
            batch,
            torch.get_num_threads(),
        )
        return y
    _native.product(  # which holds the plan against all these sizes
        plan.data_ptr(),
        plan.numel(),
        back,
        weight.data_ptr(),
        0 if bias is None else address(bias.contiguous(), outputs),
        x.data_ptr(),
        y.data_ptr(),
        outputs,
        inputs,
        size,
        batch,
        torch.get_num_threads(),
    )
    return y


def outer(plan: Tensor, y: Tensor, x: Tensor, weights: int) -> Tensor:
    """Entries of y x^T where weights exist: [weights]."""
    assert serves(y, x)
    y, x = feature_major(y), feature_major(x)
    (rows, batch), (columns, same) = y.shape, x.shape
    assert batch == same
    gradient = torch.empty(weights)
    _native.outer(
        plan.data_ptr(),
        plan.numel(),
        y.data_ptr(),
        x.data_ptr(),
        gradient.data_ptr(),
        rows,
        columns,
        weights,
        batch,
        torch.get_num_threads(),
    )
    return gradient


def peak(rounds: int) -> int:
    """Do multiply-adds on registers alone, to be timed; returns how many, in all threads."""
    result = torch.full((1,), 0.5)
    done = _native.peak(rounds, result.data_ptr(), torch.get_num_threads())
    assert result.isfinite()
    return done


def within(labels: Tensor, classes: int) -> bool:
    """Whether all labels lie in 0..classes-1."""
    least, most = labels.aminmax()
    return int(least) >= 0 and int(most) < classes


def cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, *, sloped: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss [members], wrong predictions int32 [members], and the loss's gradient if ``sloped``.

    The labels index memory: the caller has seen that they are `within` the classes.
    """
    members, classes, batch = logits.shape
    logits, labels = logits.contiguous(), labels.contiguous()
    losses, wrong = torch.empty(members), torch.empty(members, dtype=torch.int32)
    slope = torch.empty(logits.shape if sloped else 0)
    _native.loss(
        members,
        classes,
        batch,
        address(logits, members, classes, batch),
        address(labels, batch, dtype=torch.int64),
        losses.data_ptr(),
        wrong.data_ptr(),
        slope.data_ptr() if sloped else 0,
        smoothing,
        torch.get_num_threads(),
    )
    return losses, wrong, slope


def exponential(x: Tensor) -> Tensor:
    """e^x, elementwise, any shape."""
    return _elementwise(_native.exponential, x)


def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + e^-x), elementwise, any shape."""
    return _elementwise(_native.sigmoid, x)


def _elementwise(kernel: Callable[[int, int, int, int], None], x: Tensor) -> Tensor:
    x = x.contiguous()
    y = torch.empty(x.shape)
    kernel(address(x, *x.shape), y.data_ptr(), x.numel(), torch.get_num_threads())
    return y


def pixel_sums(x: Tensor, y: Tensor | None) -> Tensor:
    """Sums of x, or of x times y, over the last two of four dimensions."""
    x, y = x.contiguous(), None if y is None else y.contiguous()
    sums = torch.empty(x.shape[:2])
    _native.row_sums(
        address(x, *x.shape),
        0 if y is None else address(y, *x.shape),
        sums.data_ptr(),
        sums.numel(),
        x.shape[2] * x.shape[3],
        torch.get_num_threads(),
    )
    return sums


def largest(x: Tensor, dy: Tensor | None, window: Window) -> Tensor:
    """The largest of each window of maps [channels, images, height, width]; or x's gradient."""
    assert window.dilation == (1, 1)
    *planes, height, width = x.shape
    size = window.output(height, width)
    x, dy = x.contiguous(), None if dy is None else dy.contiguous()
    made = torch.empty(*planes, *(size if dy is None else (height, width)))
    _native.largest(
        planes[0] * planes[1],
        address(x, *x.shape),
        0 if dy is None else address(dy, *planes, *size),
        made.data_ptr(),
        window.numbers,
        height,
        width,
        torch.get_num_threads(),
    )
    return made


class Stepped(NamedTuple):
    """One parameter of a population, as the optimisers see it.

    spans: int64 [members + 1] over the flat parameter.
    value, first, second, gradient: the parameter, the optimiser's state of it, and its gradient,
        all of one shape; SGD has no second state and takes the first again.
    """

    spans: Tensor
    value: Tensor
    first: Tensor
    second: Tensor
    gradient: Tensor


def _addresses(steps: Sequence[Stepped], members: int) -> _native.Parameters:
    rows = []
    for spans, *tensors in steps:
        size = tensors[0].numel()
        start = address(spans, members + 1, dtype=torch.int64)
        for tensor in tensors:
            assert tensor.numel() == size
            assert serves(tensor)
            assert tensor.is_contiguous()
        rows.append((start, *[tensor.data_ptr() for tensor in tensors]))
    return rows


def sgd(
    steps: Sequence[Stepped],
    rate: Tensor,
    decay: Tensor,
    clip: Tensor | None,
    *,
    momentum: float,
    nesterov: bool,
) -> None:
    """One step of all parameters in place; rates, decays and clips [members]."""
    members = len(rate)
    _native.sgd(
        members,
        _addresses(steps, members),
        address(rate, members),
        address(decay, members),
        0 if clip is None else address(clip, members),
        momentum,
        nesterov,
        torch.get_num_threads(),
    )


def adam(
    steps: Sequence[Stepped],
    rate: Tensor,
    decay: Tensor,
    clip: Tensor | None,
    *,
    betas: tuple[float, float],
    epsilon: float,
    step: int,
    decoupled: bool,
) -> None:
    """One step of Adam (AdamW if ``decoupled``) in place; ``step`` counts from 1."""
    members = len(rate)
    _native.adam(
        members,
        _addresses(steps, members),
        address(rate, members),
        address(decay, members),
        0 if clip is None else address(clip, members),
        1.0 - betas[0],
        betas[1],
        1.0 - betas[1],
        epsilon,
        1.0 - betas[0] ** step,
        1.0 - betas[1] ** step,
        decoupled,
        torch.get_num_threads(),
    )


def add_square_norms(sums: Tensor, steps: Sequence[Stepped]) -> None:
    """sums[m] += |gradients of member m|^2, in place: float64 [members]."""
    members = len(sums)
    _native.square_norms(
        members,
        _addresses(steps, members),
        address(sums, members, dtype=torch.float64),
        torch.get_num_threads(),
    )
