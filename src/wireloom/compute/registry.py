"""The operators on patterns: who computes them, and how they are each other's gradients.

Every operator takes two tensors, the tensor `plan(pattern).words`, so that compiled graphs hold
tensors alone, the length of its result, and numbers that describe it:

    operator(one, other, plan, size, *rest)

They come in threes that are closed under differentiation: a product, its transpose, and the outer
product that gives the gradient for the weights. Each has a body for the CPU, one in Triton for
GPUs, one in plain torch for other devices and dtypes, one that knows shapes only, and a gradient
made of the other two. Under autocast they run in its dtype, as torch's own products do. On the CPU
operands of 16 bits without a native body are widened to float32, which is exact, and the result is
rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.autograd import Function

from wireloom.base import InvalidValue
from wireloom.compute import gpu
from wireloom.compute.dispatch import HALVES, above, below, enter, lowered
from wireloom.compute.plan import pattern_of, sound

UNSOUND = "`plan` must be the words of a pattern's plan, unchanged"


@dataclass(frozen=True)
class Bodies:
    """The bodies of one operator.

    schema: its name and arguments, as torch writes them.
    fit: refuses what does not fit, of (one, other, size, *rest).
    empty: its result without values, of the same arguments.
    sizes: rows, columns and weights that the plan must have, of the same arguments.
    serves: whether the native body takes these two tensors.
    native, triton: its result, of (plan, one, other, size, *rest).
    plain: its result, of (pattern, one, other, *rest).
    """

    schema: str
    fit: Callable[..., None]
    empty: Callable[..., Tensor]
    sizes: Callable[..., tuple[int, int, int]]
    serves: Callable[[Tensor, Tensor], bool]
    native: Callable[..., Tensor]
    triton: Callable[..., Tensor]
    plain: Callable[..., Tensor]

    def on_cpu(self) -> Callable[..., Tensor]:
        """The native body, where it can; what of this is looked up, is so once."""
        serves, fit, native, anywhere = self.serves, self.fit, self.native, self.anywhere

        def run(one: Tensor, other: Tensor, plan: Tensor, size: int, *rest: Any) -> Tensor:
            dtype = one.dtype
            served = serves(one, other)
            if gpu.interpreted or not (served or dtype in HALVES):
                return anywhere(one, other, plan, size, *rest)
            fit(one, other, size, *rest)
            if not sound(plan):
                raise InvalidValue(UNSOUND)
            if served:
                return native(plan, one, other, size, *rest)
            return native(plan, one.float(), other.float(), size, *rest).to(dtype)

        return run

    def anywhere(self, one: Tensor, other: Tensor, plan: Tensor, size: int, *rest: Any) -> Tensor:
        """The Triton kernel, where it can; else plain torch."""
        self.fit(one, other, size, *rest)
        if gpu.serves(one, other):
            return self.triton(plan, one, other, size, *rest)
        rows, columns, weights = self.sizes(one, other, size, *rest)
        held = plan.cpu()
        if not sound(held):
            raise InvalidValue(UNSOUND)
        pattern = pattern_of(held)
        if (*pattern.shape, pattern.weights) != (rows, columns, weights):
            raise InvalidValue(
                f"the plan is one of {pattern!r}; the operands have {rows} x {columns} with "
                f"{weights} weights"
            )
        return self.plain(pattern, one, other, *rest)

    def shape(self, one: Tensor, other: Tensor, plan: Tensor, size: int, *rest: Any) -> Tensor:
        """The shape alone."""
        self.fit(one, other, size, *rest)
        return self.empty(one, other, size, *rest)


def refuse_strangers(one: Tensor, other: Tensor) -> None:
    """Refuse operands of different dtype or device."""
    if one.dtype != other.dtype or one.device != other.device:
        raise InvalidValue(
            "the operands must share dtype and device; got "
            f"{one.dtype} on {one.device} and {other.dtype} on {other.device}"
        )


def register(product: Bodies, transposed: Bodies, outer: Bodies) -> tuple[Any, Any, Any]:
    """Register three operators that are each other's gradients; `torch.ops.wireloom` has them."""

    # [weight, x] -> y
    class Product(Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Tensor:
            return _begin(ctx, y_of, given)

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
            (weight, x, plan), rest, wanted = ctx.saved_tensors, ctx.rest, ctx.needs_input_grad
            dweight = above(weight_of, dy, x, plan, weight.shape[0], *rest) if wanted[0] else None
            dx = above(x_of, weight, dy, plan, x.shape[0], *rest) if wanted[1] else None
            return dweight, dx, None, None, *(None for _ in rest)

    # [weight, y] -> x
    class Transposed(Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Tensor:
            return _begin(ctx, x_of, given)

        @staticmethod
        def backward(ctx: Any, dx: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
            (weight, y, plan), rest, wanted = ctx.saved_tensors, ctx.rest, ctx.needs_input_grad
            dweight = above(weight_of, y, dx, plan, weight.shape[0], *rest) if wanted[0] else None
            dy = above(y_of, weight, dx, plan, y.shape[0], *rest) if wanted[1] else None
            return dweight, dy, None, None, *(None for _ in rest)

    # [y, x] -> weight
    class Outer(Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Tensor:
            return _begin(ctx, weight_of, given)

        @staticmethod
        def backward(ctx: Any, dweight: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
            (y, x, plan), rest, wanted = ctx.saved_tensors, ctx.rest, ctx.needs_input_grad
            dy = above(y_of, dweight, x, plan, y.shape[0], *rest) if wanted[0] else None
            dx = above(x_of, dweight, y, plan, x.shape[0], *rest) if wanted[1] else None
            return dy, dx, None, None, *(None for _ in rest)

    y_of, x_of, weight_of = (
        enter(
            bodies.schema,
            on_cpu=bodies.on_cpu(),
            anywhere=bodies.anywhere,
            shapes=bodies.shape,
            gradient=gradient,
            cast=_cast,
        )
        for bodies, gradient in ((product, Product), (transposed, Transposed), (outer, Outer))
    )
    return y_of, x_of, weight_of


def _begin(ctx: Any, operator: Any, given: tuple[Any, ...]) -> Tensor:
    """Keep what the gradient needs; the operator's result."""
    one, other, plan, _, *rest = given
    ctx.save_for_backward(one, other, plan)
    ctx.rest = rest
    return below(operator, *given)


def _cast(one: Tensor, other: Tensor, *rest: Any) -> tuple[Any, ...]:
    return lowered(one), lowered(other), *rest
