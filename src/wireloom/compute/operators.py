"""The operators as torch knows them: `torch.ops.wireloom`.

    product(weight, x, plan, rows)                 y = W x
    transposed_product(weight, y, plan, columns)   x = W^T y
    outer(y, x, plan, weights)                     the entries of y x^T that W has

The plan is the tensor `plan(pattern).words`, so that compiled graphs hold tensors alone. Each
operator has a body for the CPU, one in Triton for GPUs, one in plain torch for other devices and
dtypes, one that knows shapes only, and a gradient made of the other two. Under autocast they run in
float32, as torch's own sums do.

`wireloom.compute.product` and `outer` are what to call; these here are for tracing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue
from wireloom.compute import cpu, gpu, reference
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import pattern_of, sound

LIBRARY = torch.library.Library("wireloom", "DEF")
for schema in (
    "product(Tensor weight, Tensor x, Tensor plan, SymInt rows) -> Tensor",
    "transposed_product(Tensor weight, Tensor y, Tensor plan, SymInt columns) -> Tensor",
    "outer(Tensor y, Tensor x, Tensor plan, SymInt weights) -> Tensor",
):
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))

product = torch.ops.wireloom.product.default
transposed_product = torch.ops.wireloom.transposed_product.default
outer = torch.ops.wireloom.outer.default


# ---- bodies ----------------------------------------------------------------------------------


def _fit(one: Tensor, other: Tensor, matrices: bool) -> None:
    fits = one.dim() == 1 + matrices and other.dim() == 2
    if not fits or (matrices and one.shape[1] != other.shape[1]):
        raise InvalidValue(
            f"operands of shape {list(one.shape)} and {list(other.shape)} do not fit each other"
        )
    if one.dtype != other.dtype or one.device != other.device:
        raise InvalidValue(
            "the operands must share dtype and device; got "
            f"{one.dtype} on {one.device} and {other.dtype} on {other.device}"
        )


def _refuse_unless_sound(plan: Tensor) -> None:
    if not sound(plan):
        raise InvalidValue("`plan` must be the words of a pattern's plan, unchanged")


def _product_on_cpu(weight: Tensor, x: Tensor, plan: Tensor, rows: int) -> Tensor:
    if gpu.interpreted or not cpu.serves(weight, x):
        return _product_anywhere(weight, x, plan, rows)
    _fit(weight, x, False)
    _refuse_unless_sound(plan)
    return cpu.product(plan, weight, x, None, rows)


def _transposed_on_cpu(weight: Tensor, y: Tensor, plan: Tensor, columns: int) -> Tensor:
    if gpu.interpreted or not cpu.serves(weight, y):
        return _transposed_anywhere(weight, y, plan, columns)
    _fit(weight, y, False)
    _refuse_unless_sound(plan)
    return cpu.transposed_product(plan, weight, y, columns)


def _outer_on_cpu(y: Tensor, x: Tensor, plan: Tensor, weights: int) -> Tensor:
    if gpu.interpreted or not cpu.serves(y, x):
        return _outer_anywhere(y, x, plan, weights)
    _fit(y, x, True)
    _refuse_unless_sound(plan)
    return cpu.outer(plan, y, x, weights)


def _pattern(plan: Tensor, rows: int, columns: int, weights: int) -> Pattern:
    held = plan.cpu()
    _refuse_unless_sound(held)
    pattern = pattern_of(held)
    if (*pattern.shape, pattern.weights) != (rows, columns, weights):
        raise InvalidValue(
            f"the plan is one of {pattern!r}; the operands have {rows} x {columns} with "
            f"{weights} weights"
        )
    return pattern


def _product_anywhere(weight: Tensor, x: Tensor, plan: Tensor, rows: int) -> Tensor:
    _fit(weight, x, False)
    if gpu.serves(weight, x):
        return gpu.product(plan, weight, x, rows)
    return reference.product(_pattern(plan, rows, len(x), len(weight)), weight, x)


def _transposed_anywhere(weight: Tensor, y: Tensor, plan: Tensor, columns: int) -> Tensor:
    _fit(weight, y, False)
    if gpu.serves(weight, y):
        return gpu.transposed_product(plan, weight, y, columns)
    return reference.transposed_product(_pattern(plan, len(y), columns, len(weight)), weight, y)


def _outer_anywhere(y: Tensor, x: Tensor, plan: Tensor, weights: int) -> Tensor:
    _fit(y, x, True)
    if gpu.serves(y, x):
        return gpu.outer(plan, y, x, weights)
    return reference.outer(_pattern(plan, len(y), len(x), weights), y, x)


def _shape_of_product(weight: Tensor, x: Tensor, plan: Tensor, outputs: int) -> Tensor:
    _fit(weight, x, False)
    return x.new_empty(outputs, x.shape[1])


def _shape_of_outer(y: Tensor, x: Tensor, plan: Tensor, weights: int) -> Tensor:
    _fit(y, x, True)
    return x.new_empty(weights)


# ---- gradients -------------------------------------------------------------------------------


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, x: Tensor, plan: Tensor, rows: int) -> Tensor:
        ctx.save_for_backward(weight, x, plan)
        return _below(product, weight, x, plan, rows)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, x, plan = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        dweight = _above(outer, dy, x, plan, weight.shape[0]) if wanted[0] else None
        dx = _above(transposed_product, weight, dy, plan, x.shape[0]) if wanted[1] else None
        return dweight, dx, None, None


class _Transposed(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, y: Tensor, plan: Tensor, columns: int) -> Tensor:
        ctx.save_for_backward(weight, y, plan)
        return _below(transposed_product, weight, y, plan, columns)

    @staticmethod
    def backward(ctx: Any, dx: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        weight, y, plan = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        dweight = _above(outer, y, dx, plan, weight.shape[0]) if wanted[0] else None
        dy = _above(product, weight, dx, plan, y.shape[0]) if wanted[1] else None
        return dweight, dy, None, None


class _Outer(Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, plan: Tensor, weights: int) -> Tensor:
        ctx.save_for_backward(y, x, plan)
        return _below(outer, y, x, plan, weights)

    @staticmethod
    def backward(ctx: Any, dweight: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y, x, plan = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        dy = _above(product, dweight, x, plan, y.shape[0]) if wanted[0] else None
        dx = _above(transposed_product, dweight, y, plan, x.shape[0]) if wanted[1] else None
        return dy, dx, None, None


_FUNCTIONS: dict[Any, type[Function]] = {
    product: _Product,
    transposed_product: _Transposed,
    outer: _Outer,
}


def _below(operator: Any, one: Tensor, other: Tensor, plan: Tensor, size: int) -> Tensor:
    """An operator without its gradient."""
    with torch._C._AutoDispatchBelowAutograd():
        return operator(one, other, plan, size)


def _above(operator: Any, one: Tensor, other: Tensor, plan: Tensor, size: int) -> Tensor:
    """An operator with its gradient, where one is wanted."""
    if torch.is_grad_enabled() and (one.requires_grad or other.requires_grad):
        return _FUNCTIONS[operator].apply(one, other, plan, size)  # pyright: ignore[reportReturnType]
    return _below(operator, one, other, plan, size)


def call(operator: Any, one: Tensor, other: Tensor, plan: Tensor, size: int) -> Tensor:
    """An operator, past the dispatcher's first station where nobody looks at what is called."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return operator(one, other, plan, size)
    return _above(operator, one, other, plan, size)


def _in_float32(operator: Any, device: str) -> Callable[..., Tensor]:
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))

    def call(one: Tensor, other: Tensor, plan: Tensor, size: int) -> Tensor:
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operator(widened(one), widened(other), plan, size)

    return call


def widened(tensor: Tensor) -> Tensor:
    """A tensor of fewer than 32 bits a number in float32; others as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


for operator, on_cpu, anywhere, shape in (
    (product, _product_on_cpu, _product_anywhere, _shape_of_product),
    (transposed_product, _transposed_on_cpu, _transposed_anywhere, _shape_of_product),
    (outer, _outer_on_cpu, _outer_anywhere, _shape_of_outer),
):
    LIBRARY.impl(operator, on_cpu, "CPU")
    LIBRARY.impl(operator, anywhere, "CompositeExplicitAutograd")
    LIBRARY.impl(operator, shape, "Meta")
    LIBRARY.impl(operator, partial(_above, operator), "Autograd")
    for device in ("CPU", "CUDA"):
        LIBRARY.impl(operator, _in_float32(operator, device), f"Autocast{device}")
