"""What torch's own `FlopCounterMode` counts for the operators: two for each multiply-add."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch.utils.flop_counter import register_flop_formula

from wireloom.compute import convolution_operators, operators


def _products(one: Sequence[int], other: Sequence[int], *_: Any, **__: Any) -> int:
    """[weights] and [features, batch]."""
    return 2 * one[0] * other[1]


def _outer(one: Sequence[int], *rest: Any, out_shape: Sequence[int], **__: Any) -> int:
    """[rows, batch] to [weights]."""
    return 2 * out_shape[0] * one[1]


def _convolution(one: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
    """[weights] to maps [channels, images, height, width]."""
    return 2 * one[0] * math.prod(out_shape[1:])


def _transposed(one: Sequence[int], other: Sequence[int], *_: Any, **__: Any) -> int:
    """[weights] and maps."""
    return 2 * one[0] * math.prod(other[1:])


def _convolution_outer(one: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
    """Maps to [weights]."""
    return 2 * out_shape[0] * math.prod(one[1:])


for operator, formula in (
    (operators.product, _products),
    (operators.transposed_product, _products),
    (operators.outer, _outer),
    (convolution_operators.convolution, _convolution),
    (convolution_operators.transposed_convolution, _transposed),
    (convolution_operators.convolution_outer, _convolution_outer),
):
    register_flop_formula(operator.overloadpacket)(formula)
