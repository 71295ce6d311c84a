"""Batch normalisation with what follows it, as one operator.

`torch.ops.wireloom.norm` and `norm_backward` have native bodies for float32 on the CPU and plain
torch for everything else. The running values are arguments that `norm` writes to. Operands of 16
bits are normalised in float32, and the statistics that the gradient needs stay so.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue, nearest
from wireloom.compute import cpu, defining, normalisation_cpu
from wireloom.compute import normalisation_reference as reference
from wireloom.compute.dispatch import HALVES, below, call, widened

ACTIVATIONS = ("none", "relu", "silu")
WHAT = "a normalisation"
Four = tuple[Tensor, Tensor, Tensor, Tensor]


# ---- bodies ----------------------------------------------------------------------------------


def check_activation(activation: str) -> None:
    """Raise unless there is such an activation."""
    if activation not in ACTIVATIONS:
        raise InvalidValue(
            f"`activation` of {WHAT} must be one of {', '.join(ACTIVATIONS)}; "
            f"got '{activation}'{nearest(str(activation), ACTIVATIONS)}"
        )


def _fit(x: Tensor, activation: str, maps: dict[str, Tensor | None], **vectors: Tensor) -> None:
    check_activation(activation)
    if x.dim() < 2:
        raise InvalidValue(
            f"`x` of {WHAT} must have shape [features, batch] or [features, images, height, "
            f"width]; got {list(x.shape)}"
        )
    features = x.shape[:1]
    for name, tensor in vectors.items():
        if tensor.shape != features:
            raise InvalidValue(
                f"`{name}` of {WHAT} must have shape [{x.shape[0]}]; got {list(tensor.shape)}"
            )
    for name, tensor in maps.items():
        if tensor is not None and tensor.shape != x.shape:
            raise InvalidValue(
                f"`{name}` of {WHAT} must have x's shape {list(x.shape)}; got {list(tensor.shape)}"
            )
    for tensor in (*vectors.values(), *maps.values()):
        if tensor is not None and (tensor.dtype != x.dtype or tensor.device != x.device):
            raise InvalidValue(
                f"the operands of {WHAT} must share dtype and device; got "
                f"{x.dtype} on {x.device} and {tensor.dtype} on {tensor.device}"
            )


def _fit_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    residual: Tensor | None,
    running_mean: Tensor,
    running_variance: Tensor,
    training: bool,
    activation: str,
) -> None:
    _fit(
        x,
        activation,
        {"residual": residual},
        scale=scale,
        shift=shift,
        running_mean=running_mean,
        running_variance=running_variance,
    )
    if training and x.shape[0] and x.numel() // x.shape[0] < 2:
        raise InvalidValue(
            f"the batch that {WHAT} is trained on must have at least 2 samples (images times "
            f"pixels); got x {list(x.shape)}"
        )


def _native(
    x: Tensor, activation: str, vectors: tuple[Tensor, ...], maps: tuple[Tensor | None, ...]
) -> bool:
    """Whether the kernels take these operands; in one short look, since small layers wait on it."""
    shape, features = x.shape, x.shape[:1]
    if x.dtype != torch.float32 or len(shape) < 2 or activation not in ACTIVATIONS:
        return False
    for v in vectors:
        if v.dtype != torch.float32 or v.shape != features or not v.is_cpu:
            return False
    for m in maps:
        if m is not None and (m.dtype != torch.float32 or m.shape != shape or not m.is_cpu):
            return False
    return x.is_cpu


def _norm_on_cpu(*arguments: Any) -> tuple[Tensor, Tensor]:
    x, scale, shift, residual, mean, variance, training, activation, _, _ = arguments
    count = x.numel() // max(1, x.shape[0]) if x.dim() else 0
    if (
        _native(x, activation, (scale, shift, mean, variance), (residual,))
        and mean.is_contiguous()
        and variance.is_contiguous()
        and (count > 1 or not training)
    ):
        made = normalisation_cpu.norm(*arguments)
        if training:
            _changed(mean, variance)
        return made
    return _norm_anywhere(*arguments)


def _norm_anywhere(*arguments: Any) -> tuple[Tensor, Tensor]:
    _fit_norm(*arguments[:8])
    with torch.no_grad():
        made = reference.norm(*arguments)
    if arguments[6]:
        _changed(*arguments[4:6])
    return made


def _changed(*running: Tensor) -> None:
    """Let autograd notice if somebody saved the running values for a backward pass."""
    if not any(tensor.is_inference() for tensor in running):
        torch.autograd.graph.increment_version(running)


def _shapes_of_norm(*arguments: Any) -> tuple[Tensor, Tensor]:
    x = arguments[0]
    _fit_norm(*arguments[:8])
    statistics = widened(x.new_empty(3, x.shape[0]))
    return torch.empty_like(x, memory_format=torch.contiguous_format), statistics


def _fit_backward(
    dy: Tensor,
    x: Tensor,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    statistics: Tensor,
    training: bool,
    activation: str,
    epsilon: float,
) -> None:
    _fit(x, activation, {"dy": dy, "gate": gate}, scale=scale, shift=shift)
    dtype = torch.float32 if x.dtype in HALVES else x.dtype
    if statistics.shape != (3, x.shape[0]) or statistics.dtype != dtype:
        raise InvalidValue(
            f"`statistics` of {WHAT} must be {dtype} [3, {x.shape[0]}]; "
            f"got {statistics.dtype} {list(statistics.shape)}"
        )


def _backward_on_cpu(*arguments: Any) -> Four:
    dy, x, gate, scale, shift, statistics, _, activation, _ = arguments
    if (
        _native(x, activation, (scale, shift), (dy, gate))
        and statistics.shape == (3, x.shape[0])
        and cpu.serves(statistics)
    ):
        return normalisation_cpu.norm_backward(*arguments[:8])
    return _backward_anywhere(*arguments)


def _backward_anywhere(*arguments: Any) -> Four:
    _fit_backward(*arguments)
    return reference.norm_backward(*arguments)


def _shapes_of_backward(*arguments: Any) -> Four:
    _, x, gate, scale, shift = arguments[:5]
    _fit_backward(*arguments)
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    dresidual = x.new_empty(0) if gate is None else torch.empty_like(dx)
    return dx, torch.empty_like(scale), torch.empty_like(shift), dresidual


# ---- gradients -------------------------------------------------------------------------------


class _Norm(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        x, scale, shift, residual, _, _, training, activation, _, epsilon = arguments
        y, statistics = below(_norm, *arguments)
        gated = residual is not None and activation != "none"
        gate = (y if activation == "relu" else residual) if gated else None
        ctx.save_for_backward(x, gate, scale, shift, statistics)
        ctx.mark_non_differentiable(statistics)
        ctx.set_materialize_grads(False)
        ctx.how, ctx.gated, ctx.added = (training, activation, epsilon), gated, residual is not None
        return y, statistics

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, _: Any) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        if dy is None:
            return (None,) * 10
        dx, dscale, dshift, dresidual = call(_norm_backward, dy, *ctx.saved_tensors, *ctx.how)
        if not ctx.gated:
            dresidual = dy if ctx.added else None
        return dx, dscale, dshift, dresidual, *(None,) * 6


class _NormSlope(Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Four:
        ctx.save_for_backward(*arguments[:6])
        ctx.how = arguments[6:]
        ctx.set_materialize_grads(False)
        return below(_norm_backward, *arguments)

    @staticmethod
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        *saved, statistics = ctx.saved_tensors
        inputs: list[Any] = [None if t is None else widened(t) for t in saved]
        wanted = [i for i in range(5) if ctx.needs_input_grad[i]]
        deeper = torch.is_grad_enabled()
        with torch.enable_grad():
            for i in wanted:
                inputs[i] = inputs[i].view_as(inputs[i]).requires_grad_()
            training, activation, epsilon = ctx.how
            dy, x, gate, scale, shift = inputs
            outputs = reference.norm_backward(
                dy, x, gate, scale, shift, statistics, training, activation, epsilon, again=True
            )
            pairs = [
                (o, g)
                for o, g in zip(outputs, given, strict=True)
                if g is not None and o.requires_grad
            ]
            made = torch.autograd.grad(
                [o for o, _ in pairs],
                [inputs[i] for i in wanted],
                [widened(g) for _, g in pairs],
                create_graph=deeper,
                allow_unused=True,
            )
        grads: list[Tensor | None] = [None] * 9
        for i, gradient in zip(wanted, made, strict=True):
            grads[i] = None if gradient is None else gradient.to(saved[i].dtype)
        return tuple(grads)


_norm = defining.define(
    "norm(Tensor x, Tensor scale, Tensor shift, Tensor? residual, Tensor(a!) running_mean, "
    "Tensor(b!) running_variance, bool training, str activation, float momentum, float epsilon) "
    "-> (Tensor, Tensor)",
    on_cpu=_norm_on_cpu,
    anywhere=_norm_anywhere,
    shapes=_shapes_of_norm,
    gradient=_Norm,
    kept=(4, 5),
)
_norm_backward = defining.define(
    "norm_backward(Tensor dy, Tensor x, Tensor? gate, Tensor scale, Tensor shift, "
    "Tensor statistics, bool training, str activation, float epsilon) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    on_cpu=_backward_on_cpu,
    anywhere=_backward_anywhere,
    shapes=_shapes_of_backward,
    gradient=_NormSlope,
)


def norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    *,
    training: bool,
    activation: str = "relu",
    residual: Tensor | None = None,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> Tensor:
    """activation(normalise(x) + residual), each feature normalised over all of its samples.

    Args:
        x: [features, batch], or channel-major maps [channels, images, height, width]; read without
            a copy if contiguous. Training needs at least 2 samples a feature.
        scale, shift: gamma and beta [features].
        running_mean, running_variance: [features], updated in place when training; constants to
            the gradient.
        training: normalise by the samples' own mean and variance instead of the running ones.
        activation: "none", "relu" or "silu".
        residual: of x's shape, added before the activation.
        momentum: share of the new in the running values.
        epsilon: added to the variance.

    Returns:
        x's shape, contiguous; equal to torch's batch_norm, sum and activation. Gradients of
        gradients are right (through plain torch). Under autocast all is float32.

    Raises:
        InvalidValue: for a wrong shape, operands of different dtype or device, an unknown
            activation, or too few samples.

    Cost: x is read twice and y written once, of features of up to 4096 samples from the cache;
    x is what is kept for the gradient, with a residual also y (ReLU) or the residual (SiLU).
    """
    return call(
        _norm,
        x,
        scale,
        shift,
        residual,
        running_mean,
        running_variance,
        training,
        activation,
        momentum,
        epsilon,
    )[0]
