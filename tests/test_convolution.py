"""Convolutions on patterns: operators, gradients, the layer, independence of company."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from wireloom.base import InvalidValue, normal
from wireloom.compute import (
    Pattern,
    Window,
    convolution,
    convolution_features,
    convolution_norm,
    convolution_outer,
    norm,
    product,
)
from wireloom.compute import convolution_reference as reference
from wireloom.nn import WiredConv2d, spans
from wireloom.wiring import Wiring, ring, ws_flex

pytestmark = pytest.mark.usefixtures("one_thread")
quick = settings(deadline=None, max_examples=60)
RAGGED = Pattern(
    [1, 7, 3, 13, 2],
    [5, 1, 8, 4],
    [(0, 0), (1, 0), (1, 2), (3, 0), (3, 1), (3, 2), (3, 3), (4, 3)],
)  # receiver 2 reads nothing
SMALL = Pattern([1, 2, 1], [2, 1, 1], [(0, 1), (1, 0), (1, 1)])  # nothing reads sender 2
EMPTY = Pattern([2, 3], [4], [])
DIRECTED = Pattern.from_wiring(
    Wiring.from_edges(5, [(0, 1), (2, 1), (3, 4), (4, 0)], directed=True), out=23, into=11
)
DEPTHWISE = Pattern([1] * 5, [1] * 5, [(i, 4 - i) for i in range(5)])
# Rows that read one channel alone, two of them the same, among others; and one that reads nothing.
MIXED = Pattern([1, 2, 1, 1, 1], [1, 1, 3], [(0, 1), (1, 0), (1, 2), (2, 1), (3, 2)])
UNION = Pattern.union([RAGGED, SMALL, EMPTY, DIRECTED, MIXED])
PATTERNS = {
    "ragged": RAGGED,
    "small": SMALL,
    "empty": EMPTY,
    "directed": DIRECTED,
    "depthwise": DEPTHWISE,
    "mixed": MIXED,
    "union": UNION,
    "shared": Pattern.union([SMALL, Pattern([4], [2, 1, 1], [(0, 2)])], shared_input=True),
    "dense": Pattern.dense(out=7, into=5),
}
# images, height, width, window: every way in which rows and images may share vectors
CASES = [
    (1, 56, 56, Window.of(3, padding=1)),
    (5, 28, 28, Window.of(3, padding=1)),
    (9, 14, 14, Window.of(3, padding=1)),
    (17, 7, 7, Window.of(3, padding=1)),
    (3, 7, 7, Window.of(3, padding=1)),
    (4, 30, 14, Window.of(3, padding=1)),
    (16, 11, 10, Window.of((5, 3), padding=(1, 2))),
    (7, 12, 21, Window.of(3, stride=(2, 1), padding=(1, 0))),
    (2, 1, 1, Window.of(3, padding=1)),
    (3, 17, 23, Window.of(3, stride=2, padding=1)),
    (18, 14, 14, Window.of(3, stride=2, padding=1)),
    (3, 15, 14, Window.of(1, stride=2)),
    (2, 12, 9, Window.of((3, 2), stride=(1, 3), padding=(0, 2), dilation=(2, 1))),
    (2, 13, 13, Window.of(3, stride=2, padding=4, dilation=2)),
    (1, 19, 19, Window.of(7, stride=2, padding=3)),
    (2, 9, 40, Window.of((1, 5), padding=(0, 2))),
    (2, 40, 3, Window.of((5, 1), padding=(5, 0))),
    (4, 6, 5, Window.of(1)),
    (2, 4, 4, Window.of(1, padding=2)),
]


def refusal(call, *args, **kwargs) -> str:
    """The one sentence with which a call refuses its arguments."""
    with pytest.raises(InvalidValue) as caught:
        call(*args, **kwargs)
    text = str(caught.value)
    assert text
    assert "\n" not in text
    return text


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(pattern: Pattern, window: Window, weight: torch.Tensor) -> torch.Tensor:
    """The kernels on their places in an ordinary convolution's weight, by the mask alone."""
    matrix = weight.new_zeros(*pattern.shape, *window.size)
    matrix[torch.from_numpy(pattern.mask())] = weight.view(-1, *window.size)
    return matrix


def plain(window: Window, kernel: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """torch's convolution; of no images, none."""
    if len(x) == 0:
        return x.new_zeros(0, len(kernel), *window.output(*x.shape[2:])) + 0 * (
            x.sum() + kernel.sum()
        )
    return F.conv2d(x, kernel, None, window.stride, window.padding, window.dilation)


def close(got: torch.Tensor, want: torch.Tensor, scale: torch.Tensor, unit: float) -> bool:
    """Whether ``got`` is ``want`` up to rounding of sums of size ``scale``."""
    assert got.shape == want.shape
    error = (got.detach().double() - want.detach().double()).abs()
    return bool((error <= unit * scale.abs() + unit / 40).all())


def operands(
    pattern: Pattern, images: int, height: int, width: int, window: Window, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A weight, an input and an output's gradient, the input in torch's own memory format."""
    rows, columns = pattern.shape
    return (
        drawn(pattern.weights * window.taps, seed=seed),
        drawn(images, columns, height, width, seed=seed + 1),
        drawn(images, rows, *window.output(height, width), seed=seed + 2),
    )


def results(pattern, window, weight, x, upstream) -> list[torch.Tensor]:
    """The convolution and its gradients for weight and input."""
    leaves = [t.detach().requires_grad_() for t in (weight, x)]
    y = convolution(pattern, window, *leaves)
    return [y, *torch.autograd.grad(y, leaves, upstream)]


def check(pattern: Pattern, images: int, height: int, width: int, window: Window, seed=0) -> None:
    """All three operators in both widths of float, against torch on the dense weight."""
    weight, x, upstream = operands(pattern, images, height, width, window, seed)
    wants = []
    for change in (torch.Tensor.double, lambda t: t.double().abs()):  # values, and their sizes
        kernel = dense(pattern, window, change(weight)).requires_grad_()
        wide = change(x).requires_grad_()
        y = plain(window, kernel, wide)
        dkernel, dx = torch.autograd.grad(y, [kernel, wide], change(upstream))
        wants.append([y, dkernel[torch.from_numpy(pattern.mask())].flatten(), dx])
    for dtype, unit in ((torch.float32, 4e-6), (torch.float64, 1e-14)):
        given = [t.to(dtype) for t in (weight, x, upstream)]
        got = results(pattern, window, *given)
        got.append(convolution_outer(pattern, window, given[2], given[1]))
        for one, want, scale in zip(
            got, [*wants[0], wants[0][1]], [*wants[1], wants[1][1]], strict=True
        ):
            assert one.dtype == dtype
            assert close(one, want, scale, unit), (pattern, images, height, width, window)


@st.composite
def patterns(draw):
    sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4)
    out_sizes, in_sizes = draw(sizes), draw(sizes)
    every = [(r, s) for r in range(len(out_sizes)) for s in range(len(in_sizes))]
    return Pattern(out_sizes, in_sizes, [pair for pair in every if draw(st.booleans())])


def pairs(least: int, most: int):
    return st.tuples(st.integers(least, most), st.integers(least, most))


windows = st.builds(
    Window, size=pairs(1, 4), stride=pairs(1, 3), padding=pairs(0, 3), dilation=pairs(1, 3)
)


# The operators


@quick
@given(patterns(), windows, st.sampled_from([0, 1, 2, 3, 8, 17]), pairs(1, 15), st.integers(0, 99))
def test_convolutions_are_those_of_the_dense_masked_kernel(pattern, window, images, size, seed):
    assume(min(window.output(*size)) >= 1)
    check(pattern, images, *size, window, seed)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolutions_hold_at_every_way_of_sharing_a_tile(case):
    check(RAGGED, *case)


DEPTHWISE_CASES = [
    (3, 28, 28, Window.of(5, padding=2)),
    (16, 7, 7, Window.of(3, stride=2, padding=1)),
    (5, 14, 15, Window.of(5, stride=2, padding=2)),
    (2, 9, 33, Window.of((3, 5), stride=(3, 1), padding=(1, 2))),
    (2, 11, 70, Window.of(3, stride=2, padding=1)),
    (3, 10, 13, Window.of(3, stride=3, padding=1, dilation=2)),
    (40, 5, 5, Window.of(4, padding=(2, 1))),
    (1, 3, 2, Window.of(11, padding=5)),
]


@pytest.mark.parametrize("case", [*CASES, *DEPTHWISE_CASES], ids=str)
@pytest.mark.parametrize("pattern", [DEPTHWISE, MIXED], ids=["depthwise", "mixed"])
def test_rows_that_read_one_channel_are_right(pattern, case):
    check(pattern, *case)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("images", [0, 1, 16])
def test_convolutions_hold_on_every_kind_of_pattern(name, images):
    check(PATTERNS[name], images, 9, 8, Window.of(3, padding=1))
    check(PATTERNS[name], images, 7, 8, Window.of(3, stride=2, padding=1))


def test_more_channels_than_a_cache_holds_are_right():
    wide = Pattern.from_wiring(ring(nodes=64), out=300, into=3000)
    check(wide, 3, 20, 20, Window.of(3, padding=1))


def test_a_kernel_of_one_pixel_is_the_product_on_pixels():
    weight, x, _ = operands(RAGGED, 3, 5, 6, Window.of(1))
    want = product(RAGGED, weight, x.transpose(0, 1).flatten(1))
    got = convolution(RAGGED, Window.of(1), weight, x)
    assert torch.equal(got.transpose(0, 1).flatten(1), want)


GRADED = [
    Window.of(2, padding=1),
    Window.of((3, 2), stride=(2, 1), padding=(1, 0)),
    Window.of(2, stride=3, dilation=2, padding=1),
    Window.of(1),
    Window.of(1, stride=(2, 3)),
]


@pytest.mark.parametrize("window", GRADED, ids=str)
@pytest.mark.parametrize("images", [1, 2])
def test_convolutions_pass_gradcheck_twice_in_float64(window, images):
    given = operands(SMALL, images, 4, 4, window)
    weight, x, y = (t.double().requires_grad_() for t in given)

    def transposed(w, y):
        (dx,) = torch.autograd.grad(convolution(SMALL, window, w, x), x, y, create_graph=True)
        return dx

    for call, leaves in (
        (lambda w, x: convolution(SMALL, window, w, x), (weight, x)),
        (transposed, (weight, y)),
        (lambda y, x: convolution_outer(SMALL, window, y, x), (y, x)),
    ):
        assert torch.autograd.gradcheck(call, leaves)
        assert torch.autograd.gradgradcheck(call, leaves)


def second_order(window: Window, dtype: torch.dtype) -> list[torch.Tensor]:
    """Gradients of the size of gradients, through a nonlinearity."""
    weight, x, _ = (t.to(dtype) for t in operands(RAGGED, 3, 8, 9, window))
    leaves = [weight.requires_grad_(), x.requires_grad_()]
    hidden = torch.tanh(convolution(RAGGED, window, *leaves) / 10)
    slopes = torch.autograd.grad((hidden**2).mean(), leaves, create_graph=True)
    return list(torch.autograd.grad(sum((s**2).sum() for s in slopes), leaves))


@pytest.mark.parametrize("window", GRADED, ids=str)
def test_native_gradients_of_gradients_are_the_references(window):
    for got, want in zip(
        second_order(window, torch.float32), second_order(window, torch.float64), strict=True
    ):
        assert close(got, want, want.abs().max(), 1e-4)


def test_only_the_gradients_that_are_wanted_are_made():
    window = Window.of(3, padding=1)
    weight, x, upstream = operands(RAGGED, 2, 5, 5, window)
    full = results(RAGGED, window, weight, x, upstream)
    for i in (0, 1):
        leaves = [weight.clone(), x.clone()]
        leaves[i].requires_grad_()
        convolution(RAGGED, window, *leaves).backward(upstream)
        assert torch.equal(leaves[i].grad, full[1 + i])
        assert leaves[1 - i].grad is None


@pytest.mark.parametrize("window", [Window.of(3, padding=1), Window.of(1), Window.of(2, stride=2)])
def test_operands_may_lie_in_memory_as_they_like(window):
    weight, x, upstream = operands(RAGGED, 3, 6, 8, window)
    want = results(RAGGED, window, weight, x, upstream)
    major = [t.transpose(0, 1).contiguous().transpose(0, 1) for t in (x, upstream)]
    last = [t.contiguous(memory_format=torch.channels_last) for t in (x, upstream)]
    steps = [torch.stack([t, t], -1)[..., 0] for t in (x, upstream)]
    sparse = torch.stack([weight, weight], 1)[:, 0]
    assert not sparse.is_contiguous()
    for x_as, upstream_as in (major, last, steps):
        got = results(RAGGED, window, sparse, x_as, upstream_as)
        assert all(map(torch.equal, got, want))
    ones = torch.ones(1, 1, 1, 1).expand(3, 18, 6, 8)
    assert torch.equal(
        convolution(RAGGED, window, weight, ones),
        convolution(RAGGED, window, weight, ones.contiguous()),
    )


@pytest.mark.parametrize("window", [Window.of(3, padding=1), Window.of(1), Window.of(2, stride=2)])
def test_results_lie_channel_major_so_that_layers_chain_without_copies(window):
    weight, x, upstream = operands(RAGGED, 3, 6, 8, window)
    y, _, dx = results(RAGGED, window, weight, x.transpose(0, 1).contiguous().transpose(0, 1),
                       upstream)  # fmt: skip
    assert y.transpose(0, 1).is_contiguous()
    assert dx.transpose(0, 1).is_contiguous()


# Independence


MEMBERS = [
    RAGGED,
    Pattern.from_wiring(ring(nodes=9, degree=4), out=20, into=18),
    Pattern([3, 9], [7, 11], [(0, 0), (1, 0), (1, 1)]),
]
COMPANY = [*MEMBERS, MIXED, DEPTHWISE]
ALONE = [
    (3, 9, 8, Window.of(3, padding=1)),
    (1, 30, 28, Window.of(3, padding=1)),
    (17, 7, 7, Window.of(3, padding=1)),
    (5, 9, 8, Window.of(3, stride=2, padding=1)),
    (2, 6, 6, Window.of(1, stride=2)),
]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("case", ALONE, ids=str)
def test_a_members_bits_are_the_same_alone_and_in_company(case, shared):
    members = COMPANY
    if shared:
        members = [Pattern(p.out_sizes, RAGGED.in_sizes, [(0, i % 4), (1, 2)])
                   for i, p in enumerate(COMPANY)]  # fmt: skip
    parts = [operands(p, *case, seed=7 * i) for i, p in enumerate(members)]
    if shared:
        parts = [(w, parts[0][1], y) for w, _, y in parts]
    whole = Pattern.union(members, shared_input=shared)
    weight = torch.cat([w for w, _, _ in parts])
    x = parts[0][1] if shared else torch.cat([x for _, x, _ in parts], 1)
    upstream = torch.cat([y for _, _, y in parts], 1)
    together = results(whole, case[3], weight, x, upstream)
    alone = [results(p, case[3], *part) for p, part in zip(members, parts, strict=True)]
    assert torch.equal(together[0], torch.cat([a[0] for a in alone], 1))
    assert torch.equal(together[1], torch.cat([a[1] for a in alone]))
    if not shared:
        assert torch.equal(together[2], torch.cat([a[2] for a in alone], 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ALONE, ids=str)
def test_a_nan_stays_in_its_member_and_in_its_image(case, dtype):
    images, window = case[0], case[3]
    parts = [[t.to(dtype) for t in operands(p, *case, seed=i)] for i, p in enumerate(COMPANY)]
    whole = Pattern.union(COMPANY)
    clean = [torch.cat([part[i] for part in parts], min(i, 1)) for i in range(3)]
    dirty = [t.clone() for t in clean]
    columns = [p.shape[1] for p in COMPANY]
    dirty[1][0, columns[0] : columns[0] + columns[1]] = float("nan")
    dirty[2][0, RAGGED.shape[0] : RAGGED.shape[0] + 20] = float("inf")
    got, want = (results(whole, window, *ops) for ops in (dirty, clean))
    for g, w, sizes in (
        (got[0], want[0], [p.shape[0] for p in COMPANY]),
        (got[2], want[2], columns),
    ):
        for m, (one, other) in enumerate(zip(g.split(sizes, 1), w.split(sizes, 1), strict=True)):
            start = 1 if m == 1 else 0
            assert torch.equal(one[start:], other[start:])
            assert m != 1 or not one[0].isfinite().any() or window.size == (1, 1)
    sizes = [p.weights * window.taps for p in COMPANY]
    for m, (one, other) in enumerate(zip(got[1].split(sizes), want[1].split(sizes), strict=True)):
        assert m == 1 or torch.equal(one, other)
    assert got[1].split(sizes)[1].isnan().any()
    assert images == len(got[0])


@quick
@given(
    st.sampled_from([RAGGED, MIXED]),
    windows,
    st.sampled_from([1, 2, 16, 18]),
    pairs(1, 15),
    st.sampled_from([1, 2]),
    st.sampled_from(["nan", "inf"]),
    st.integers(0, 10**6),
)
def test_a_nan_reaches_what_reads_it_and_nothing_else(
    pattern, window, images, size, where, value, seed
):
    assume(min(window.output(*size)) >= 1)
    given = operands(pattern, images, *size, window, seed % 100)
    place = seed % given[where].numel()
    given[where].view(-1)[place] = float(value)
    got = results(pattern, window, *given)
    want = results(pattern, window, *(t.double() for t in given))
    for one, other in zip(got, want, strict=True):
        assert torch.equal(one.isfinite(), other.isfinite())


@pytest.mark.parametrize("size", [(56, 56), (9, 14), (7, 7), (3, 30)])
def test_a_nan_at_a_maps_edge_stays_off_the_taps_that_never_see_it(size):
    window = Window.of(3, padding=1)
    pattern = Pattern([2], [1], [(0, 0)])
    height, width = size
    for row, column in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)):
        _, x, upstream = operands(pattern, 2, height, width, window)
        x[1, 0, row, column] = float("nan")
        got = convolution_outer(pattern, window, upstream, x).view(2, 3, 3).isnan()
        sees = torch.zeros(3, 3, dtype=torch.bool)
        for a in range(3):
            for b in range(3):
                sees[a, b] = 0 <= row + 1 - a < height and 0 <= column + 1 - b < width
        assert torch.equal(got, sees.expand(2, 3, 3)), (row, column)


def test_an_images_bits_do_not_depend_on_its_batch():
    for size, pattern, window in (
        *((size, RAGGED, Window.of(3, padding=1)) for size in (7, 14, 28)),
        (7, MIXED, Window.of(3, padding=1)),
        (7, DEPTHWISE, Window.of(3, stride=2, padding=1)),
        (10, RAGGED, Window.of((5, 3), padding=(1, 2))),
        (9, RAGGED, Window.of(3, stride=(2, 1))),
    ):
        weight, x, upstream = operands(pattern, 19, size, size, window)
        y, _, dx = results(pattern, window, weight, x, upstream)
        for images in (1, 2, 4, 16, 18):
            part = results(pattern, window, weight, x[-images:], upstream[-images:])
            assert torch.equal(part[0], y[-images:])
            assert torch.equal(part[2], dx[-images:])


def everything() -> list[torch.Tensor]:
    """Results large enough to be shared among threads."""
    pattern = Pattern.from_wiring(ws_flex(nodes=16, degree=5, rewire=0.3), out=101, into=83)
    found = []
    for case in ALONE:
        found += results(pattern, case[3], *operands(pattern, *case))
        found += results(MIXED, case[3], *operands(MIXED, *case))
    return found


def test_the_number_of_threads_does_not_show_in_the_bits():
    before, outcomes = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3, 7):
            torch.set_num_threads(threads)
            outcomes.append(everything())
    finally:
        torch.set_num_threads(before)
    for other in outcomes[1:]:
        assert all(map(torch.equal, outcomes[0], other))


def vectors(rows: int) -> list[torch.Tensor]:
    """Scale, shift, running mean and variance."""
    return [*(drawn(rows, seed=s) for s in (5, 6, 7)), drawn(rows, seed=8).square() + 0.1]


def test_a_finished_convolution_is_the_two_steps_to_the_bit():
    for name, pattern in PATTERNS.items():
        for case in CASES:
            weight, x, _ = operands(pattern, *case)
            x, inner = x.transpose(0, 1).contiguous(), vectors(pattern.shape[0])
            y = convolution_features(pattern, case[3], weight, x)
            for activation, residual in (("relu", torch.ones_like(y)), ("none", None)):
                how = {"activation": activation, "residual": residual}
                with torch.no_grad():
                    got = convolution_norm(pattern, case[3], weight, x, *inner, **how)
                want = norm(y, *inner, training=False, **how)
                assert torch.equal(got, want), (name, case)


def test_a_finished_convolution_has_gradients_and_any_dtype():
    window = Window.of(3, padding=1)
    weight, x = drawn(RAGGED.weights * 9).requires_grad_(), drawn(18, 2, 5, 5)
    want = convolution_features(RAGGED, window, weight, x)
    want = norm(want, *vectors(26), training=False)
    got = convolution_norm(RAGGED, window, weight, x, *vectors(26))
    assert torch.equal(got, want)
    slopes = [torch.autograd.grad(y.sum(), weight)[0] for y in (got, want)]
    assert torch.equal(*slopes)
    wide = [t.detach().double() for t in (weight, x, *vectors(26))]
    got = convolution_norm(RAGGED, window, *wide)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got.float(), want)


BODY = """
import json, torch
import test_convolution as t
from wireloom.native import _native
torch.set_num_threads(1)
for case in [*t.CASES, *t.DEPTHWISE_CASES]:
    for pattern in (t.RAGGED, t.DEPTHWISE, t.MIXED):
        t.check(pattern, *case)
for name, pattern in t.PATTERNS.items():
    t.check(pattern, 3, 9, 8, t.Window.of(3, padding=1))
for case in t.ALONE:
    t.test_a_members_bits_are_the_same_alone_and_in_company(case, False)
t.test_an_images_bits_do_not_depend_on_its_batch()
t.test_the_number_of_threads_does_not_show_in_the_bits()
t.test_a_finished_convolution_is_the_two_steps_to_the_bit()
print(json.dumps(_native.body()))
"""


@pytest.mark.parametrize("body", ["portable", "avx2", "avx512"])
def test_every_body_of_the_kernels_is_right(body):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BODY],
        env=os.environ | {"WIRELOOM_ISA": body},
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=240,
    )
    for reason in ("which this processor lacks", "which this build lacks"):
        if reason in done.stderr:
            pytest.skip(f"{body} kernels cannot run here: {reason}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == body


MEMORY = """
import resource, torch
from test_convolution import Window, convolution, drawn
from wireloom.compute import Pattern
from wireloom.wiring import ws_flex
torch.set_num_threads(1)
pattern = Pattern.from_wiring(ws_flex(nodes=16, degree=5, rewire=0.3), out=64, into=64)
window = Window.of(3, padding=1)
weight = drawn(pattern.weights * 9).requires_grad_()
maps = [torch.ones(64, 8, n, n) for n in (4, 112)]
def run(x):
    x = x.transpose(0, 1).requires_grad_()
    convolution(pattern, window, weight, x).backward(x.detach())
    return x.numel() * 4
run(maps[0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
size = run(maps[1])
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""


def test_no_buffer_is_as_large_as_nine_maps():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    # Its result and the input's gradient, each as large as the input, and a little.
    assert float(done.stdout) < 2.7


# What is refused


def test_a_window_is_made_of_numbers_or_pairs():
    assert Window.of((3, 5), stride=2) == Window((3, 5), (2, 2), (0, 0), (1, 1))
    assert Window.of([3, 3]).taps == 9
    assert hash(Window([3, 3])) == hash(Window.of(3))
    assert Window.of(3, stride=2, padding=1).output(7, 8) == (4, 4)
    assert Window.of(3, dilation=2).output(4, 5) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": 0}, ["`size`", "at least 1", "0"]),
        ({"size": (3, -1)}, ["`size`"]),
        ({"size": (3, 3, 3)}, ["`size`", "(3, 3, 3)"]),
        ({"size": 2.5}, ["`size`", "2.5"]),
        ({"size": "33"}, ["`size`", "'33'"]),
        ({"size": True}, ["`size`", "True"]),
        ({"size": 3, "stride": 0}, ["`stride`", "at least 1"]),
        ({"size": 3, "padding": -1}, ["`padding`", "at least 0"]),
        ({"size": 3, "padding": "same"}, ["`padding`", "'same'"]),
        ({"size": 3, "dilation": (1, 0)}, ["`dilation`"]),
    ],
)
def test_a_window_refuses_what_is_none(arguments, words):
    for make in (Window.of, Window):
        text = refusal(make, **arguments)
        for word in words:
            assert word in text


WINDOW = Window.of(3)
FITS = drawn(RAGGED.weights * 9), drawn(2, 18, 5, 5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: convolution(RAGGED, WINDOW, drawn(9), FITS[1]), ["`weight`", "[9]"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0][None], FITS[1]), ["`weight`"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], drawn(2, 17, 5, 5)), ["18", "[2, 17, 5, 5]"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], drawn(18, 5, 5)), ["`x`", "[18, 5, 5]"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], drawn(2, 18, 2, 5)), ["window", "2 x 5"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], drawn(2, 18, 0, 5)), ["0 x 5"]),
        (lambda: convolution(RAGGED, Window.of(3, padding=2), FITS[0], drawn(2, 18, 5, 0)),
         ["5 x 0"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], FITS[1].double()), ["float32", "float64"]),
        (lambda: convolution(RAGGED, WINDOW, FITS[0], FITS[1].to("meta")), ["cpu", "meta"]),
        (lambda: convolution_outer(RAGGED, WINDOW, drawn(2, 26, 5, 5), FITS[1]),
         ["`y`", "[2, 26, 3, 3]"]),
        (lambda: convolution_outer(RAGGED, WINDOW, drawn(2, 25, 3, 3), FITS[1]), ["`y`", "26"]),
        (lambda: convolution_outer(RAGGED, WINDOW, drawn(2, 26, 3, 3).half(), FITS[1]),
         ["float16"]),
    ],
)  # fmt: skip
def test_convolutions_refuse_operands_that_do_not_fit(call, words):
    text = refusal(call)
    for word in words:
        assert word in text


# The layer


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layer_is_torchs_convolution_with_the_absent_blocks_at_zero(bias, dtype):
    layer = WiredConv2d(
        RAGGED, (3, 2), stride=(2, 1), padding=1, dilation=(1, 2), bias=bias, dtype=dtype
    )
    if bias:
        with torch.no_grad():
            layer.bias.copy_(drawn(26))
    x = drawn(3, 18, 9, 10).to(dtype)
    kernel = dense(RAGGED, layer.window, layer.weight)
    want = F.conv2d(x, kernel, layer.bias, (2, 1), 1, (1, 2))
    got = layer(x)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)
    assert got.transpose(0, 1).is_contiguous()
    assert "stride=(2, 1)" in repr(layer)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("window", [(3, 1, 1), (3, 2, 1), (1, 1, 0), (1, 2, 0)])
def test_features_are_the_layer_on_channel_major_maps(window, bias):
    size, stride, padding = window
    layer = WiredConv2d(RAGGED, size, stride=stride, padding=padding, bias=bias)
    x = drawn(3, 18, 7, 8)
    with Copies() as copies:
        got = layer.features(x.transpose(0, 1).contiguous())
    assert got.is_contiguous()
    assert torch.equal(got.transpose(0, 1), layer(x))
    assert copies.of_maps == (1 if (size, stride) == (1, 2) else 0) + 1  # one is the test's own


class Copies(TorchDispatchMode):
    """Counts the copies of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.of_maps = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.of_maps += func.name() in ("aten::clone", "aten::copy_", "aten::_to_copy")
        return func(*args, **(kwargs or {}))


def test_features_refuse_maps_in_torchs_shape():
    layer = WiredConv2d(RAGGED, 3)
    assert "[18, images, height, width]" in refusal(layer.features, drawn(2, 18, 5, 5))


def test_layers_chain_and_train_without_copies():
    first = WiredConv2d(RAGGED, 3, padding=1, bias=True)
    second = WiredConv2d(Pattern.dense(out=2, into=26), 3, stride=2)
    y = second(torch.relu(first(drawn(2, 18, 6, 6))))
    assert y.shape == (2, 2, 2, 2)
    y.square().sum().backward()
    assert all(p.grad.isfinite().all() for n in (first, second) for p in n.parameters())
    hidden = torch.relu(first(drawn(2, 18, 6, 6)))
    assert hidden.transpose(0, 1).is_contiguous()


@pytest.mark.parametrize("images", [0, 1])
def test_the_layer_takes_no_image_or_one(images):
    layer = WiredConv2d(RAGGED, 3, padding=1, bias=True)
    x = drawn(images, 18, 5, 4).requires_grad_()
    y = layer(x)
    assert y.shape == (images, 26, 5, 4)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert bool(layer.weight.grad.any()) == bool(images)


def test_initial_weights_come_from_keyed_streams_scaled_by_their_member():
    seeds = [3, 8, 5]
    together = WiredConv2d(MEMBERS, 3, bias=True)
    together.initialise(seeds, "stage.0.")
    found = spans(together)
    assert found["weight"].tolist()[-1] == len(together.weight)
    assert found["bias"].tolist() == [0, 26, 46, 58]
    for m, (pattern, seed) in enumerate(zip(MEMBERS, seeds, strict=True)):
        alone = WiredConv2d(pattern, 3)
        alone.initialise([seed], "stage.0.")
        start, end = found["weight"][m : m + 2]
        assert torch.equal(together.weight[start:end], alone.weight)
        sd = (2 / (9 * pattern.shape[0] * pattern.density)) ** 0.5
        raw = torch.from_numpy(normal(pattern.weights * 9, seed, "stage.0.weight"))
        torch.testing.assert_close(alone.weight.detach(), raw * sd)
    assert not together.bias.any()
    assert torch.equal(WiredConv2d(RAGGED, 3, seed=4).weight, WiredConv2d(RAGGED, 3, seed=4).weight)
    assert not torch.equal(WiredConv2d(RAGGED, 3).weight, WiredConv2d(RAGGED, 3, seed=4).weight)


def test_a_layer_without_blocks_gives_its_bias():
    layer = WiredConv2d(EMPTY, 3, padding=1, bias=True)
    with torch.no_grad():
        layer.bias.copy_(torch.arange(5.0))
    assert torch.equal(layer(drawn(2, 4, 3, 3))[1, :, 2, 2], torch.arange(5.0))


def test_a_population_with_a_shared_input_is_its_members_side_by_side():
    members = [Pattern(p.out_sizes, [4, 5], [(0, 0), (1, 1)]) for p in MEMBERS]
    together = WiredConv2d(members, 3, padding=1, shared_input=True)
    together.initialise([1, 2, 3], "")
    x = drawn(2, 9, 6, 6)
    alone = [WiredConv2d(p, 3, padding=1, seed=s) for p, s in zip(members, (1, 2, 3), strict=True)]
    assert torch.equal(together(x), torch.cat([layer(x) for layer in alone], 1))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"kernel_size": 0}, "`size`"), ({"kernel_size": 3, "padding": "same"}, "`padding`")],
)
def test_the_layer_refuses_a_window_that_is_none(arguments, word):
    assert word in refusal(WiredConv2d, RAGGED, **arguments)


def test_the_layer_refuses_maps_that_do_not_fit():
    layer = WiredConv2d(RAGGED, 3)
    assert "18" in refusal(layer, drawn(2, 17, 5, 5))
    assert "2 x 2" in refusal(layer, drawn(2, 18, 2, 2))
    assert "`x`" in refusal(layer, drawn(18, 5))


def test_the_reference_is_the_layers_oracle_on_any_dtype():
    window = Window.of(3, stride=2, padding=1)
    weight, x, _ = (t.double() for t in operands(RAGGED, 2, 6, 7, window))
    got = reference.convolution(RAGGED, window, weight, x)
    torch.testing.assert_close(got, plain(window, dense(RAGGED, window, weight), x))
