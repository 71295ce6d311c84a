"""Normalisation in plain torch: the oracle of the tests, other devices, and second derivatives."""

from __future__ import annotations

import torch
from torch import Tensor


def _column(values: Tensor, x: Tensor) -> Tensor:
    """[features] against x [features, anything...]."""
    return values.reshape(-1, *[1] * (x.dim() - 1))


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
    """y, and the statistics [3, features] it used: mean, what its rounding lost, 1/sd.

    Differentiable; the running values are updated in place.
    """
    if training:
        variance, mean = torch.var_mean(x.flatten(1), dim=1, correction=0)
        with torch.no_grad():
            count = x.numel() // max(1, len(x))
            running_mean.lerp_(mean, momentum)
            running_variance.lerp_(variance * (count / (count - 1)), momentum)
    else:
        mean, variance = running_mean, running_variance
    rstd = (variance + epsilon).rsqrt()
    y = (x - _column(mean, x)) * _column(scale * rstd, x) + _column(shift, x)
    if residual is not None:
        y = y + residual
    return _activated(y, activation), torch.stack([mean, torch.zeros_like(mean), rstd])


def _activated(z: Tensor, activation: str) -> Tensor:
    if activation == "silu":
        return z * z.sigmoid()
    return z.relu() if activation == "relu" else z


def norm_backward(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    statistics: Tensor,
    training: bool,
    activation: str,
    epsilon: float,
    *,
    again: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `norm` for x, scale, shift and the residual, the last empty without a gate.

    Differentiable in dy, x, gate, scale and shift where ``again`` tells to take the statistics from
    x again instead of as they are given.

    Args:
        gate: with a residual, y under ReLU and the residual under SiLU; else None.
    """
    if training and again:
        variance, mean = torch.var_mean(x.flatten(1), dim=1, correction=0)
        rstd = (variance + epsilon).rsqrt()
    else:
        mean, rstd = statistics[0] + statistics[1], statistics[2]
    centred, factor = x - _column(mean, x), _column(scale * rstd, x)
    g = dy
    if activation == "relu":
        z = centred * factor + _column(shift, x) if gate is None else gate
        g = dy.masked_fill(z <= 0, 0)
    elif activation == "silu":
        z = centred * factor + _column(shift, x)
        z = z if gate is None else z + gate
        s = z.sigmoid()
        g = dy * (s + z * s * (1 - s))
    normal = centred * _column(rstd, x)
    dshift, dscale = g.flatten(1).sum(1), (g * normal).flatten(1).sum(1)
    dx = g
    if training:
        count = x.numel() // max(1, len(x))
        dx = g - _column(dshift / count, x) - normal * _column(dscale / count, x)
    return dx * factor, dscale, dshift, g.new_empty(0) if gate is None else g.clone()
