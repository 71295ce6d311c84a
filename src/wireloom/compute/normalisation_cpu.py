"""Normalisation by the native kernels: float32, on the CPU.

The operators' bodies in `normalisation`, which call these, have checked types and shapes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wireloom.native import _native

CODES = {"none": 0, "relu": 1, "silu": 2}  # of the activations, as the kernels number them


def norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    residual: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    training: bool,
    activation: str,
    momentum: float,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """y, and the statistics [3, features] it used: mean, what its rounding lost, 1/sd."""
    features, shape = x.shape[0], x.shape
    x, scale, shift = x.contiguous(), scale.contiguous(), shift.contiguous()
    residual = None if residual is None else residual.contiguous()
    y, statistics = torch.empty(shape), torch.empty(3, features)
    _native.norm(
        features,
        x.numel() // max(1, features),
        x.data_ptr(),
        0 if residual is None else residual.data_ptr(),
        scale.data_ptr(),
        shift.data_ptr(),
        running_mean.data_ptr(),
        running_variance.data_ptr(),
        statistics.data_ptr(),
        y.data_ptr(),
        momentum,
        epsilon,
        CODES[activation],
        training,
        torch.get_num_threads(),
    )
    return y, statistics


def norm_backward(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    statistics: Tensor,
    training: bool,
    activation: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `norm` for x, scale, shift and the residual, the last empty without a gate."""
    features, shape = x.shape[0], x.shape
    dy, x, scale, shift = dy.contiguous(), x.contiguous(), scale.contiguous(), shift.contiguous()
    gate, statistics = None if gate is None else gate.contiguous(), statistics.contiguous()
    dx, dscale, dshift = torch.empty(shape), torch.empty(features), torch.empty(features)
    dresidual = torch.empty(0 if gate is None else shape)
    _native.norm_backward(
        features,
        x.numel() // max(1, features),
        dy.data_ptr(),
        x.data_ptr(),
        0 if gate is None else gate.data_ptr(),
        scale.data_ptr(),
        shift.data_ptr(),
        statistics.data_ptr(),
        dx.data_ptr(),
        0 if gate is None else dresidual.data_ptr(),
        dscale.data_ptr(),
        dshift.data_ptr(),
        CODES[activation],
        training,
        torch.get_num_threads(),
    )
    return dx, dscale, dshift, dresidual
