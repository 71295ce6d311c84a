"""The operators in plain torch: the oracle of the tests, and what other devices and dtypes use."""

from __future__ import annotations

import torch
from torch import Tensor

from wireloom.compute.pattern import Pattern

SLICE = 1 << 24  # elements of the largest intermediate


def _coordinates(pattern: Pattern, device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and column of each weight: int64 [weights] each."""
    pointers, columns = pattern.csr
    lengths = torch.from_numpy(pointers[1:] - pointers[:-1])
    rows = torch.repeat_interleave(torch.arange(pattern.shape[0]), lengths)
    return rows.to(device), torch.from_numpy(columns).to(device)


def _scatter(weight: Tensor, into: Tensor, taken: Tensor, x: Tensor, rows: int) -> Tensor:
    y = x.new_zeros(rows, x.shape[1])
    step = max(1, SLICE // max(1, x.shape[1]))
    for i in range(0, len(weight), step):
        part = slice(i, i + step)
        y = y.index_add(0, into[part], weight[part, None] * x[taken[part]])
    return y


def product(pattern: Pattern, weight: Tensor, x: Tensor) -> Tensor:
    """y = W x for the weights that exist: [rows, batch] from [columns, batch]."""
    rows, columns = _coordinates(pattern, x.device)
    return _scatter(weight, rows, columns, x, pattern.shape[0])


def transposed_product(pattern: Pattern, weight: Tensor, y: Tensor) -> Tensor:
    """x = W^T y: [columns, batch] from [rows, batch]."""
    rows, columns = _coordinates(pattern, y.device)
    return _scatter(weight, columns, rows, y, pattern.shape[1])


def outer(pattern: Pattern, y: Tensor, x: Tensor) -> Tensor:
    """Entries of y x^T where weights exist: [weights] from [rows, batch] and [columns, batch]."""
    rows, columns = _coordinates(pattern, x.device)
    step = max(1, SLICE // max(1, x.shape[1]))
    parts = [
        (y[rows[i : i + step]] * x[columns[i : i + step]]).sum(1) for i in range(0, len(rows), step)
    ]
    return torch.cat(parts) if parts else x.new_zeros(0)
