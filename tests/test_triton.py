"""The Triton kernels: on the GPU where there is one, else in Triton's interpreter."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from test_compute import EMPTY, RAGGED, drawn, patterns
from wireloom.base import InvalidValue
from wireloom.compute import (
    Pattern,
    convolution_gpu,
    convolution_reference,
    gpu,
    operators,
    outer,
    product,
    reference,
)
from wireloom.compute.convolution import convolution
from wireloom.compute.dispatch import call
from wireloom.compute.plan import pattern_of, plan, words_on
from wireloom.compute.window import Window
from wireloom.native import _native
from wireloom.nn import WiredLinear
from wireloom.wiring import ws_flex

if importlib.util.find_spec("triton") is None:
    pytest.skip("triton is not installed here: pip install triton", allow_module_level=True)

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
on_gpu = pytest.mark.skipif(not GPU, reason="needs a GPU: torch.cuda is not available here")
numpy_warns = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
quick = settings(deadline=None, max_examples=25)
MEMBERS = [
    RAGGED,
    Pattern.dense(out=9, into=150),
    Pattern([3, 17, 12], [20, 7], [(0, 0), (1, 0), (1, 1), (2, 1)]),
]
MANY = Pattern.union([RAGGED, Pattern.dense(out=40, into=70), EMPTY])


@pytest.fixture(scope="module", autouse=True)
def interpreter():
    """Without a GPU, the kernels run in Triton's interpreter (see conftest)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "interpreted", not GPU)
        for name in ("product", "outer", "convolution", "convolution_outer"):
            patch.setattr(_native, name, None)
        yield


def transposed(pattern: Pattern, weight: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    words = words_on(pattern, y.device)
    return call(operators.transposed_product, weight, y, words, pattern.shape[1])


def operands(pattern: Pattern, batch: int, dtype: torch.dtype, seed: int = 0):
    """A weight, an input and an output's gradient."""
    rows, columns = pattern.shape
    sizes = (pattern.weights,), (columns, batch), (rows, batch)
    return [drawn(*s, seed=seed + i).to(dtype).to(DEVICE) for i, s in enumerate(sizes)]


def results(pattern: Pattern, weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor):
    """What the three operators make of them, by the kernels."""
    assert gpu.serves(weight, x, y)
    return product(pattern, weight, x), transposed(pattern, weight, y), outer(pattern, y, x)


def oracle(pattern: Pattern, weight: torch.Tensor, x: torch.Tensor, y: torch.Tensor):
    return (
        reference.product(pattern, weight, x),
        reference.transposed_product(pattern, weight, y),
        reference.outer(pattern, y, x),
    )


def check(pattern: Pattern, *tensors: torch.Tensor) -> None:
    """The operators against float64: float32 sums, then one rounding to the operands' dtype."""
    dtype = tensors[0].dtype
    wide = [t.double() for t in tensors]
    scales = oracle(pattern, *(t.abs() for t in wide))
    for got, want, scale in zip(
        results(pattern, *tensors), oracle(pattern, *wide), scales, strict=True
    ):
        assert got.dtype == dtype
        assert got.shape == want.shape
        rounding = torch.finfo(dtype).eps if dtype != torch.float32 else 0.0
        error = (got.double() - want).abs()
        assert bool((error <= rounding * want.abs() + 4e-6 * scale + 1e-7).all())


# Values


@quick
@given(
    patterns(), st.sampled_from(gpu.DTYPES), st.sampled_from([0, 1, 5, 16, 33]), st.integers(0, 99)
)
def test_every_operator_agrees_with_float64_on_any_pattern(pattern, dtype, batch, seed):
    check(pattern, *operands(pattern, batch, dtype, seed))


@pytest.mark.parametrize("dtype", gpu.DTYPES)
@pytest.mark.parametrize("batch", [0, 1, 7, 150])
def test_every_operator_agrees_on_tiles_of_many_heights_and_empty_receivers(batch, dtype):
    check(MANY, *operands(MANY, batch, dtype))


def test_sums_deeper_than_a_tile_and_receivers_taller_than_one():
    pattern = Pattern([145, 3], [40, 90, 20], [(0, 0), (0, 1), (1, 2), (1, 1)])
    for dtype in (torch.float32, torch.bfloat16):
        check(pattern, *operands(pattern, 20, dtype))


def test_a_directed_rectangular_wiring_and_weights_that_are_aligned():
    wiring = ws_flex(nodes=8, degree=3, rewire=0.5, seed=1)
    pattern = Pattern.from_wiring(wiring, out=64, into=128)
    held = gpu.tiles(plan(pattern).words)
    assert {launch.align for launch in (*held.product, *held.transposed)} == {8}
    check(pattern, *operands(pattern, 40, torch.float16))


def test_a_long_batch_is_summed_in_spans_one_after_another(monkeypatch):
    monkeypatch.setattr(gpu, "SPAN", 64)
    for dtype in (torch.float32, torch.bfloat16):
        _, x, y = operands(RAGGED, 200, dtype)
        got = outer(RAGGED, y, x)
        want = reference.outer(RAGGED, y.double(), x.double())
        scale = reference.outer(RAGGED, y.double().abs(), x.double().abs())
        rounding = 0.0 if dtype == torch.float32 else torch.finfo(dtype).eps
        assert bool(((got - want).abs() <= rounding * want.abs() + 4e-6 * scale).all())
        # The same in spans as alone, summed by hand.
        parts = [outer(RAGGED, *(t[:, i : i + 64].float() for t in (y, x))) for i in (0, 64, 128)]
        last = outer(RAGGED, y[:, 192:].float(), x[:, 192:].float())
        if dtype == torch.float32:
            assert torch.equal(got, ((parts[0] + parts[1]) + parts[2]) + last)


def test_operands_need_not_be_contiguous():
    weight, x, y = operands(RAGGED, 12, torch.float32)
    want = results(RAGGED, weight, x, y)
    spread = weight.repeat_interleave(2)[::2]
    turned = [t.t().contiguous().t() for t in (x, y)]
    halves = [torch.cat([t, t], 1)[:, 12:] for t in (x, y)]
    for operand in ((spread, *turned), (weight, *halves)):
        assert not operand[1].is_contiguous()
        for got, w in zip(results(RAGGED, *operand), want, strict=True):
            assert torch.equal(got, w)
    expanded = torch.ones(RAGGED.shape[0], 1, device=DEVICE).expand(-1, 12)  # as from a sum
    assert torch.equal(outer(RAGGED, expanded, x), outer(RAGGED, expanded.contiguous(), x))


# Convolutions


WINDOWS = [
    Window((3, 3), padding=(1, 1)),
    Window((3, 2), (2, 3), (1, 0), (1, 2)),
    Window((1, 1), (2, 2)),
    Window((2, 3), (1, 2), (2, 1), (2, 1)),
]


def maps_for(pattern: Pattern, window: Window, images: int, dtype: torch.dtype):
    """A weight, maps, and the gradient of a convolution's result."""
    rows, columns = pattern.shape
    x = images, columns, 5, 6
    y = images, rows, *window.output(5, 6)
    shapes = (pattern.weights * window.taps,), x, y
    return [drawn(*s, seed=i).to(dtype).to(DEVICE) for i, s in enumerate(shapes)]


def convolved(pattern: Pattern, window: Window, weight, x, y):
    words, (rows, columns) = words_on(pattern, x.device), pattern.shape
    rest = window.numbers, *x.shape[2:]
    x, y = x.transpose(0, 1), y.transpose(0, 1)
    return (
        convolution_gpu.convolution(words, weight, x, rows, *rest).transpose(0, 1),
        convolution_gpu.transposed(words, weight, y, columns, *rest).transpose(0, 1),
        convolution_gpu.outer(words, y, x, len(weight), *rest),
    )


def by_reference(pattern: Pattern, window: Window, weight, x, y):
    return (
        convolution_reference.convolution(pattern, window, weight, x),
        convolution_reference.transposed(pattern, window, weight, y, tuple(x.shape[2:])),
        convolution_reference.outer(pattern, window, y, x),
    )


@pytest.mark.parametrize("dtype", gpu.DTYPES)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_convolutions_agree_with_float64(window, dtype):
    for images in (0, 2):
        tensors = maps_for(RAGGED, window, images, dtype)
        wide = [t.double() for t in tensors]
        scales = by_reference(RAGGED, window, *(t.abs() for t in wide))
        for got, want, scale in zip(
            convolved(RAGGED, window, *tensors),
            by_reference(RAGGED, window, *wide),
            scales,
            strict=True,
        ):
            assert got.shape == want.shape
            rounding = torch.finfo(dtype).eps if dtype != torch.float32 else 0.0
            error = (got.double() - want).abs()
            assert bool((error <= rounding * want.abs() + 4e-6 * scale + 1e-7).all())


@numpy_warns
def test_the_convolution_operator_runs_on_these_kernels(monkeypatch):
    weight, x, dy = maps_for(RAGGED, WINDOWS[0], 2, torch.float32)
    want = by_reference(RAGGED, WINDOWS[0], weight.double(), x.double(), dy.double())
    for name in ("convolution", "transposed", "outer"):
        monkeypatch.setattr(convolution_reference, name, None)
    weight.requires_grad_()
    x.requires_grad_()
    y = convolution(RAGGED, WINDOWS[0], weight, x)
    y.backward(dy)
    for got, expected in zip((y, x.grad, weight.grad), want, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-5)


@numpy_warns
def test_a_members_convolution_has_its_bits_in_any_company_and_keeps_its_nan():
    window = WINDOWS[0]
    parts = [maps_for(p, window, 1, torch.float32) for p in MEMBERS]
    for spoilt in (False, True):
        if spoilt:
            parts[1] = [torch.full_like(t, float("nan")) for t in parts[1]]
        whole = [torch.cat([p[i] for p in parts], 1 if i else 0) for i in range(3)]
        y, x, weight = convolved(Pattern.union(MEMBERS), window, *whole)
        rows, columns, sizes = zip(*((*p.shape, p.weights * 9) for p in MEMBERS), strict=True)
        found = zip(y.split(rows, 1), x.split(columns, 1), weight.split(sizes), strict=True)
        for i, mine in enumerate(found):
            if spoilt and i == 1:
                assert all(bool(t.isnan().all()) for t in mine)
            else:
                alone = convolved(MEMBERS[i], window, *parts[i])
                assert all(torch.equal(a, b) for a, b in zip(mine, alone, strict=True))


# Gradients


def test_gradients_of_first_and_second_order_are_those_of_the_reference():
    def slopes(call, dtype):
        weight, x, _ = operands(RAGGED, 9, torch.float32)
        weight, x = (t.to(dtype).requires_grad_() for t in (weight, x))
        loss = call(weight, x).pow(3).sum() / 9
        first = torch.autograd.grad(loss, (weight, x), create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), (weight, x))
        return [g.detach() for g in (*first, *second)]

    got = slopes(lambda w, x: product(RAGGED, w, x), torch.float32)
    want = slopes(lambda w, x: reference.product(RAGGED, w, x), torch.float64)
    for g, w in zip(got, want, strict=True):
        torch.testing.assert_close(g.double(), w, rtol=1e-4, atol=1e-4 * float(w.abs().max()))


def test_a_layer_trains_on_them():
    layer = WiredLinear(RAGGED, bias=True, seed=3, device=DEVICE)
    (x,) = operands(RAGGED, 6, torch.float32)[1:2]
    loss = layer(x.t()).square().sum()
    loss.backward()
    assert layer.weight.grad is not None
    before = float(loss.detach())
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter -= 1e-3 * parameter.grad
        assert float(layer(x.t()).square().sum()) < before


# Company


def joined(shared: bool, batch: int, dtype: torch.dtype):
    """Members' operands and the union's."""
    parts = [operands(p, batch, dtype, seed=7 * i) for i, p in enumerate(MEMBERS)]
    if shared:
        for part in parts:
            part[1] = parts[0][1]
    x = parts[0][1] if shared else torch.cat([p[1] for p in parts])
    whole = [torch.cat([p[0] for p in parts]), x, torch.cat([p[2] for p in parts])]
    return parts, whole


def apart(found) -> list[tuple[torch.Tensor, ...]]:
    """What the members have of a union's results."""
    sizes = [[p.shape[0], p.shape[1], p.weights] for p in MEMBERS]
    split = [f.split(list(s)) for f, s in zip(found, zip(*sizes, strict=True), strict=True)]
    return list(zip(*split, strict=True))


@pytest.mark.parametrize("dtype", gpu.DTYPES)
def test_a_members_bits_do_not_depend_on_its_company(dtype):
    parts, whole = joined(False, 37, dtype)
    union = Pattern.union(MEMBERS)
    for pattern, part, mine in zip(MEMBERS, parts, apart(results(union, *whole)), strict=True):
        for got, want in zip(mine, results(pattern, *part), strict=True):
            assert torch.equal(got, want)


def test_a_members_bits_do_not_depend_on_who_shares_its_input():
    members = [Pattern.dense(out=n, into=50) for n in (5, 16, 40, 3)]
    union = Pattern.union(members, shared_input=True)
    assert gpu.tiles(plan(union).words).product[0].height == 64  # one tile across members
    parts = [operands(p, 19, torch.float32, seed=5 * i) for i, p in enumerate(members)]
    x = parts[0][1]
    weight, y = (torch.cat([p[i] for p in parts]) for i in (0, 2))
    rows = product(union, weight, x).split([p.shape[0] for p in members])
    slopes = outer(union, y, x).split([p.weights for p in members])
    for pattern, part, row, slope in zip(members, parts, rows, slopes, strict=True):
        assert torch.equal(row, product(pattern, part[0], x))
        assert torch.equal(slope, outer(pattern, part[2], x))


@numpy_warns
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_nan_in_one_member_stays_there(which):
    parts, whole = joined(False, 21, torch.float32)
    union = Pattern.union(MEMBERS)
    before = apart(results(union, *whole))
    for bad in (float("nan"), float("inf")):
        parts[1][which][:] = bad
        spoilt = list(whole)
        spoilt[which] = torch.cat([p[which] for p in parts])
        after = apart(results(union, *spoilt))
        for i in (0, 2):
            for got, want in zip(after[i], before[i], strict=True):
                assert torch.equal(got, want)
        touched = [not bool(t.isfinite().all()) for t in after[1]]
        assert touched == [[True, True, False], [True, False, True], [False, True, True]][which]


@numpy_warns
def test_no_absent_block_is_multiplied():
    weight, x, y = operands(RAGGED, 8, torch.float32)
    want = product(RAGGED, weight, x)
    spoilt = x.clone()
    spoilt[5] = float("nan")  # sender 1, which only receiver 3 reads
    got = product(RAGGED, weight, spoilt)
    heard = got.isnan().all(1)
    assert heard.nonzero().flatten().tolist() == list(range(11, 24))
    assert torch.equal(got[~heard], want[~heard])
    spoilt = y.clone()
    spoilt[0] = float("inf")  # receiver 0 reads sender 0 only
    back = transposed(RAGGED, weight, spoilt)
    assert (~back.isfinite()).any(1).nonzero().flatten().tolist() == list(range(5))


# Tiles


@settings(deadline=None, max_examples=60)
@given(patterns())
def test_tiles_hold_every_weight_once_and_nothing_else(pattern):
    held = gpu.Tiles.of(pattern, torch.device("cpu"))
    pointers, columns = pattern.csr
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pointers))
    for launches, inputs, outputs, sources in (
        (held.product, held.columns, rows, columns),
        (held.outer(1), held.columns, rows, columns),
        (held.transposed, held.rows, columns, rows),
    ):
        seen, written = [], []
        for launch in launches:
            for row, height, first, depth, origin, stride in launch.tiles.tolist():
                assert 1 <= height <= launch.height
                written += range(row, row + height)
                k = np.arange(depth)
                for i in range(height):
                    if launches is held.transposed:
                        at = held.places[first : first + depth].numpy() + origin + i
                    else:
                        at = origin + i * stride + k
                    assert (outputs[at] == row + i).all()
                    assert (sources[at] == inputs[first : first + depth].numpy()).all()
                    seen += at.tolist()
        assert sorted(seen) == list(range(pattern.weights))
        if launches is not held.outer(1):
            assert sorted(written) == list(range(pattern.shape[launches is held.transposed]))


@quick
@given(patterns())
def test_a_plans_words_give_back_the_pattern(pattern):
    assert pattern_of(plan(pattern).words) == pattern


def test_receivers_with_the_same_columns_make_taller_tiles():
    every = [(r, s) for r in range(32) for s in range(8)]
    held = gpu.Tiles.of(Pattern([8] * 32, [5] * 8, every), torch.device("cpu"))
    assert [(launch.height, len(launch.tiles)) for launch in held.product] == [(128, 2)]
    assert len(held.columns) == 40
    assert [(launch.height, len(launch.tiles)) for launch in held.transposed] == [(64, 1)]


@pytest.mark.parametrize(
    ("rows", "heights"),
    [(1, [16]), (16, [16]), (17, [32]), (33, [64]), (65, [64, 16]), (128, [128])],
)
def test_rows_are_cut_into_tiles_of_little_waste(rows, heights):
    assert [height for height, _ in gpu._split(rows)] == heights
    assert sum(n for _, n in gpu._split(rows)) == rows


def test_tiles_are_made_once_and_go_with_the_plan():
    pattern = Pattern([3, 4], [5], [(0, 0)])
    held = gpu.tiles(plan(pattern).words)
    assert gpu.tiles(plan(Pattern([3, 4], [5], [(0, 0)])).words) is held
    count = len(gpu._made)
    del pattern, held
    assert len(gpu._made) == count - 1


def test_gradients_find_the_tiles_that_were_made_for_the_product(monkeypatch):
    weight, x, _ = operands(RAGGED, 4, torch.float32)
    product(RAGGED, weight, x)
    monkeypatch.setattr(gpu.Tiles, "of", None)  # none are made from here on
    product(RAGGED, weight.requires_grad_(), x.requires_grad_()).sum().backward()
    assert weight.grad is not None


# What serves, and where


def test_what_does_not_fit_the_plan_is_refused():
    weight, x, y = operands(RAGGED, 4, torch.float32)
    words = words_on(RAGGED, x.device)
    for job in (
        lambda: gpu.product(words, weight, x, 25),
        lambda: gpu.product(words, weight[1:], x, 26),
        lambda: gpu.product(words, weight, x[1:], 26),
        lambda: gpu.product(words, weight.half(), x, 26),
        lambda: gpu.transposed_product(words, weight, y, 28),
        lambda: gpu.outer(words, y, x, len(weight) + 1),
        lambda: gpu.outer(words, y, x[:, 1:], len(weight)),
        lambda: gpu.outer(words[1:], y, x, len(weight)),
    ):
        with pytest.raises(InvalidValue):
            job()


def test_only_what_the_kernels_can_take_is_served(monkeypatch):
    x = torch.zeros(1, device=DEVICE)
    assert gpu.serves(x, x)
    assert not gpu.serves(x, x.double())
    monkeypatch.setattr(gpu, "_present", lambda: False)
    assert not gpu.serves(x)
    monkeypatch.undo()
    monkeypatch.setattr(gpu, "interpreted", False)
    assert not gpu.serves(torch.zeros(1))


def test_everything_runs_without_triton():
    code = """
import sys
sys.modules["triton"] = None
import torch
from wireloom.compute import Pattern, product
weight = torch.ones(6, requires_grad=True)
product(Pattern([2], [3], [(0, 0)]), weight, torch.ones(3, 4)).sum().backward()
assert weight.grad.tolist() == [4.0] * 6
assert "wireloom.compute.kernels_triton" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [("90", "bfloat16"), pytest.param("80", "float32", marks=pytest.mark.slow)],
)
def test_the_kernels_compile_for_gpus_and_fit_them(capability, dtype, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    script = Path(__file__).with_name("compile_triton.py")
    run = subprocess.run(
        [sys.executable, "-W", "error", script, capability, dtype],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    kernels = json.loads(run.stdout)
    names = [kernel["name"] for kernel in kernels]
    assert names == [*["product"] * 4, "outer", "add_up", "product", "product", "outer"]
    assert max(kernel["shared"] for kernel in kernels) <= 99 * 1024  # any GPU since sm_80
    if dtype == "bfloat16":
        assert all(k["instruction"] == "wgmma" for k in kernels if k["name"] != "add_up")
        # Weights that lie in whole eights are copied as such.
        copies = [k["asynchronous"] for k in kernels]
        assert min(copies[:2]) > max(copies[2:4]) > 0


# On a GPU only


@on_gpu
@pytest.mark.parametrize("dtype", gpu.DTYPES)
def test_on_a_gpu_large_layers_agree_repeat_and_keep_their_bits_in_company(dtype):
    shapes = [(512, 384), (515, 400), (1024, 1024), (200, 96)]
    members = [
        Pattern.from_wiring(ws_flex(nodes=64, degree=10, rewire=0.3, seed=i), out=out, into=into)
        for i, (out, into) in enumerate(shapes)
    ]
    union = Pattern.union(members)
    parts = [operands(p, 5000, dtype, seed=i) for i, p in enumerate(members)]
    whole = [torch.cat([p[i] for p in parts]) for i in range(3)]
    check(union, *whole)
    found, again = results(union, *whole), results(union, *whole)
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    sizes = zip(*((p.shape[0], p.shape[1], p.weights) for p in members), strict=True)
    split = [f.split(list(s)) for f, s in zip(found, sizes, strict=True)]
    for i, (pattern, part) in enumerate(zip(members, parts, strict=True)):
        for got, want in zip(split, results(pattern, *part), strict=True):
            assert torch.equal(got[i], want)
