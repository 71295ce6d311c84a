"""The loss of many members on shared labels, as an operator: `torch.ops.wireloom.cross_entropy`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue
from wireloom.compute import cpu, defining
from wireloom.compute.dispatch import below, call

WHAT = "a cross-entropy"
Three = tuple[Tensor, Tensor, Tensor]


# ---- in plain torch: the oracle of the tests, other devices and dtypes, second derivatives ---


def reference(logits: Tensor, labels: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each member [members], and its wrong predictions int32 [members].

    Wrong is a sample whose label has not the first of the largest logits, or that has a NaN.
    """
    members, _, batch = logits.shape
    losses = torch.nn.functional.cross_entropy(
        logits, labels.expand(members, batch), reduction="none", label_smoothing=smoothing
    )
    right = (logits.argmax(1) == labels) & ~logits.isnan().any(1)
    return losses.mean(1), (~right).sum(1, dtype=torch.int32)


def _slope(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """The gradient of the sum of the losses for the logits, itself differentiable."""
    classes, batch = logits.shape[1:]
    off = smoothing / classes
    here = labels == torch.arange(classes, device=labels.device)[:, None]  # [classes, batch]
    targets = torch.where(here, 1 - smoothing + off, off).to(logits)
    return (logits.softmax(1) - targets) / batch


# ---- bodies ----------------------------------------------------------------------------------


def _fit(logits: Tensor, labels: Tensor, smoothing: float) -> None:
    if logits.dim() != 3:
        raise InvalidValue(
            f"`logits` of {WHAT} must have shape [members, classes, batch]; "
            f"got {list(logits.shape)}"
        )
    if labels.shape != logits.shape[2:]:
        raise InvalidValue(
            f"`labels` of {WHAT} must have shape [{logits.shape[2]}]; got {list(labels.shape)}"
        )
    if labels.dtype != torch.int64 or labels.device != logits.device:
        raise InvalidValue(
            f"`labels` of {WHAT} must be int64 on {logits.device}; "
            f"got {labels.dtype} on {labels.device}"
        )
    if not 0 <= smoothing < 1:
        raise InvalidValue(f"`smoothing` of {WHAT} must be in [0, 1); got {smoothing}")


def _on_cpu(logits: Tensor, labels: Tensor, smoothing: float, sloped: bool) -> Three:
    _fit(logits, labels, smoothing)
    classes = logits.shape[1]
    if labels.numel() and not cpu.within(labels, classes):
        raise InvalidValue(
            f"`labels` of {WHAT} must be in [0, {classes - 1}]; "
            f"got {int(labels.min())} to {int(labels.max())}"
        )
    if cpu.serves(logits):
        return cpu.cross_entropy(logits, labels, smoothing, sloped=sloped)
    return _anywhere(logits, labels, smoothing, sloped)


def _anywhere(logits: Tensor, labels: Tensor, smoothing: float, sloped: bool) -> Three:
    _fit(logits, labels, smoothing)
    slope = _slope(logits, labels, smoothing) if sloped else logits.new_empty(0)
    return *reference(logits, labels, smoothing), slope


def _shapes(logits: Tensor, labels: Tensor, smoothing: float, sloped: bool) -> Three:
    _fit(logits, labels, smoothing)
    members = logits.shape[0]
    slope = torch.empty_like(logits, memory_format=torch.contiguous_format)
    return (
        logits.new_empty(members),
        logits.new_empty(members, dtype=torch.int32),
        slope if sloped else logits.new_empty(0),
    )


class _CrossEntropy(Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, smoothing: float, sloped: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        losses, wrong, slope = below(_operator, logits, labels, smoothing, True)
        ctx.save_for_backward(logits, labels, slope)
        ctx.smoothing = smoothing
        empty = slope if sloped else logits.new_empty(0)
        ctx.mark_non_differentiable(wrong, empty)
        return losses, wrong, empty

    @staticmethod
    def backward(ctx: Any, dlosses: Tensor, *_: Any) -> tuple[Tensor, None, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        logits, labels, slope = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate this
            slope = _slope(logits, labels, ctx.smoothing)
        return slope * dlosses[:, None, None], None, None, None


_operator = defining.define(
    "cross_entropy(Tensor logits, Tensor labels, float smoothing, bool sloped) "
    "-> (Tensor, Tensor, Tensor)",
    on_cpu=_on_cpu,
    anywhere=_anywhere,
    shapes=_shapes,
    gradient=_CrossEntropy,
)


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
        counts as wrong. Gradients of gradients are right (through plain torch). Under autocast
        all is float32.

    Raises:
        InvalidValue: for a wrong shape, a label that is no class (on other devices than the CPU
            torch refuses it, if it does), or a smoothing out of range.
    """
    losses, wrong, _ = call(_operator, logits, labels, float(smoothing), False)
    return losses, wrong
