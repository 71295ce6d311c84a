"""The convolutions as torch knows them: `torch.ops.wireloom`.

    convolution(weight, x, plan, rows, window, height, width)                  y = W * x
    transposed_convolution(weight, y, plan, columns, window, height, width)    its gradient for x
    convolution_outer(y, x, plan, weights, window, height, width)              its gradient for W

Maps are channel-major, [channels, images, height, width]. The window is `Window.numbers`; height
and width are those of x. A weight has one number for each tap of each of the pattern's entries.

`wireloom.compute.convolution` and `convolution_outer` are what to call; these are for tracing.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import convolution_cpu as cpu
from wireloom.compute import convolution_gpu as gpu
from wireloom.compute import convolution_reference as reference
from wireloom.compute.pattern import Pattern
from wireloom.compute.registry import Bodies, refuse_strangers, register
from wireloom.compute.window import Pair, Window

Numbers = Sequence[int]


def _fit(
    x: Tensor | None, y: Tensor | None, weights: int, window: Numbers, height: int, width: int
) -> Pair:
    """Check shapes; the output map's height and width."""
    geometry = Window.read(window)
    size = geometry.output(height, width)
    if height < 1 or width < 1 or size[0] < 1 or size[1] < 1:
        raise InvalidValue(
            f"the maps of a convolution must hold at least one window ({geometry}); "
            f"got {height} x {width} pixels"
        )
    for maps, want in ((x, (height, width)), (y, size)):
        if maps is not None and (maps.dim() != 4 or tuple(maps.shape[2:]) != want):
            raise InvalidValue(
                f"operands of shape {list(maps.shape)} and maps of {want[0]} x {want[1]} pixels "
                "do not fit each other"
            )
    if x is not None and y is not None and x.shape[1] != y.shape[1]:
        raise InvalidValue(
            f"operands of {y.shape[1]} and of {x.shape[1]} images do not fit each other"
        )
    if weights % geometry.taps:
        raise InvalidValue(f"operands of {weights} weights and {geometry.taps} taps do not fit")
    return size


def _fit_weight(weight: Tensor, maps: Tensor) -> None:
    if weight.dim() != 1:
        raise InvalidValue(
            f"operands of shape {list(weight.shape)} and {list(maps.shape)} do not fit each other"
        )
    refuse_strangers(weight, maps)


def _fit_convolution(
    weight: Tensor, x: Tensor, rows: int, window: Numbers, height: int, width: int
) -> None:
    _fit_weight(weight, x)
    _fit(x, None, weight.shape[0], window, height, width)


def _fit_transposed(
    weight: Tensor, y: Tensor, columns: int, window: Numbers, height: int, width: int
) -> None:
    _fit_weight(weight, y)
    _fit(None, y, weight.shape[0], window, height, width)


def _fit_outer(
    y: Tensor, x: Tensor, weights: int, window: Numbers, height: int, width: int
) -> None:
    refuse_strangers(y, x)
    _fit(x, y, weights, window, height, width)


def _taps(window: Numbers) -> int:
    return window[0] * window[1]


def _plain_convolution(
    pattern: Pattern, weight: Tensor, x: Tensor, window: Numbers, height: int, width: int
) -> Tensor:
    y = reference.convolution(pattern, Window.read(window), weight, x.transpose(0, 1))
    return y.transpose(0, 1).contiguous()


def _plain_transposed(
    pattern: Pattern, weight: Tensor, y: Tensor, window: Numbers, height: int, width: int
) -> Tensor:
    size = height, width
    x = reference.transposed(pattern, Window.read(window), weight, y.transpose(0, 1), size)
    return x.transpose(0, 1).contiguous()


def _plain_outer(
    pattern: Pattern, y: Tensor, x: Tensor, window: Numbers, height: int, width: int
) -> Tensor:
    return reference.outer(pattern, Window.read(window), y.transpose(0, 1), x.transpose(0, 1))


_REST = "int[] window, SymInt height, SymInt width) -> Tensor"

convolution, transposed_convolution, convolution_outer = register(
    Bodies(
        schema=f"convolution(Tensor weight, Tensor x, Tensor plan, SymInt rows, {_REST}",
        fit=_fit_convolution,
        empty=lambda weight, x, rows, window, height, width: x.new_empty(
            rows, x.shape[1], *Window.read(window).output(height, width)
        ),
        sizes=lambda weight, x, rows, window, *size: (
            rows,
            len(x),
            len(weight) // _taps(window),
        ),
        serves=cpu.serves,
        native=cpu.convolution,
        triton=gpu.convolution,
        plain=_plain_convolution,
    ),
    Bodies(
        schema="transposed_convolution(Tensor weight, Tensor y, Tensor plan, SymInt columns, "
        + _REST,
        fit=_fit_transposed,
        empty=lambda weight, y, columns, window, height, width: y.new_empty(
            columns, y.shape[1], height, width
        ),
        sizes=lambda weight, y, columns, window, *size: (
            len(y),
            columns,
            len(weight) // _taps(window),
        ),
        serves=cpu.serves,
        native=cpu.transposed,
        triton=gpu.transposed,
        plain=_plain_transposed,
    ),
    Bodies(
        schema=f"convolution_outer(Tensor y, Tensor x, Tensor plan, SymInt weights, {_REST}",
        fit=_fit_outer,
        empty=lambda y, x, weights, *rest: x.new_empty(weights),
        sizes=lambda y, x, weights, window, *size: (len(y), len(x), weights // _taps(window)),
        serves=cpu.serves,
        native=cpu.outer,
        triton=gpu.outer,
        plain=_plain_outer,
    ),
)
