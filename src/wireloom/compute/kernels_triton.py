"""The operators' device side, in Triton. Imported by `gpu` alone, when first used.

A tile is six numbers (see `gpu.Tiles`): its first output row and how many; its first input in the
list and how many; the place of its first weight, and the distance of two rows' weights. The batch
or the columns are the dot's long side and a tile's rows its short one, so that receivers of 16 rows
use the matrix units as well as those of 128. Every element of a result is summed by one program,
input after input in the list's order, whatever else is in the launch; what a tile does not have is
masked at the load and never read. WIDEN is for Triton's interpreter, whose dot takes bfloat16 for
whole numbers.
"""

import triton
import triton.language as tl

FIELDS = tl.constexpr(6)


@triton.jit
def product(
    tiles,
    count,
    inputs,
    places,
    weight,
    x,
    y,
    batch,
    BACK: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    DEPTH: tl.constexpr,
    ALIGN: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """y[row, b] = sum over the inputs of weight x[input, b]; the transpose with BACK.

    ``places``: where each input's weights begin, with BACK; else they follow one another.
    """
    program = tl.program_id(0)
    tile = tiles + program % count * FIELDS
    row, rows = tl.load(tile), tl.load(tile + 1)
    first, depth = tl.load(tile + 2), tl.load(tile + 3)
    origin, stride = tl.load(tile + 4), tl.load(tile + 5)
    if ALIGN > 1:
        origin = tl.multiple_of(origin, ALIGN)
        if BACK:
            rows = tl.multiple_of(rows, ALIGN)
        else:
            depth = tl.multiple_of(depth, ALIGN)
            stride = tl.multiple_of(stride, ALIGN)
    i = tl.arange(0, ROWS)
    b = program // count * BATCH + tl.arange(0, BATCH)
    in_rows, in_batch = i < rows, b < batch
    total = tl.zeros((BATCH, ROWS), dtype=tl.float32)
    for start in range(0, depth, DEPTH):
        k = start + tl.arange(0, DEPTH)
        in_depth = k < depth
        source = tl.load(inputs + first + k, mask=in_depth, other=0).to(tl.int64)
        values = tl.load(
            x + source[None, :] * batch + b[:, None],
            mask=in_batch[:, None] & in_depth[None, :],
            other=0.0,
        )  # [BATCH, DEPTH]
        if BACK:
            place = tl.load(places + first + k, mask=in_depth, other=0).to(tl.int64)
            if ALIGN > 1:
                place = tl.multiple_of(place, ALIGN)
            at = origin + place[:, None] + i[None, :]
        else:
            at = origin + k[:, None] + i[None, :] * stride
        weights = tl.load(weight + at, mask=in_depth[:, None] & in_rows[None, :], other=0.0)
        if WIDEN:
            values, weights = values.to(tl.float32), weights.to(tl.float32)
        total = tl.dot(values, weights, total, input_precision=PRECISION)
    tl.store(
        y + (row + i)[None, :] * batch + b[:, None],
        total.to(y.dtype.element_ty),
        mask=in_batch[:, None] & in_rows[None, :],
    )


@triton.jit
def outer(
    tiles,
    count,
    inputs,
    y,
    x,
    parts,
    batch,
    span,
    size,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
):
    """parts[s, weight] = sum over the samples of span s of y[row, b] x[input, b]."""
    program = tl.program_id(0)
    tile = tiles + program % count * FIELDS
    row, rows = tl.load(tile), tl.load(tile + 1)
    first, columns = tl.load(tile + 2), tl.load(tile + 3)
    origin, stride = tl.load(tile + 4), tl.load(tile + 5)
    part = (program // count).to(tl.int64)
    i, j = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    in_rows, in_columns = i < rows, j < columns
    source = tl.load(inputs + first + j, mask=in_columns, other=0).to(tl.int64)
    x += source[:, None] * batch
    y += (row + i)[None, :] * batch
    begin = part * span
    end = tl.minimum(begin + span, batch)
    total = tl.zeros((COLUMNS, ROWS), dtype=tl.float32)
    for start in range(begin, end, DEPTH):
        b = start + tl.arange(0, DEPTH)
        in_batch = b < end
        values = tl.load(x + b[None, :], mask=in_columns[:, None] & in_batch[None, :], other=0.0)
        slopes = tl.load(y + b[:, None], mask=in_batch[:, None] & in_rows[None, :], other=0.0)
        if WIDEN:
            values, slopes = values.to(tl.float32), slopes.to(tl.float32)
        total = tl.dot(values, slopes, total, input_precision=PRECISION)
    tl.store(
        parts + part * size + origin + i[None, :] * stride + j[:, None],
        total.to(parts.dtype.element_ty),
        mask=in_columns[:, None] & in_rows[None, :],
    )


@triton.jit
def add_up(parts, gradient, count, size, WIDTH: tl.constexpr):
    """gradient[i] = parts[0, i] + parts[1, i] + ..., in this order."""
    i = tl.program_id(0).to(tl.int64) * WIDTH + tl.arange(0, WIDTH)
    inside = i < size
    total = tl.load(parts + i, mask=inside, other=0.0)
    for _ in range(1, count):
        parts += size
        total += tl.load(parts + i, mask=inside, other=0.0)
    tl.store(gradient + i, total.to(gradient.dtype.element_ty), mask=inside)
