"""The operators that networks are made of, differentiable, on feature-major activations.

`product`, its transpose and `outer` are closed under differentiation: the gradient of each is made
of the others, so gradients of gradients are right. The native kernels serve float32 on the CPU;
everything else runs on the reference.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from wireloom.base import InvalidValue
from wireloom.compute import cpu, operators, reference, registry
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import plan, words_on


def _check(of: Pattern | str, name: str, tensor: Tensor, *shape: int | str) -> None:
    fits = tensor.dim() == len(shape) and all(
        isinstance(want, str) or have == want
        for have, want in zip(tensor.shape, shape, strict=True)
    )
    if not fits:
        what = of if isinstance(of, str) else f"a product on {of!r}"
        wanted = ", ".join(map(str, shape))
        raise InvalidValue(
            f"`{name}` of {what} must have shape [{wanted}]; got {list(tensor.shape)}"
        )


def _same(what: str, first: Tensor, *others: Tensor) -> None:
    for other in others:
        if first.dtype != other.dtype or first.device != other.device:
            raise InvalidValue(
                f"the operands of {what} must share dtype and device; got "
                f"{first.dtype} on {first.device} and {other.dtype} on {other.device}"
            )


def operate(
    operator: Any, one: Tensor, other: Tensor, pattern: Pattern, size: int, *rest: Any
) -> Tensor:
    """An operator of the registry on a pattern, in the dtype that autocast asks for."""
    device = one.device
    if torch.is_autocast_enabled(device.type):
        one, other = registry.widened(one), registry.widened(other)
    registry.refuse_strangers(one, other)
    words = plan(pattern).words if device.type == "cpu" else words_on(pattern, device)
    return registry.call(operator, one, other, words, size, *rest)


def product(pattern: Pattern, weight: Tensor, x: Tensor) -> Tensor:
    """y[v] = sum over the senders u of v of W[v, u] x[u].

    Args:
        pattern: the blocks that exist.
        weight: their entries, row by row: [pattern.weights].
        x: feature-major input [columns, batch].

    Returns:
        [rows, batch].

    Raises:
        InvalidValue: for a wrong shape, or operands of different dtype or device.

    Cost: pattern.weights multiply-adds a sample; no absent entry is touched.
    """
    lists = plan(pattern)
    _check(pattern, "weight", weight, lists.weights)
    _check(pattern, "x", x, lists.columns, "batch")
    return operate(operators.product, weight, x, pattern, lists.rows)


def outer(pattern: Pattern, y: Tensor, x: Tensor) -> Tensor:
    """The entries of y x^T where the pattern has weights, summed over the batch: [weights].

    The gradient of `product` for its weights: y [rows, batch] is the output's gradient, x
    [columns, batch] its input. Cost as for `product`.
    """
    lists = plan(pattern)
    _check(pattern, "y", y, lists.rows, "batch")
    _check(pattern, "x", x, lists.columns, y.shape[1])
    return operate(operators.outer, y, x, pattern, lists.weights)


class _Norm(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        scale: Tensor,
        shift: Tensor,
        running_mean: Tensor,
        running_variance: Tensor,
        relu: bool,
        momentum: float,
        epsilon: float,
    ) -> Tensor:
        x, scale = x.contiguous(), scale.contiguous()
        y, mean, rstd = cpu.norm(
            x,
            scale,
            shift.contiguous(),
            running_mean,
            running_variance,
            training=True,
            relu=relu,
            momentum=momentum,
            epsilon=epsilon,
        )
        ctx.save_for_backward(x, y, scale, mean, rstd)
        ctx.relu = relu
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, y, scale, mean, rstd = ctx.saved_tensors
        dx, dscale, dshift = cpu.norm_backward(dy, x, y, scale, mean, rstd, relu=ctx.relu)
        return dx, dscale, dshift, None, None, None, None, None


def norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_variance: Tensor,
    *,
    training: bool,
    relu: bool = True,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> Tensor:
    """Batch normalisation of each feature over the batch, then ReLU, in one pass.

    Args:
        x: [features, batch]; training needs a batch of at least 2.
        scale, shift: gamma and beta [features].
        running_mean, running_variance: [features], updated in place when training.
        training: normalise by the batch's own mean and variance instead of the running ones.
        relu: apply ReLU after.

    Returns:
        [features, batch], equal to torch's batch_norm and relu.

    Raises:
        InvalidValue: for a wrong shape, operands of different dtype or device, or too few samples.
    """
    _check("a normalisation", "x", x, "features", "batch")
    for name, tensor in (
        ("scale", scale),
        ("shift", shift),
        ("running_mean", running_mean),
        ("running_variance", running_variance),
    ):
        _check("a normalisation", name, tensor, x.shape[0])
    _same("a normalisation", x, scale, shift, running_mean, running_variance)
    if training and x.shape[1] < 2:
        raise InvalidValue(
            "the batch that a normalisation is trained on must have at least 2 samples; "
            f"got {x.shape[1]}"
        )
    everything = (x, scale, shift, running_mean, running_variance)
    # What is compiled is compiled from torch's own operators.
    if (
        not torch.compiler.is_compiling()
        and cpu.serves(*everything)
        and running_mean.is_contiguous()
        and running_variance.is_contiguous()
    ):
        if training:
            return _Norm.apply(*everything, relu, momentum, epsilon)  # pyright: ignore[reportReturnType]
        if not torch.is_grad_enabled() or not any(t.requires_grad for t in everything):
            return cpu.norm(
                x.contiguous(),
                scale.contiguous(),
                shift.contiguous(),
                running_mean,
                running_variance,
                training=False,
                relu=relu,
                momentum=momentum,
                epsilon=epsilon,
            )[0]
    return reference.norm(
        *everything, training=training, relu=relu, momentum=momentum, epsilon=epsilon
    )


class _CrossEntropy(Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
        wanted = ctx.needs_input_grad[0]
        losses, wrong, slope = cpu.cross_entropy(logits, labels, smoothing, gradient=wanted)
        if slope is not None:
            ctx.save_for_backward(slope)
        ctx.mark_non_differentiable(wrong)
        return losses, wrong  # pyright: ignore[reportReturnType]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dlosses: Tensor, _: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (slope,) = ctx.saved_tensors
        return slope * dlosses[:, None, None], None, None


def cross_entropy(
    logits: Tensor, labels: Tensor, *, smoothing: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Each member's mean cross-entropy, and how many samples it got wrong.

    Args:
        logits: [members, classes, batch].
        labels: int64 [batch], in 0..classes-1, shared by the members.
        smoothing: share of the label that is spread over all classes, in [0, 1).

    Returns:
        Losses [members] and wrong predictions int32 [members]; a NaN among a sample's logits
        counts as wrong.

    Raises:
        InvalidValue: for a wrong shape, a label that is no class, or a smoothing out of range.
    """
    _check("a cross-entropy", "logits", logits, "members", "classes", "batch")
    _check("a cross-entropy", "labels", labels, logits.shape[2])
    if labels.dtype != torch.int64 or labels.device != logits.device:
        raise InvalidValue(
            f"`labels` of a cross-entropy must be int64 on {logits.device}; "
            f"got {labels.dtype} on {labels.device}"
        )
    if not 0 <= smoothing < 1:
        raise InvalidValue(f"`smoothing` of a cross-entropy must be in [0, 1); got {smoothing}")
    classes = logits.shape[1]
    compiling = torch.compiler.is_compiling()
    if labels.is_cpu and not compiling and not bool(((labels >= 0) & (labels < classes)).all()):
        raise InvalidValue(
            f"`labels` of a cross-entropy must be in [0, {classes - 1}]; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    if cpu.serves(logits) and not compiling:
        return _CrossEntropy.apply(logits, labels, smoothing)  # pyright: ignore[reportReturnType]
    return (
        reference.cross_entropy(logits, labels, smoothing),
        reference.wrong(logits.detach(), labels),
    )
