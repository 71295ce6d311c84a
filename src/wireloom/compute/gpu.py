"""The Triton kernels on torch tensors: float32, bfloat16 and float16, on a GPU.

Nothing here has run on a GPU yet: the kernels are checked in Triton's interpreter and compiled for
sm_80 and sm_90. Triton is imported when first used; without it nothing here serves.

Sums are float32 and without atomics. Every element is summed by one program, over its own inputs in
the pattern's order, as many at a time as the dtype says; a long batch of the outer product is cut
into spans by its length alone. The company that a receiver keeps decides at most how tall its tile
is and how wide the loads are, which no sum's order depends on. float32 multiplies in float32, or in
TF32 where `torch.set_float32_matmul_precision` allows it for torch's own products.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from wireloom.base import InvalidValue
from wireloom.compute.pattern import Pattern
from wireloom.compute.plan import pattern_of, sound

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
SPAN = 2048  # samples that one program of the outer product sums, at least
SPANS = 8  # programs that share an element of the outer product, at most
HEIGHTS = (16, 32, 64, 128)  # rows of a tile

interpreted = False  # whether CPU tensors are served by Triton's interpreter; for tests


def serves(*tensors: Tensor) -> bool:
    """Whether the Triton kernels can take these tensors."""
    on_cpu = interpreted and os.environ.get("TRITON_INTERPRET") == "1"
    return (
        all(t.is_cuda or (on_cpu and t.device.type == "cpu") for t in tensors)
        and all(t.dtype in DTYPES for t in tensors)
        and _present()
    )


@cache
def _present() -> bool:
    return find_spec("triton") is not None


def _kernels() -> Any:
    from wireloom.compute import kernels_triton

    return kernels_triton


# ---- tiles -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Launch:
    """Tiles of one height.

    height: rows that a tile may have.
    align: a number that divides every place and distance of their weights, up to 8.
    tiles: int64 [tiles, 6]: first output row and rows; first input in the list and inputs; place of
        the first weight, and distance of the weights of neighbouring rows. Longest sums first.
    """

    height: int
    align: int
    tiles: Tensor


@dataclass(frozen=True)
class Tiles:
    """What the kernels need of a pattern, on one device.

    shape, weights: of the pattern.
    product, columns: tiles of receivers, and the columns that they read: int32 [inputs].
    transposed, rows, places: tiles of senders, the rows that read them, and where the weights of
        each begin: int32 or, for very large patterns, int64 [inputs].
    outers: tiles of receivers, cut along their columns too, by the weights that an entry has.
    """

    shape: tuple[int, int]
    weights: int
    product: tuple[Launch, ...]
    columns: Tensor
    transposed: tuple[Launch, ...]
    rows: Tensor
    places: Tensor
    outers: dict[int, tuple[Launch, ...]]

    def outer(self, taps: int) -> tuple[Launch, ...]:
        """Tiles of the outer product; inputs, places and distances count ``taps`` weights each."""
        if taps not in self.outers:
            self.outers[taps] = tuple(
                Launch(launch.height, 1, _cut_columns(launch.height, launch.tiles, taps))
                for launch in self.product
            )
        return self.outers[taps]

    @classmethod
    def of(cls, pattern: Pattern, device: torch.device) -> Tiles:
        """The tiles of a pattern."""
        merged = _merged(pattern)
        rows, places, starts = _readers(merged)
        forward = _cut(
            merged.out_sizes,
            first=_ends(merged.fan_in),
            depth=merged.fan_in,
            origin=merged.weight_starts[:-1],
            stride=merged.fan_in,
        )
        # A tile of a sender starts at its own first column, as `places` do: rows are 1 apart.
        senders = len(merged.in_sizes)
        nothing, one = np.zeros(senders, dtype=np.int64), np.ones(senders, dtype=np.int64)
        back = _cut(
            merged.in_sizes, first=starts[:-1], depth=np.diff(starts), origin=nothing, stride=one
        )
        index = np.int32 if pattern.weights < 1 << 31 else np.int64

        def moved(values: np.ndarray, dtype: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype)).to(device)

        return cls(
            shape=pattern.shape,
            weights=pattern.weights,
            product=tuple(
                Launch(height, _align(tiles[:, 3:]), moved(tiles, np.int64))
                for height, tiles in forward
            ),
            columns=moved(merged.columns(), np.int32),
            transposed=tuple(
                Launch(height, _align(tiles[:, 1], tiles[:, 4], places), moved(tiles, np.int64))
                for height, tiles in back
            ),
            rows=moved(rows, np.int32),
            places=moved(places, index),
            outers={},
        )


def _merged(pattern: Pattern) -> Pattern:
    """The same matrix and the same order of weights in the fewest blocks.

    Receivers that follow one another and read the same senders become one, and so do senders.
    """
    out_sizes, receivers, senders = _runs(pattern.out_sizes, *pattern.edges.T)
    in_sizes, senders, receivers = _runs(pattern.in_sizes, senders, receivers)
    return Pattern(out_sizes, in_sizes, np.stack([receivers, senders], 1))


def _runs(
    sizes: tuple[int, ...], mine: np.ndarray, theirs: np.ndarray
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Sizes and edges after the nodes of one side that have equal neighbours are joined."""
    order = np.lexsort((theirs, mine))
    mine, theirs = mine[order], theirs[order]
    starts = np.searchsorted(mine, np.arange(len(sizes) + 1))
    lists = [theirs[a:b].tobytes() for a, b in pairwise(starts)]
    new = np.array([True, *(a != b for a, b in pairwise(lists))])
    name = np.cumsum(new) - 1
    kept = new[mine]
    return np.add.reduceat(sizes, np.flatnonzero(new)).tolist(), name[mine[kept]], theirs[kept]


def _readers(pattern: Pattern) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that read each sender, the places of their first weights, and each sender's first."""
    receivers, senders = pattern.edges.T
    heights, widths = np.array(pattern.out_sizes), np.array(pattern.in_sizes)
    ends = np.cumsum(widths[senders])
    within = ends - widths[senders] - _ends(pattern.fan_in)[receivers]
    order = np.argsort(senders, kind="stable")  # by sender, then by receiver
    receivers, senders, within = receivers[order], senders[order], within[order]
    tall = heights[receivers]
    step = np.arange(tall.sum()) - np.repeat(_ends(tall), tall)
    rows = np.repeat(pattern.row_starts[receivers], tall) + step
    places = np.repeat(pattern.weight_starts[receivers] + within, tall)
    counts = np.bincount(senders, weights=tall, minlength=len(widths)).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return rows, places + step * np.repeat(pattern.fan_in[receivers], tall), starts


def _ends(counts: np.ndarray) -> np.ndarray:
    """The sum of the counts before each."""
    return np.cumsum(counts) - counts


@cache
def _split(rows: int) -> tuple[tuple[int, int], ...]:
    """(height, rows) of the tiles that cover up to 128 rows at the least cost.

    A tile costs its height, and 32 more for what it loads whatever its height.
    """
    height = next(h for h in HEIGHTS if h >= rows)
    below = [h for h in HEIGHTS if h < rows]
    if below:
        rest = _split(rows - below[-1])
        if below[-1] + 32 + sum(h + 32 for h, _ in rest) < height + 32:
            return ((below[-1], below[-1]), *rest)
    return ((height, rows),)


def _cut(
    sizes: tuple[int, ...],
    *,
    first: np.ndarray,
    depth: np.ndarray,
    origin: np.ndarray,
    stride: np.ndarray,
) -> list[tuple[int, np.ndarray]]:
    """Tiles of each height, over the rows of all groups: those of `Launch`, longest sums first."""
    found: dict[int, list[tuple[int, int, int, int, int, int]]] = {h: [] for h in HEIGHTS}
    row = 0
    lists = (v.tolist() for v in (first, depth, origin, stride))
    for size, i, k, at, step in zip(sizes, *lists, strict=True):
        full, rest = divmod(size, HEIGHTS[-1])
        done = 0
        for height, rows in ((HEIGHTS[-1],) * 2,) * full + (_split(rest) if rest else ()):
            found[height].append((row + done, rows, i, k, at + done * step, step))
            done += rows
        row += size
    made = [(h, np.array(tiles, dtype=np.int64)) for h, tiles in found.items() if tiles]
    return [(h, tiles[np.argsort(-tiles[:, 3], kind="stable")]) for h, tiles in made]


def _columns(height: int) -> int:
    """Columns of a tile of the outer product."""
    return 128 if height == 128 else 64


def _cut_columns(height: int, tiles: Tensor, taps: int) -> Tensor:
    """Tiles cut along their inputs too, each of which has ``taps`` weights."""
    wide = _columns(height)
    tiles = tiles * tiles.new_tensor([1, 1, taps, taps, taps, taps])
    pieces = (tiles[:, 3] + wide - 1) // wide
    cut = tiles.repeat_interleave(pieces, 0)
    before = (pieces.cumsum(0) - pieces).repeat_interleave(pieces)
    step = wide * (torch.arange(len(cut), device=cut.device) - before)
    cut[:, 3] = (cut[:, 3] - step).clamp(max=wide)
    cut[:, 2] += step
    cut[:, 4] += step
    return cut


def _align(*values: np.ndarray) -> int:
    """The largest power of two up to 8 that divides all."""
    return int(np.gcd.reduce(np.concatenate([v.ravel() for v in values]), initial=8))


_made: Any = WeakTensorKeyDictionary()


def tiles(words: Tensor) -> Tiles:
    """The tiles of a plan's words, made once and kept as long as these live."""
    found = _made.get(words)
    if found is None:
        held = words.cpu()
        if not sound(held):
            raise InvalidValue("`plan` must be the words of a pattern's plan, unchanged")
        found = _made[words] = Tiles.of(pattern_of(held), words.device)
    return found


def _fit(held: Tiles, rows: int, columns: int, weights: int, *tensors: Tensor) -> None:
    """Refuse what would lead a kernel astray."""
    one, other = tensors
    if one.dtype != other.dtype or not one.device == other.device == held.columns.device:
        raise InvalidValue(
            f"the operands must share dtype and device with each other and the plan; got "
            f"{one.dtype} on {one.device}, {other.dtype} on {other.device}, {held.columns.device}"
        )
    if ((rows, columns), weights) != (held.shape, held.weights):
        raise InvalidValue(
            f"the plan is one of {held.shape[0]} x {held.shape[1]} with {held.weights} weights; "
            f"the operands have {rows} x {columns} with {weights} weights"
        )


@dataclass(frozen=True)
class Maps:
    """Which pixels are read where, in a convolution; without one, each sample reads its own.

    taps: weights of an entry.
    window: width of the kernel, then stride, padding and dilation, as (height, width) each.
    sizes: height and width of the maps that are read, then of those that a program goes along.
    """

    taps: int = 1
    window: tuple[int, ...] | None = None
    sizes: tuple[int, int, int, int] = (1, 1, 1, 1)


PLAIN = Maps()


# ---- launches --------------------------------------------------------------------------------


def _exact(dtype: torch.dtype) -> bool:
    """Whether to multiply in float32, which the matrix units cannot."""
    return dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"


def _settings(x: Tensor, height: int, wide: int, maps: Maps = PLAIN) -> dict[str, Any]:
    """What a tile's dot needs to know; its depth follows from the dtype alone."""
    exact = _exact(x.dtype)
    return {
        "ROWS": height,
        "DEPTH": 32 if x.dtype == torch.float32 else 64,
        "PRECISION": "tf32" if x.dtype == torch.float32 and not exact else "ieee",
        "WIDEN": x.dtype == torch.bfloat16 and not x.is_cuda,
        "TAPS": maps.taps,
        "WINDOW": maps.window,
        "num_warps": 8 if height * wide > (2048 if exact else 8192) else 4,
        "num_stages": 3,
        "enable_fp_fusion": True,
    }


def _on(tensor: Tensor) -> Any:
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def product(words: Tensor, weight: Tensor, x: Tensor, rows: int) -> Tensor:
    """y = W x: [rows, batch] from [columns, batch]."""
    return sums(words, weight, x, rows, x.shape[1], PLAIN, back=False)


def transposed_product(words: Tensor, weight: Tensor, y: Tensor, columns: int) -> Tensor:
    """x = W^T y: [columns, batch] from [rows, batch]."""
    return sums(words, weight, y, columns, y.shape[1], PLAIN, back=True)


def outer(words: Tensor, y: Tensor, x: Tensor, weights: int) -> Tensor:
    """Entries of y x^T where weights exist: [weights]."""
    if y.shape[1] != x.shape[1]:
        raise InvalidValue(f"`y` and `x` must share a batch; got {y.shape[1]} and {x.shape[1]}")
    return slopes(words, y, x, weights, PLAIN)


def sums(
    words: Tensor, weight: Tensor, x: Tensor, outputs: int, batch: int, maps: Maps, *, back: bool
) -> Tensor:
    """The product or its transpose: [outputs, batch] from [inputs, samples or pixels]."""
    kernels = _kernels()
    held = tiles(words)
    shape = (x.shape[0], outputs) if back else (outputs, x.shape[0])
    _fit(held, *shape, weight.numel() // maps.taps, weight, x)
    weight, x = weight.contiguous(), x.contiguous()
    y = x.new_empty(outputs, batch)
    if batch == 0:
        return y
    most = 64 if _exact(x.dtype) else 128
    wide = next(h for h in HEIGHTS if h >= batch or h == most)
    with _on(x):
        for launch in held.transposed if back else held.product:
            count = len(launch.tiles)
            kernels.product[(count * -(-batch // wide),)](
                launch.tiles,
                count,
                held.rows if back else held.columns,
                held.places,
                weight,
                x,
                y,
                batch,
                x.shape[1],
                *maps.sizes,
                BACK=back,
                BATCH=wide,
                ALIGN=launch.align,
                **_settings(x, launch.height, wide, maps),
            )
    return y


def slopes(words: Tensor, y: Tensor, x: Tensor, weights: int, maps: Maps) -> Tensor:
    """The outer product: [weights * taps] from [rows, batch] and [columns, samples or pixels].

    A long batch is cut into spans that are summed apart, then one after another.
    """
    kernels = _kernels()
    held = tiles(words)
    _fit(held, y.shape[0], x.shape[0], weights, y, x)
    y, x = y.contiguous(), x.contiguous()
    batch, size = y.shape[1], weights * maps.taps
    gradient = x.new_empty(size)
    if batch == 0 or size == 0:
        return gradient.zero_()
    # Spans are whole numbers of the deepest dot, so that a span ends where the batch does.
    span = max(SPAN, -(-batch // (SPANS * 64)) * 64)
    spans = -(-batch // span)
    parts = gradient if spans == 1 else x.new_empty(spans, size, dtype=torch.float32)
    with _on(x):
        for launch in held.outer(maps.taps):
            count = len(launch.tiles)
            if count == 0:  # receivers that read nothing
                continue
            wide = _columns(launch.height)
            kernels.outer[(count * spans,)](
                launch.tiles,
                count,
                held.columns,
                y,
                x,
                parts,
                batch,
                x.shape[1],
                *maps.sizes,
                span,
                size,
                COLUMNS=wide,
                **_settings(x, launch.height, wide, maps),
            )
        if spans > 1:
            kernels.add_up[(-(-size // 1024),)](
                parts, gradient, spans, size, WIDTH=1024, enable_fp_fusion=True
            )
    return gradient
