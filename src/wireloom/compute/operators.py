"""The products as torch knows them: `torch.ops.wireloom`.

    product(weight, x, plan, rows)                 y = W x
    transposed_product(weight, y, plan, columns)   x = W^T y
    outer(y, x, plan, weights)                     the entries of y x^T that W has

`wireloom.compute.product` and `outer` are what to call; these here are for tracing.
"""

from __future__ import annotations

from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute import cpu, gpu, reference
from wireloom.compute.registry import Bodies, refuse_strangers, register


def _fit(one: Tensor, other: Tensor, matrices: bool) -> None:
    fits = one.dim() == 1 + matrices and other.dim() == 2
    if not fits or (matrices and one.shape[1] != other.shape[1]):
        raise InvalidValue(
            f"operands of shape {list(one.shape)} and {list(other.shape)} do not fit each other"
        )
    refuse_strangers(one, other)


def _fit_product(weight: Tensor, x: Tensor, outputs: int) -> None:
    _fit(weight, x, False)


def _fit_outer(y: Tensor, x: Tensor, weights: int) -> None:
    _fit(y, x, True)


def _empty_product(weight: Tensor, x: Tensor, outputs: int) -> Tensor:
    return x.new_empty(outputs, x.shape[1])


def _empty_outer(y: Tensor, x: Tensor, weights: int) -> Tensor:
    return x.new_empty(weights)


def _native_product(plan: Tensor, weight: Tensor, x: Tensor, rows: int) -> Tensor:
    return cpu.product(plan, weight, x, None, rows)


product, transposed_product, outer = register(
    Bodies(
        schema="product(Tensor weight, Tensor x, Tensor plan, SymInt rows) -> Tensor",
        fit=_fit_product,
        empty=_empty_product,
        sizes=lambda weight, x, rows: (rows, len(x), len(weight)),
        serves=cpu.multiplies,
        native=_native_product,
        triton=gpu.product,
        plain=reference.product,
    ),
    Bodies(
        schema="transposed_product(Tensor weight, Tensor y, Tensor plan, SymInt columns) -> Tensor",
        fit=_fit_product,
        empty=_empty_product,
        sizes=lambda weight, y, columns: (len(y), columns, len(weight)),
        serves=cpu.multiplies,
        native=cpu.transposed_product,
        triton=gpu.transposed_product,
        plain=reference.transposed_product,
    ),
    Bodies(
        schema="outer(Tensor y, Tensor x, Tensor plan, SymInt weights) -> Tensor",
        fit=_fit_outer,
        empty=_empty_outer,
        sizes=lambda y, x, weights: (len(y), len(x), weights),
        serves=cpu.serves,
        native=cpu.outer,
        triton=gpu.outer,
        plain=reference.outer,
    ),
)
