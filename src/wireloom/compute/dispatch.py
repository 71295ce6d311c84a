"""How torch finds our operators: their registration, the short way past its dispatcher, autocast.

Operators on patterns are made in `registry`, those of any other arguments in `defining`; both enter
here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter

LIBRARY = torch.library.Library("wireloom", "DEF")
HALVES = (torch.bfloat16, torch.float16)
_PLAIN = (Tensor, Parameter)


@dataclass(frozen=True)
class _Entry:
    """What of an operator is wanted where the dispatcher is passed by."""

    on_cpu: Callable[..., Any]
    gradient: type[Function]
    cast: Callable[..., tuple[Any, ...]]


_ENTRIES: dict[Any, _Entry] = {}


def enter(
    schema: str,
    *,
    on_cpu: Callable[..., Any],
    anywhere: Callable[..., Any],
    shapes: Callable[..., Any],
    gradient: type[Function],
    cast: Callable[..., tuple[Any, ...]],
) -> Any:
    """Register an operator with torch; `torch.ops.wireloom` has it.

    Args:
        schema: as torch writes it; the first argument is a tensor.
        on_cpu, anywhere: its bodies on the CPU and on other devices.
        shapes: its body for tensors without data.
        gradient: the function whose forward runs the operator, by `below`, and whose backward
            differentiates it.
        cast: its arguments as they are under autocast.
    """
    name = LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    operator = getattr(torch.ops.wireloom, name).default
    _ENTRIES[operator] = _Entry(on_cpu, gradient, cast)
    LIBRARY.impl(operator, on_cpu, "CPU")
    LIBRARY.impl(operator, anywhere, "CompositeExplicitAutograd")
    LIBRARY.impl(operator, shapes, "Meta")
    LIBRARY.impl(operator, lambda *given: above(operator, *given), "Autograd")
    for device in ("CPU", "CUDA"):
        LIBRARY.impl(operator, _autocast(operator, device), f"Autocast{device}")
    return operator


def _autocast(operator: Any, device: str) -> Callable[..., Any]:
    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))

    def run(*given: Any) -> Any:
        wanted = _ENTRIES[operator].cast(*given)
        with torch._C._ExcludeDispatchKeyGuard(keys):
            return operator(*wanted)

    return run


def call(operator: Any, *given: Any) -> Any:
    """An operator, past the dispatcher's first stations where nobody looks at what is called.

    That saves a small network a tenth of its time.
    """
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return operator(*given)
    if autocasting(given[0].device):
        given = _ENTRIES[operator].cast(*given)
    return above(operator, *given)


def above(operator: Any, *given: Any) -> Any:
    """An operator with its gradient, where one is wanted."""
    if torch.is_grad_enabled():
        # A loop, since this runs at every call and `any` of a generator takes thrice as long.
        for a in given:
            if isinstance(a, Tensor) and a.requires_grad:
                return _ENTRIES[operator].gradient.apply(*given)
    return below(operator, *given)


def below(operator: Any, *given: Any) -> Any:
    """An operator without its gradient.

    Where nobody looks on and the tensors are plain ones on the CPU, its body is called as it is:
    the dispatcher would find the same one, in as long as a small layer takes.
    """
    if plain(*given):
        return _ENTRIES[operator].on_cpu(*given)
    with torch._C._AutoDispatchBelowAutograd():
        return operator(*given)


def plain(*given: Any) -> bool:
    """Whether nobody looks on, and all tensors among the arguments are plain ones on the CPU."""
    if (
        torch.compiler.is_compiling()
        or torch._C._len_torch_dispatch_stack()
        or torch.autograd.profiler._is_profiler_enabled
    ):
        return False
    for a in given:  # a loop, as above
        if isinstance(a, Tensor) and (type(a) not in _PLAIN or not a.is_cpu):
            return False
    return True


def autocasting(device: torch.device) -> bool:
    """Whether autocast is on for a device; torch refuses the question for some."""
    return device.type != "meta" and torch.is_autocast_enabled(device.type)


def lowered(tensor: Tensor) -> Tensor:
    """A tensor in the dtype of autocast, which leaves float64 as it is."""
    if tensor.dtype == torch.float64:
        return tensor
    return tensor.to(torch.get_autocast_dtype(tensor.device.type))


def widened(tensor: Tensor) -> Tensor:
    """A tensor of fewer than 32 bits a number in float32; others as they are."""
    return tensor.float() if tensor.dtype in HALVES else tensor
