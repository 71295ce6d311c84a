"""Products on a pattern, differentiable, on feature-major activations.

`product`, its transpose and `outer` are closed under differentiation: the gradient of each is made
of the others, so gradients of gradients are right. The native kernels serve float32 on the CPU, and
16 bits by way of it; the Triton kernels serve GPUs; everything else runs on the reference.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import operators
from wireloom.compute.dispatch import call
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import plan, words_on


def _check(of: Pattern, name: str, tensor: Tensor, *shape: int | str) -> None:
    have = tensor.shape
    fits = len(have) == len(shape)
    # A loop, since this runs at every call and `all` of a generator takes thrice as long.
    for i in range(len(shape) if fits else 0):
        want = shape[i]
        fits = fits and (isinstance(want, str) or have[i] == want)
    if not fits:
        wanted = ", ".join(map(str, shape))
        raise InvalidValue(
            f"`{name}` of a product on {of!r} must have shape [{wanted}]; got {list(tensor.shape)}"
        )


def operate(
    operator: Any, one: Tensor, other: Tensor, pattern: Pattern, size: int, *rest: Any
) -> Tensor:
    """An operator of the registry on a pattern."""
    device = one.device
    words = plan(pattern).words if device.type == "cpu" else words_on(pattern, device)
    return call(operator, one, other, words, size, *rest)


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
