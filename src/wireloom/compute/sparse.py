"""Patterns and their weights as torch's sparse matrices, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wireloom.base import InvalidValue
from wireloom.compute.pattern import Pattern


def to_csr(pattern: Pattern, weight: Tensor) -> Tensor:
    """The matrix [rows, columns] in CSR; its values are ``weight`` itself, [weights]."""
    _check(pattern, weight)
    pointers, columns = (torch.from_numpy(part).to(weight.device) for part in pattern.csr)
    return torch.sparse_csr_tensor(pointers, columns, weight, pattern.shape, check_invariants=False)


def to_bsr(pattern: Pattern, weight: Tensor, blocksize: tuple[int, int]) -> Tensor:
    """The matrix [rows, columns] in BSR, with values [blocks, *blocksize].

    Raises:
        InvalidValue: unless every size of the pattern is a multiple of the block's.
    """
    _check(pattern, weight)
    height, width = blocksize
    uneven = [
        (name, size, step)
        for name, sizes, step in (
            ("out_sizes", pattern.out_sizes, height),
            ("in_sizes", pattern.in_sizes, width),
        )
        for size in sizes
        if step < 1 or size % step
    ]
    if uneven:
        name, size, step = uneven[0]
        raise InvalidValue(
            f"`blocksize` must divide all `{name}` of the pattern; got {step} for a size of {size}"
        )
    pointers, columns = _finer(pattern, height, width).csr
    values = weight[torch.from_numpy(_by_block(pattern, height, width)).to(weight.device)]
    return torch.sparse_bsr_tensor(
        torch.from_numpy(pointers).to(weight.device),
        torch.from_numpy(columns).to(weight.device),
        values.view(-1, height, width),
        pattern.shape,
        check_invariants=False,
    )


def from_sparse(matrix: Tensor) -> tuple[Pattern, Tensor]:
    """The coarsest pattern of a CSR or BSR matrix [rows, columns], and its weights [weights]."""
    if matrix.dim() != 2 or matrix.layout not in (torch.sparse_csr, torch.sparse_bsr):
        raise InvalidValue(
            "`matrix` must be one sparse matrix in CSR or BSR; "
            f"got {matrix.layout}, {list(matrix.shape)}"
        )
    pointers, columns = (
        part.cpu().numpy() for part in (matrix.crow_indices(), matrix.col_indices())
    )
    rows, width = matrix.shape
    values = matrix.values()
    if matrix.layout == torch.sparse_csr:
        return Pattern.from_csr(pointers, columns, (rows, width)), values
    high, wide = values.shape[1:]
    blocks = Pattern.from_csr(pointers, columns, (rows // high, width // wide))
    pattern = Pattern(
        [size * high for size in blocks.out_sizes],
        [size * wide for size in blocks.in_sizes],
        blocks.edges,
    )
    weight = torch.empty(pattern.weights, dtype=values.dtype, device=values.device)
    weight[torch.from_numpy(_by_block(pattern, high, wide)).to(values.device)] = values.flatten()
    return pattern, weight


def _check(pattern: Pattern, weight: Tensor) -> None:
    if weight.shape != (pattern.weights,):
        raise InvalidValue(
            f"`weight` on {pattern!r} must have shape [{pattern.weights}]; got {list(weight.shape)}"
        )


def _finer(pattern: Pattern, height: int, width: int) -> Pattern:
    """The pattern whose entries are the blocks."""
    return Pattern(
        [size // height for size in pattern.out_sizes],
        [size // width for size in pattern.in_sizes],
        pattern.edges,
    )


def _by_block(pattern: Pattern, height: int, width: int) -> np.ndarray:
    """The places of the weights in the order of BSR values: int64 [weights]."""
    starts = pattern.weight_starts
    order = [np.empty(0, dtype=np.int64)]
    for r, rows in enumerate(pattern.out_sizes):
        places = np.arange(starts[r], starts[r + 1])
        split = places.reshape(rows // height, height, -1, width)  # [rows, height, columns, width]
        order.append(split.transpose(0, 2, 1, 3).ravel())
    return np.concatenate(order)
