"""The native kernels on torch tensors: float32, on the CPU, contiguous.

The one caller of the native module's kernels. The functions here hold what the kernels rely on:
type, layout and length of every array are checked before an address is taken.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wireloom.native import _native


def serves(*tensors: Tensor) -> bool:
    """Whether the native kernels can take these tensors."""
    # A loop, since this is asked at every call and `all` of a generator takes thrice as long.
    for tensor in tensors:  # noqa: SIM110
        if tensor.dtype != torch.float32 or not tensor.is_cpu:
            return False
    return True


def address(tensor: Tensor, *shape: int, dtype: torch.dtype = torch.float32) -> int:
    """Where a contiguous tensor of this shape and type lies."""
    assert tensor.dtype == dtype, tensor.dtype
    assert tensor.shape == shape, (tensor.shape, shape)
    assert tensor.is_contiguous()
    return tensor.data_ptr()


def product(plan: Tensor, weight: Tensor, x: Tensor, bias: Tensor | None, rows: int) -> Tensor:
    """y = W x (+ bias): [rows, batch] from [columns, batch]; ``plan`` is a plan's words."""
    return _product(plan, weight, x, bias, rows, back=False)


def transposed_product(plan: Tensor, weight: Tensor, y: Tensor, columns: int) -> Tensor:
    """x = W^T y: [columns, batch] from [rows, batch]."""
    return _product(plan, weight, y, None, columns, back=True)


def _product(
    plan: Tensor, weight: Tensor, x: Tensor, bias: Tensor | None, outputs: int, *, back: bool
) -> Tensor:
    assert serves(weight, x)
    weight, x = weight.contiguous(), x.contiguous()
    (size,), (inputs, batch) = weight.shape, x.shape
    y = torch.empty(outputs, batch)
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
    y, x = y.contiguous(), x.contiguous()
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


def norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    *,
    training: bool,
    relu: bool,
    momentum: float,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation and ReLU: y [features, batch], and the mean and 1/sd that it used."""
    features, batch = x.shape
    y, mean, rstd = torch.empty_like(x), torch.empty(features), torch.empty(features)
    _native.norm(
        features,
        batch,
        address(x, features, batch),
        address(scale, features),
        address(shift, features),
        address(mean, features),
        address(rstd, features),
        address(running_mean, features),
        address(running_variance, features),
        address(y, features, batch),
        momentum,
        epsilon,
        relu,
        training,
        torch.get_num_threads(),
    )
    return y, mean, rstd


def norm_backward(
    dy: Tensor, x: Tensor, y: Tensor, scale: Tensor, mean: Tensor, rstd: Tensor, *, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of a training `norm` for x, scale and shift."""
    features, batch = x.shape
    dy = dy.contiguous()
    dx, dscale, dshift = torch.empty_like(x), torch.empty(features), torch.empty(features)
    _native.norm_backward(
        features,
        batch,
        address(x, features, batch),
        address(y, features, batch),
        address(dy, features, batch),
        address(scale, features),
        address(mean, features),
        address(rstd, features),
        address(dx, features, batch),
        address(dscale, features),
        address(dshift, features),
        relu,
        torch.get_num_threads(),
    )
    return dx, dscale, dshift


def cross_entropy(
    logits: Tensor, labels: Tensor, smoothing: float, *, gradient: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Loss float32 [members], wrong predictions int32 [members], and the loss's gradient.

    ``labels`` must lie in 0..classes-1: they index memory, so they are checked here.
    """
    members, classes, batch = logits.shape
    assert batch == 0 or (int(labels.min()) >= 0 and int(labels.max()) < classes)
    logits, labels = logits.contiguous(), labels.contiguous()
    losses, wrong = torch.empty(members), torch.empty(members, dtype=torch.int32)
    slope = torch.empty_like(logits) if gradient else None
    _native.loss(
        members,
        classes,
        batch,
        address(logits, members, classes, batch),
        address(labels, batch, dtype=torch.int64),
        address(losses, members),
        address(wrong, members, dtype=torch.int32),
        0 if slope is None else slope.data_ptr(),
        smoothing,
        torch.get_num_threads(),
    )
    return losses, wrong, slope


def sgd(
    spans: Tensor,
    parameter: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    rate: Tensor,
    decay: Tensor,
    clip: Tensor | None,
    *,
    momentum: float,
    nesterov: bool,
) -> None:
    """One step in place; spans int64 [members + 1] over the flat parameter, rates [members]."""
    members, size = len(spans) - 1, parameter.numel()
    _native.sgd(
        members,
        address(spans, members + 1, dtype=torch.int64),
        address(parameter, size),
        address(velocity, size),
        address(gradient, size),
        address(rate, members),
        address(decay, members),
        0 if clip is None else address(clip, members),
        momentum,
        nesterov,
        torch.get_num_threads(),
    )


def adam(
    spans: Tensor,
    parameter: Tensor,
    first: Tensor,
    second: Tensor,
    gradient: Tensor,
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
    members, size = len(spans) - 1, parameter.numel()
    _native.adam(
        members,
        address(spans, members + 1, dtype=torch.int64),
        address(parameter, size),
        address(first, size),
        address(second, size),
        address(gradient, size),
        address(rate, members),
        address(decay, members),
        0 if clip is None else address(clip, members),
        betas[0],
        betas[1],
        epsilon,
        1.0 - betas[0] ** step,
        1.0 - betas[1] ** step,
        decoupled,
        torch.get_num_threads(),
    )


def add_square_norms(sums: Tensor, spans: Tensor, values: Tensor) -> None:
    """sums[m] += |values of member m|^2, in place: float64 [members]."""
    members = len(spans) - 1
    _native.square_norms(
        members,
        address(spans, members + 1, dtype=torch.int64),
        address(values, values.numel()),
        address(sums, members, dtype=torch.float64),
        torch.get_num_threads(),
    )
