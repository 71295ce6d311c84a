"""Operators of any arguments: run in float32 under autocast, and on operands of 16 bits.

The operators on patterns, which all take the same arguments, are made in `registry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from wireloom.compute.dispatch import HALVES, enter, widened


def define(
    schema: str,
    *,
    on_cpu: Callable[..., Any],
    anywhere: Callable[..., Any],
    shapes: Callable[..., Any],
    gradient: type[Function],
    kept: tuple[int, ...] = (),
) -> Any:
    """Define an operator that runs in float32 under autocast, and on operands of 16 bits.

    Args:
        schema: as torch writes it; the first argument is a tensor, whose dtype tells.
        on_cpu, anywhere: its bodies on the CPU and on other devices; they need not know 16 bits.
        shapes: its body for tensors without data; it refuses operands of different dtypes, and
            its results have the dtypes that results are rounded to.
        gradient: the function whose forward runs the operator and whose backward differentiates it.
        kept: places of arguments that autocast leaves as they are, since they are written to.
    """

    def cast(*given: Any) -> tuple[Any, ...]:
        return tuple(
            widened(a) if isinstance(a, Tensor) and i not in kept else a
            for i, a in enumerate(given)
        )

    return enter(
        schema,
        on_cpu=_rounding(on_cpu, shapes, kept),
        anywhere=_rounding(anywhere, shapes, kept),
        shapes=shapes,
        gradient=gradient,
        cast=cast,
    )


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
