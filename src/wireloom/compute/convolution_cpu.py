"""The native convolutions on torch tensors: float32, on the CPU, channel-major.

As in `cpu`, type, layout and length of every array are checked before an address is taken. Maps are
[channels, images, height, width]; ``window`` is `Window.numbers`; ``height`` and ``width`` are the
input maps' own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wireloom.compute.normalisation_cpu import CODES
from wireloom.compute.window import Window
from wireloom.native import _native


def serves(*tensors: Tensor) -> bool:
    """Whether the native convolutions can take these tensors."""
    return all(t.dtype == torch.float32 and t.is_cpu for t in tensors)


def convolution(
    plan: Tensor,
    weight: Tensor,
    x: Tensor,
    rows: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """[rows, images, output height, output width] from [columns, images, height, width]."""
    y = torch.empty(rows, x.shape[1], *Window.read(window).output(height, width))
    return _convolution(plan, weight, x, y, window, (height, width), back=False)


def transposed(
    plan: Tensor,
    weight: Tensor,
    y: Tensor,
    columns: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """The gradient of `convolution` for its input."""
    x = torch.empty(columns, y.shape[1], height, width)
    return _convolution(plan, weight, y, x, window, (height, width), back=True)


def _convolution(
    plan: Tensor,
    weight: Tensor,
    given: Tensor,
    result: Tensor,
    window: Sequence[int],
    size: tuple[int, int],
    *,
    back: bool,
) -> Tensor:
    assert serves(weight, given)
    weight, given = weight.contiguous(), given.contiguous()
    rows, columns = (given, result) if back else (result, given)
    _native.convolution(  # which holds the plan against all these sizes
        plan.data_ptr(),
        plan.numel(),
        back,
        weight.data_ptr(),
        given.data_ptr(),
        result.data_ptr(),
        len(rows),
        len(columns),
        len(weight) // (window[0] * window[1]),
        window,
        given.shape[1],
        *size,
        torch.get_num_threads(),
    )
    return result


def convolution_norm(
    plan: Tensor,
    weight: Tensor,
    x: Tensor,
    window: Sequence[int],
    vectors: Sequence[Tensor],
    residual: Tensor | None,
    activation: str,
    epsilon: float,
) -> Tensor:
    """The convolution, then `norm` by running values; ``vectors``: scale, shift, mean, variance."""
    rows, (columns, images, height, width) = len(vectors[0]), x.shape
    y = torch.empty(rows, images, *Window.read(window).output(height, width))
    assert serves(weight, x, *vectors)
    assert all(v.shape == (rows,) and v.is_contiguous() for v in vectors)
    weight, x = weight.contiguous(), x.contiguous()
    if residual is not None:
        assert serves(residual)
        assert residual.shape == y.shape
        residual = residual.contiguous()
    _native.convolution_norm(
        plan.data_ptr(),
        plan.numel(),
        weight.data_ptr(),
        x.data_ptr(),
        y.data_ptr(),
        rows,
        columns,
        len(weight) // (window[0] * window[1]),
        window,
        images,
        height,
        width,
        *(v.data_ptr() for v in vectors),
        0 if residual is None else residual.data_ptr(),
        epsilon,
        CODES[activation],
        torch.get_num_threads(),
    )
    return y


def outer(
    plan: Tensor,
    y: Tensor,
    x: Tensor,
    weights: int,
    window: Sequence[int],
    height: int,
    width: int,
) -> Tensor:
    """The gradient of `convolution` for its weights, one for each tap: [weights]."""
    assert serves(y, x)
    y, x = y.contiguous(), x.contiguous()
    gradient = torch.empty(weights)
    _native.convolution_outer(
        plan.data_ptr(),
        plan.numel(),
        y.data_ptr(),
        x.data_ptr(),
        gradient.data_ptr(),
        len(y),
        len(x),
        weights // (window[0] * window[1]),
        window,
        x.shape[1],
        height,
        width,
        torch.get_num_threads(),
    )
    return gradient
