"""How an operator of any arguments is registered with torch.

The operators on patterns, which all take the same arguments, are made in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.compute.registry import HALVES, LIBRARY, ON_CPU, autocasting, below, widened


def define(
    schema: str,
    *,
    on_cpu: Callable[..., Any],
    anywhere: Callable[..., Any],
    shapes: Callable[..., Any],
    gradient: type[Function],
    kept: tuple[int, ...] = (),
) -> tuple[Any, Callable[..., Any]]:
    """Define an operator that runs in float32 under autocast, and on operands of 16 bits.

    Args:
        schema: as torch writes it; the first argument is a tensor, whose dtype tells.
        on_cpu, anywhere: its bodies on the CPU and on other devices; they need not know 16 bits.
        shapes: its body for tensors without data; it refuses operands of different dtypes, and
            its results have the dtypes that results are rounded to.
        gradient: the function whose forward runs the operator and whose backward differentiates it.
        kept: places of arguments that autocast leaves as they are, since they are written to.

    Returns:
        The operator; and the same, past the dispatcher's first station where nobody looks at what
        is called, which saves a small network a tenth of its time.
    """
    name = LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    operator = getattr(torch.ops.wireloom, name).default
    on_cpu, anywhere = (_rounding(body, shapes, kept) for body in (on_cpu, anywhere))
    ON_CPU[operator] = on_cpu

    def above(*arguments: Any) -> Any:
        if torch.is_grad_enabled():
            # A loop, since this runs at every call and `any` of a generator takes thrice as long.
            for a in arguments:
                if isinstance(a, Tensor) and a.requires_grad:
                    return gradient.apply(*arguments)
        return below(operator, *arguments)

    def call(*arguments: Any) -> Any:
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return operator(*arguments)
        return above(*_widened(arguments, kept))

    LIBRARY.impl(operator, on_cpu, "CPU")
    LIBRARY.impl(operator, anywhere, "CompositeExplicitAutograd")
    LIBRARY.impl(operator, shapes, "Meta")
    LIBRARY.impl(operator, above, "Autograd")
    for device in ("CPU", "CUDA"):
        LIBRARY.impl(operator, _in_float32(operator, device, kept), f"Autocast{device}")
    return operator, call


def _rounding(
    body: Callable[..., Any], shapes: Callable[..., Any], kept: tuple[int, ...]
) -> Callable[..., Any]:
    """A body that takes operands of 16 bits too: widened to float32, each result rounded once."""

    def run(*arguments: Any) -> Any:
        if arguments[0].dtype not in HALVES:
            return body(*arguments)
        empty = shapes(*arguments)
        wide = [widened(a) if isinstance(a, Tensor) else a for a in arguments]
        made = body(*wide)
        for i in kept:
            if not torch.equal(wide[i], arguments[i].float()):  # the body wrote to it
                arguments[i].copy_(wide[i])
        if isinstance(made, Tensor):
            return made.to(empty.dtype)
        return tuple(m.to(e.dtype) for m, e in zip(made, empty, strict=True))

    return run


def _widened(arguments: tuple[Any, ...], kept: tuple[int, ...]) -> tuple[Any, ...]:
    """The arguments as the operator takes them: under autocast, in float32."""
    if not autocasting(arguments[0].device):
        return arguments
    return tuple(
        widened(a) if isinstance(a, Tensor) and i not in kept else a
        for i, a in enumerate(arguments)
    )


def _in_float32(operator: Any, device: str, kept: tuple[int, ...]) -> Callable[..., Any]:
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))

    def call(*arguments: Any) -> Any:
        wide = _widened(arguments, kept)
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operator(*wide)

    return call
