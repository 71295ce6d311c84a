"""`Pattern`: a ragged block structure; a layer's weights hold its blocks and no more."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from wireloom.base import InvalidValue, is_whole
from wireloom.wiring import Wiring, block_sizes

if TYPE_CHECKING:
    from torch import Tensor


def _starts(sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _checked_csr(starts: np.ndarray, columns: np.ndarray, rows: int, width: int) -> np.ndarray:
    """The rows' lengths, of what is a CSR matrix: [rows]."""
    for name, part in (("crow", starts), ("col", columns)):
        if part.ndim != 1 or not np.issubdtype(part.dtype, np.integer):
            raise InvalidValue(
                f"`{name}` must be a list of whole numbers; got {part.dtype} {list(part.shape)}"
            )
    if rows < 1 or width < 1 or starts.shape != (rows + 1,):
        raise InvalidValue(
            "`shape` of a sparse matrix must be at least 1 by 1, with one number in `crow` for "
            f"each row and one for the end; got {(rows, width)} and {len(starts)} numbers"
        )
    lengths = np.diff(starts)
    if starts[0] != 0 or starts[-1] != len(columns) or (lengths < 0).any():
        raise InvalidValue(
            f"`crow` must rise from 0 to the number of entries, {len(columns)}; "
            f"got {starts[0]} to {starts[-1]}"
        )
    rising = np.ones(len(columns) + 1, dtype=bool)
    rising[1:-1] = np.diff(columns) > 0
    rising[starts] = True
    if not rising.all() or (len(columns) and (columns.min() < 0 or columns.max() >= width)):
        raise InvalidValue(
            f"`col` must rise within each row and be columns below {width}, each once"
        )
    return lengths


class Pattern:
    """Which blocks of a weight matrix exist: receivers' rows by senders' columns.

    Immutable and hashable. A layer's weight on a pattern is one flat array of the existing
    entries, row by row and by rising column within a row: the values of the matrix in compressed
    sparse row (CSR) form. The rows of one receiver share their columns.

    Args:
        out_sizes: rows of each receiver, each at least 1: [receivers].
        in_sizes: columns of each sender, each at least 1: [senders].
        edges: existing blocks as (receiver, sender), in any order, unique: [blocks, 2].

    Raises:
        InvalidValue: for a size below 1, an index out of range or a block given twice.

    Example:
        >>> p = Pattern([2, 1], [1, 3], [(0, 0), (0, 1), (1, 1)])
        >>> p.shape, p.weights
        ((3, 4), 11)
    """

    __slots__ = ("__dict__", "__weakref__", "edges", "in_sizes", "out_sizes")

    out_sizes: tuple[int, ...]
    in_sizes: tuple[int, ...]
    edges: np.ndarray

    def __init__(
        self,
        out_sizes: Sequence[int],
        in_sizes: Sequence[int],
        edges: Sequence[tuple[int, int]] | np.ndarray,
    ) -> None:
        for name, sizes in (("out_sizes", out_sizes), ("in_sizes", in_sizes)):
            if len(sizes) == 0 or not all(map(is_whole, sizes)) or min(sizes) < 1:
                raise InvalidValue(
                    f"`{name}` of a pattern must be at least one whole number, each 1 or more; "
                    f"got {list(sizes)[:8]}"
                )
        try:
            pairs = np.asarray(edges)
        except ValueError:  # ragged
            raise InvalidValue("`edges` of a pattern must be (receiver, sender) pairs") from None
        if pairs.shape == (0,):
            pairs = np.empty((0, 2), dtype=np.int64)
        if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.issubdtype(pairs.dtype, np.integer):
            raise InvalidValue(
                "`edges` of a pattern must be pairs of whole numbers, [blocks, 2]; "
                f"got {pairs.dtype} {list(pairs.shape)}"
            )
        outside = ((pairs < 0) | (pairs >= [len(out_sizes), len(in_sizes)])).any(1)
        if outside.any():
            raise InvalidValue(
                "`edges` of a pattern must be (receiver, sender) pairs below "
                f"({len(out_sizes)}, {len(in_sizes)}); got {tuple(pairs[outside][0].tolist())}"
            )
        pairs = pairs.astype(np.int64)
        order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        pairs = pairs[order]
        if len(pairs) > 1 and (pairs[1:] == pairs[:-1]).all(1).any():
            raise InvalidValue("`edges` of a pattern must name each block once; got one twice")
        pairs.setflags(write=False)
        object.__setattr__(self, "out_sizes", tuple(map(int, out_sizes)))
        object.__setattr__(self, "in_sizes", tuple(map(int, in_sizes)))
        object.__setattr__(self, "edges", pairs)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Pattern does not change; make a new one instead of setting {name}")

    def __reduce__(self) -> tuple[Any, ...]:
        return Pattern, (self.out_sizes, self.in_sizes, self.edges)

    # ---- making one ------------------------------------------------------------------------

    @classmethod
    def from_wiring(cls, wiring: Wiring, *, out: int, into: int) -> Pattern:
        """The pattern of a layer of width ``into`` to ``out`` on a wiring, self-loops included.

        Raises:
            InvalidValue: if the wiring has more nodes than ``out`` or ``into``.
        """
        return cls(block_sizes(out, wiring.nodes), block_sizes(into, wiring.nodes), wiring.blocks())

    @classmethod
    def dense(cls, *, out: int, into: int) -> Pattern:
        """One block: an ordinary layer."""
        return cls([out], [into], [(0, 0)])

    @classmethod
    def from_mask(cls, mask: np.ndarray) -> Pattern:
        """The coarsest pattern of a boolean matrix [rows, columns].

        Neighbouring rows with the same columns become one receiver, neighbouring columns in the
        same rows one sender; where no neighbours agree, every True is a block of its own.
        Cost: O(rows columns).

        Raises:
            InvalidValue: unless it is a boolean matrix with at least one row and one column.
        """
        mask = np.asarray(mask)
        if mask.ndim != 2 or mask.size == 0 or mask.dtype != bool:
            raise InvalidValue(
                f"`mask` must be a boolean matrix [rows, columns]; got {mask.dtype} "
                f"{list(mask.shape)}"
            )
        return cls.from_csr(_starts(mask.sum(1)), np.nonzero(mask)[1], mask.shape)

    @classmethod
    def from_csr(
        cls, crow: np.ndarray | Tensor, col: np.ndarray | Tensor, shape: Sequence[int]
    ) -> Pattern:
        """The coarsest pattern of a sparse matrix; its values in CSR are the pattern's weights.

        Args:
            crow: where each row begins in ``col``, and the end: whole numbers [rows + 1].
            col: columns of the entries, rising within each row: whole numbers [entries].
            shape: (rows, columns), each at least 1.

        Raises:
            InvalidValue: if these are no CSR matrix.

        Cost: O(entries + rows + columns).
        """
        starts, columns = (np.asarray(part) for part in (crow, col))
        rows, width = (int(size) for size in shape)
        lengths = _checked_csr(starts, columns, rows, width)
        row_of = np.repeat(np.arange(rows), lengths)
        # Between two columns is a boundary where an entry has no neighbour.
        follows = np.zeros(len(columns) + 1, dtype=bool)
        follows[1:-1] = (np.diff(columns) == 1) & (np.diff(row_of) == 0)
        boundary = np.zeros(width + 1, dtype=bool)
        boundary[columns[~follows[:-1]]] = True
        boundary[columns[~follows[1:]] + 1] = True
        boundary[[0, width]] = True
        # A row goes on the receiver above it if it is as long and no entry differs.
        differs = np.ones(rows, dtype=bool)
        differs[1:] = np.diff(lengths) != 0
        entries = np.flatnonzero(~differs[row_of])
        unlike = columns[entries] != columns[entries - lengths[row_of[entries]]]
        differs[row_of[entries[unlike]]] = True
        receivers, senders = np.flatnonzero(differs), np.flatnonzero(boundary)
        first = differs[row_of] & boundary[columns]
        edges = [np.cumsum(differs)[row_of[first]] - 1, np.cumsum(boundary)[columns[first]] - 1]
        return cls(
            np.diff(np.append(receivers, rows)).tolist(),
            np.diff(senders).tolist(),
            np.stack(edges, 1),
        )

    @staticmethod
    def from_sparse(matrix: Tensor) -> tuple[Pattern, Tensor]:
        """The coarsest pattern of a torch CSR or BSR matrix, and its weights [weights].

        Raises:
            InvalidValue: for another layout, or a batch of matrices.
        """
        from wireloom.compute.sparse import from_sparse

        return from_sparse(matrix)

    @classmethod
    def union(cls, patterns: Sequence[Pattern], *, shared_input: bool = False) -> Pattern:
        """One pattern that holds all: the layer of a whole population.

        Rows follow one another. Columns do too, or, with ``shared_input``, all patterns read the
        same ones (their ``in_sizes`` must then agree).
        """
        if not patterns:
            raise InvalidValue("`patterns` of a union must be at least one; got none")
        if shared_input and len({p.in_sizes for p in patterns}) > 1:
            raise InvalidValue("a shared input needs patterns of equal `in_sizes`; got several")
        if len(patterns) == 1:
            return patterns[0]
        senders = 0 if shared_input else 1
        receiver_at = _starts([len(p.out_sizes) for p in patterns])
        sender_at = _starts([len(p.in_sizes) for p in patterns])
        edges = [
            p.edges + np.array([receiver_at[i], senders * sender_at[i]])
            for i, p in enumerate(patterns)
        ]
        in_sizes = patterns[:1] if shared_input else patterns
        return cls(
            [s for p in patterns for s in p.out_sizes],
            [s for p in in_sizes for s in p.in_sizes],
            np.concatenate(edges),
        )

    # ---- looking at it ---------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the matrix: output and input features."""
        return sum(self.out_sizes), sum(self.in_sizes)

    @cached_property
    def weights(self) -> int:
        """Number of entries that exist: the multiply-adds of one sample."""
        out_sizes, in_sizes = np.array(self.out_sizes), np.array(self.in_sizes)
        return int((out_sizes[self.edges[:, 0]] * in_sizes[self.edges[:, 1]]).sum())

    @property
    def density(self) -> float:
        """Share of the matrix that exists."""
        return self.weights / (self.shape[0] * self.shape[1])

    @cached_property
    def row_starts(self) -> np.ndarray:
        """First row of each receiver and the end: int64 [receivers + 1]."""
        return _starts(self.out_sizes)

    @cached_property
    def column_starts(self) -> np.ndarray:
        """First column of each sender and the end: int64 [senders + 1]."""
        return _starts(self.in_sizes)

    @cached_property
    def fan_in(self) -> np.ndarray:
        """Columns that each receiver reads: int64 [receivers]."""
        widths = np.array(self.in_sizes, dtype=np.int64)[self.edges[:, 1]]
        return np.bincount(self.edges[:, 0], weights=widths, minlength=len(self.out_sizes)).astype(
            np.int64
        )

    @cached_property
    def weight_starts(self) -> np.ndarray:
        """Where each receiver's weights begin, and the end: int64 [receivers + 1]."""
        return _starts(np.array(self.out_sizes, dtype=np.int64) * self.fan_in)

    def columns(self) -> np.ndarray:
        """Columns that each receiver reads, receiver after receiver, rising: int64 [sum fan_in]."""
        senders = self.edges[:, 1]
        sizes = np.array(self.in_sizes, dtype=np.int64)[senders]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)
        return np.repeat(self.column_starts[senders], sizes) + within

    @cached_property
    def csr(self) -> tuple[np.ndarray, np.ndarray]:
        """CSR form of the matrix: row pointers int64 [rows + 1], columns int64 [weights]."""
        per_row = np.repeat(self.fan_in, self.out_sizes)
        columns, start = self.columns(), _starts(self.fan_in)
        indices = [
            np.tile(columns[start[r] : start[r + 1]], rows) for r, rows in enumerate(self.out_sizes)
        ]
        return _starts(per_row), np.concatenate(indices)

    def to_csr(self, weight: Tensor) -> Tensor:
        """The matrix as a torch CSR tensor [rows, columns]; its values are ``weight`` [weights].

        Raises:
            InvalidValue: for a weight of another shape.
        """
        from wireloom.compute.sparse import to_csr

        return to_csr(self, weight)

    def to_bsr(self, weight: Tensor, blocksize: tuple[int, int]) -> Tensor:
        """The matrix as a torch BSR tensor [rows, columns], values [blocks, *blocksize].

        Raises:
            InvalidValue: for a weight of another shape, or unless the block's height divides all
                `out_sizes` and its width all `in_sizes`.
        """
        from wireloom.compute.sparse import to_bsr

        return to_bsr(self, weight, blocksize)

    def mask(self) -> np.ndarray:
        """The matrix as booleans [rows, columns]. For tests and small layers: O(rows columns)."""
        pointers, indices = self.csr
        mask = np.zeros(self.shape, dtype=bool)
        mask[np.repeat(np.arange(self.shape[0]), np.diff(pointers)), indices] = True
        return mask

    @cached_property
    def key(self) -> tuple[tuple[int, ...], tuple[int, ...], bytes]:
        """The value by which patterns are equal."""
        return self.out_sizes, self.in_sizes, self.edges.tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"Pattern({rows} x {columns}, {len(self.out_sizes)} receivers, "
            f"{len(self.in_sizes)} senders, {len(self.edges)} blocks, density {self.density:.3f})"
        )
