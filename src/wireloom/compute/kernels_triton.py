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
def _moved(lane, tap, height, width, to_height, to_width, BACK: tl.constexpr, WINDOW: tl.constexpr):
    """Where a tap of the window at a pixel reads: its place among the other map's, and whether any.

    ``lane``: pixels of [images, to_height, to_width]; the maps that are read are [images, height,
    width]. WINDOW: width of the kernel, then stride, padding and dilation, as (height, width) each.
    """
    image, row, column = (
        lane // (to_height * to_width),
        lane // to_width % to_height,
        lane % to_width,
    )
    down, right = tap // WINDOW[0] * WINDOW[5], tap % WINDOW[0] * WINDOW[6]
    if BACK:
        row, column = row + WINDOW[3] - down, column + WINDOW[4] - right
        inside = (row >= 0) & (column >= 0)
        inside &= (row % WINDOW[1] == 0) & (column % WINDOW[2] == 0)
        row, column = row // WINDOW[1], column // WINDOW[2]
    else:
        row, column = row * WINDOW[1] - WINDOW[3] + down, column * WINDOW[2] - WINDOW[4] + right
        inside = (row >= 0) & (column >= 0)
    inside &= (row < height) & (column < width)
    return (image * height + row) * width + column, inside


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
    reach,
    height,
    width,
    to_height,
    to_width,
    BACK: tl.constexpr,
    ROWS: tl.constexpr,
    BATCH: tl.constexpr,
    DEPTH: tl.constexpr,
    ALIGN: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    TAPS: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """y[row, b] = sum over the inputs of weight x[input, b]; the transpose with BACK.

    ``places``: where each input's weights begin, with BACK; else they follow one another. In a
    convolution b is a pixel, an input has TAPS weights, and each reads a pixel of its own.
    """
    program = tl.program_id(0)
    tile = tiles + program % count * FIELDS
    row, rows = tl.load(tile), tl.load(tile + 1)
    first, depth = tl.load(tile + 2), tl.load(tile + 3)
    origin, stride = tl.load(tile + 4), tl.load(tile + 5)
    if ALIGN > 1:  # said of what was loaded itself: said of a sum, it is lost with the sum
        origin = tl.multiple_of(origin, ALIGN)
        if BACK:
            rows = tl.multiple_of(rows, ALIGN)
        else:
            depth = tl.multiple_of(depth, ALIGN)
            stride = tl.multiple_of(stride, ALIGN)
    depth, origin, stride = depth * TAPS, origin * TAPS, stride * TAPS
    i = tl.arange(0, ROWS)
    b = program // count * BATCH + tl.arange(0, BATCH)
    in_rows, in_batch = i < rows, b < batch
    total = tl.zeros((BATCH, ROWS), dtype=tl.float32)
    for start in range(0, depth, DEPTH):
        k = start + tl.arange(0, DEPTH)
        in_depth = k < depth
        source = tl.load(inputs + first + k // TAPS, mask=in_depth, other=0).to(tl.int64)
        inside = in_batch[:, None] & in_depth[None, :]
        if WINDOW is None:
            pixel = b[:, None]
        else:
            pixel, there = _moved(
                b[:, None],
                (k % TAPS)[None, :],
                height,
                width,
                to_height,
                to_width,
                BACK,
                WINDOW,
            )
            inside &= there
        values = tl.load(x + source[None, :] * reach + pixel, mask=inside, other=0.0)
        if BACK:
            place = tl.load(places + first + k // TAPS, mask=in_depth, other=0).to(tl.int64)
            if ALIGN > 1:
                place = tl.multiple_of(place, ALIGN)
            at = origin + (place * TAPS + k % TAPS)[:, None] + i[None, :] * TAPS
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
    reach,
    height,
    width,
    to_height,
    to_width,
    span,
    size,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
    WIDEN: tl.constexpr,
    TAPS: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """parts[s, weight] = sum over the samples of span s of y[row, b] x[input, b].

    The tiles of a convolution count TAPS inputs for each.
    """
    program = tl.program_id(0)
    tile = tiles + program % count * FIELDS
    row, rows = tl.load(tile), tl.load(tile + 1)
    first, columns = tl.load(tile + 2), tl.load(tile + 3)
    origin, stride = tl.load(tile + 4), tl.load(tile + 5)
    part = (program // count).to(tl.int64)
    i, j = tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    in_rows, in_columns = i < rows, j < columns
    source = tl.load(inputs + (first + j) // TAPS, mask=in_columns, other=0).to(tl.int64)
    x += source[:, None] * reach
    y += (row + i)[None, :] * batch
    begin = part * span
    end = tl.minimum(begin + span, batch)
    total = tl.zeros((COLUMNS, ROWS), dtype=tl.float32)
    for start in range(begin, end, DEPTH):
        b = start + tl.arange(0, DEPTH)
        in_batch = b < end
        inside = in_columns[:, None] & in_batch[None, :]
        if WINDOW is None:
            pixel = b[None, :]
        else:
            pixel, there = _moved(
                b[None, :],
                ((first + j) % TAPS)[:, None],
                height,
                width,
                to_height,
                to_width,
                False,  # pyright: ignore[reportArgumentType]
                WINDOW,
            )
            inside &= there
        values = tl.load(x + pixel, mask=inside, other=0.0)
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
